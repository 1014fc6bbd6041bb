// A person in the demo's channel, with the keyboard only: from the alert's
// thread to ack, help, and maintenance on and off again. Everything behind the
// page is triagebot itself.
import assert from "node:assert/strict";
import test from "node:test";
import { Browser } from "./browser.mjs";
import { incidents, workspace } from "./workspace.mjs";

const parent = ".thread > .message:not(.hidden)";
const answer = ".message.hidden";
let browser;

test.before(async () => { browser = await Browser.open(`${workspace}/c/incidents`); });
test.after(() => browser?.close());

// say types a text into the channel's composer.
async function say(text) {
  await browser.tabTo("Message #incidents as you");
  await browser.type(text);
  await browser.press("Enter");
}

// dismiss takes away the newest of the answers that only the person sees.
async function dismiss() {
  const { id } = await browser.page.$eval(answer, ({ id }) => ({ id }));
  await browser.tabTo("Dismiss");
  await browser.press("Enter");
  await browser.gone(`[id="${id}"]`);
}

test("an alert's thread appears and fills by itself", async () => {
  await browser.shows("CRITICAL · FIRING — CodexLatencySLOBreach", parent);
  await browser.shows("Most likely: workers back off", parent);
  await browser.shows("Worker w0 backs off for", ".replies");
  await browser.page.waitForSelector(".replies figure img");
  assert.deepEqual(await browser.shoot("demo-alert"), []);
});

test("Ack is a button", async () => {
  await browser.tabTo("Ack");
  await browser.press("Enter");
  await browser.shows("Acked by you", parent);
  await browser.shows("Acknowledged by you.", ".replies");
  assert.ok(!(await browser.has("Ack", `${parent} button`)), "it cannot be taken twice");
  assert.match((await browser.focused()).key, /^$/, "no other button has come under the finger");
  assert.deepEqual(await browser.shoot("demo-acked"), []);
});

test("the incident's own page is read on a phone and in the dark", async () => {
  await browser.page.goto(await browser.page.$eval(parent, (e) => Array.from(e.querySelectorAll("a")).find((a) => a.innerText === "Incident page").href));
  await browser.shows("CodexLatencySLOBreach", "h1");
  await browser.shows("Acked by you", "main");
  await browser.shows("Most likely: workers back off", "main");
  await browser.shows("Acknowledged by you.", ".timeline");
  assert.deepEqual(await browser.shoot("demo-incident-page"), []);
  await browser.page.goto(`${workspace}/c/incidents`);
  await browser.page.waitForSelector("#live.ok");
});

test("help lists what there is, and a typo is advised on", async () => {
  await say("/triage help");
  await browser.shows("/triage ack", answer);
  assert.deepEqual(await browser.shoot("demo-help"), []);
  await browser.look({ narrow: true });
  assert.ok(await browser.page.$$eval(`${answer} pre`, (all) => all.length > 0 && all.every((e) => e.scrollWidth <= e.clientWidth)), "its lines are whole on a narrow page");
  await browser.look({});
  await dismiss();
  await say("/triage silense 1h");
  await browser.shows("Did you mean silence?", answer);
  assert.deepEqual(await browser.shoot("demo-typo"), []);
  await dismiss();
});

test("a mention in the thread asks about its incident", async () => {
  await browser.tabTo("Reply in thread");
  await browser.press("Enter", "Tab");
  await browser.type("@triagebot status");
  await browser.press("Enter");
  await browser.shows("@triagebot status", ".replies");
  await browser.shows("#1 CodexLatencySLOBreach", `.replies ${answer}`);
  assert.deepEqual(await browser.shoot("demo-mention"), []);
});

test("maintenance is asked for, and nothing happens before it is confirmed", async () => {
  await say("/maintenance enable for 5m try it");
  await browser.shows("Nothing is done yet: maintenance of app for 5m waits for your confirmation", answer);
  await browser.shows("1. It is announced in #incidents", answer);
  assert.deepEqual(await browser.shoot("demo-maintenance-asked"), []);
  assert.ok(!(await browser.has("MAINTENANCE", parent)));
});

test("it is confirmed, announced, and on once the metric says so", async () => {
  await browser.tabTo("Confirm");
  await browser.press("Enter");
  await browser.shows("MAINTENANCE ON — app", parent);
  await browser.shows("Maintenance of app begins now, for 5m: try it (by you)", ".replies");
  await browser.shows("Maintenance of app is announced in #incidents", answer);
  assert.ok(!(await browser.has("Confirm", "button")), "what was confirmed no longer asks");
  assert.deepEqual(await browser.shoot("demo-maintenance-on"), []);
});

test("it is disabled by its button", async () => {
  await browser.tabTo("Disable");
  await browser.press("Enter");
  await browser.shows("Turn maintenance of app off?", "dialog[open]");
  await browser.press("Tab", "Enter");
  await browser.shows("MAINTENANCE OFF — app", parent);
  await browser.shows("Maintenance of app is over.", parent);
  assert.deepEqual(await browser.shoot("demo-maintenance-off"), []);
});

test("so are the lists of incidents and of what people asked for", async () => {
  await browser.page.goto(incidents);
  await browser.shows("CodexLatencySLOBreach", "main");
  assert.deepEqual(await browser.shoot("demo-incidents"), []);
  await browser.page.goto(await browser.page.$$eval("a", (links) => links.find((a) => a.innerText === "Audit log").href));
  for (const asked of ["triage ack", "maintenance enable for 5m try it", "maintenance confirm", "maintenance disable"]) {
    await browser.shows(asked, "main code");
  }
  assert.deepEqual(await browser.shoot("demo-audit"), []);
});

test("nothing went wrong in the page", () => assert.deepEqual(browser.errors, []));
