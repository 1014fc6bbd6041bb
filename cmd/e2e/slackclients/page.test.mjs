// A person uses the local channel's page with the keyboard only: types
// commands, clicks, confirms, chooses, fills in a modal.
import assert from "node:assert/strict";
import test from "node:test";
import { Browser } from "./browser.mjs";
import { appAddress, boltAt, buttons, channel, Heard, silenceModal, workspace } from "./workspace.mjs";

let bolt, browser, parent;
const clicks = new Heard();
const edit = (text, blocks = buttons) => bolt.app.client.chat.update({ channel, ts: parent, text, blocks });

test.before(async () => {
  bolt = await boltAt(Number(appAddress.split(":")[1]), (app) => {
    app.command("/triage", async ({ ack, command }) => {
      if (command.text === "fail") return; // no acknowledgement: the person is told
      await ack({
        text: `Commands of /triage ${command.text}`,
        blocks: [
          { type: "section", text: { type: "mrkdwn", text: `*Commands* of /triage ${command.text}` } },
          { type: "actions", elements: [{ type: "button", action_id: "more", text: { type: "plain_text", text: "More" } }] },
        ],
      });
    });
    app.event("app_mention", ({ event, client }) =>
      client.chat.postMessage({ channel, thread_ts: event.thread_ts ?? event.ts, text: `You said ${event.text.replace(/<@\w+>/, "").trim()}` }));
    app.action("ack", async ({ ack, client }) => {
      await ack();
      clicks.add("ack");
      await client.chat.update({ channel, ts: parent, text: "acknowledged by you", blocks: [
        { type: "section", text: { type: "mrkdwn", text: "*Acknowledged* by you" } }, buttons[1],
      ] });
    });
    app.action("enable", async ({ ack }) => { await ack(); clicks.add("enable"); });
    app.action("more", async ({ ack, respond }) => { await ack(); await respond({ replace_original: true, text: "There is no more." }); });
    app.action("silence", async ({ ack, action, body, client }) => {
      if (action.selected_option.value === "Other…") await client.views.open({ trigger_id: body.trigger_id, view: silenceModal });
      await ack();
      clicks.add(action.selected_option.value);
    });
    app.view("silence", async ({ ack, view }) => {
      const wanted = view.state.values.for.duration.value;
      if (wanted !== "45m") return ack({ response_action: "errors", errors: { for: `${wanted} is no duration, such as 45m` } });
      clicks.add(`silence ${wanted}`);
      await ack();
    });
    app.view({ type: "view_closed", callback_id: "silence" }, async ({ ack }) => { await ack(); clicks.add("closed"); });
  });
  const { client } = bolt.app;
  parent = (await client.chat.postMessage({ channel, text: "CRITICAL, firing", blocks: buttons })).ts;
  await client.chat.postMessage({ channel, thread_ts: parent, text: "Step p95 is abnormal" });
  browser = await Browser.open(`${workspace}/c/incidents`);
});

test.after(async () => {
  await browser?.close();
  await bolt?.app.stop();
});

test("a command is typed, and answered to one person", async () => {
  await browser.tabTo("Message #incidents as you");
  await browser.type("/triage help");
  await browser.press("Enter");
  await browser.shows("Only visible to you", ".message.hidden");
  await browser.shows("Commands of /triage help", ".message.hidden");
  assert.equal((await browser.focused()).key, "say", "the focus stays where one types");
  assert.deepEqual(await browser.shoot("command"), []);
});

test("what was typed comes back, and an error is shown", async () => {
  await browser.press("ArrowUp");
  assert.equal(await browser.page.$eval("#say", (e) => e.value), "/triage help");
  await browser.press("ArrowDown");
  assert.equal(await browser.page.$eval("#say", (e) => e.value), "");
  await browser.type("/triage fail");
  await browser.press("Enter");
  await browser.shows('/triage failed with the error "operation_timeout"', "#say-error");
  assert.equal(await browser.page.$eval("#say", (e) => e.value), "/triage fail", "what failed can be sent again");
  assert.deepEqual(await browser.shoot("error"), []);
  await browser.page.$eval("#say", (e) => { e.value = ""; });
});

test("a button in an ephemeral answer", async () => {
  await browser.tabTo("More");
  await browser.press("Enter");
  await browser.shows("There is no more.", ".message.hidden");
  await browser.tabTo("Dismiss");
  await browser.press("Enter");
  await browser.gone(".message.hidden");
  assert.equal((await browser.focused()).tag, "main", "the focus stays among the messages");
});

test("a menu opens, is left, and chosen from", async () => {
  await browser.tabTo("Silence");
  await browser.press("Enter", "ArrowDown");
  assert.equal((await browser.focused()).name, "30m");
  assert.deepEqual(await browser.shoot("menu"), []);
  await browser.press("Escape");
  assert.match((await browser.focused()).name, /^Silence/);
  await browser.press("ArrowDown", "ArrowDown", "Enter");
  await clicks.saw("1h");
  assert.ok(!clicks.has("30m"));
});

test("the focus is kept when the message changes under it", async () => {
  await edit("CRITICAL, still firing");
  await browser.shows("(edited)");
  assert.match((await browser.focused()).key, /^act-acts-silence/);
});

test("a question is asked before what is dangerous", async () => {
  await browser.tabTo("Enable maintenance");
  await browser.press("Enter");
  await browser.shows("Requests will be answered 503.", "dialog[open]");
  assert.equal((await browser.focused()).name, "Cancel", "the harmless answer comes first");
  assert.deepEqual(await browser.shoot("confirm"), []);
  await browser.press("Escape");
  await browser.gone("dialog[open]");
  assert.ok(!clicks.has("enable"));
  assert.equal((await browser.focused()).name, "Enable maintenance");
  await browser.press("Enter");
  await browser.shows("Requests will be answered 503.", "dialog[open]");
  await browser.press("Tab");
  assert.equal((await browser.focused()).name, "Enable");
  await browser.press("Enter");
  await clicks.saw("enable");
});

test("a modal keeps the focus, complains, and is taken", async () => {
  await browser.page.keyboard.down("Shift");
  await browser.press("Tab");
  await browser.page.keyboard.up("Shift");
  assert.match((await browser.focused()).name, /^Silence/);
  await browser.press("ArrowUp", "Enter");
  await browser.shows("For how long", "#modal dialog[open]");
  assert.equal((await browser.focused()).name, "For how long");
  await browser.press("Enter");
  await browser.shows("Please complete this required field.", "#modal .error");
  await browser.type("soon");
  await bolt.app.client.chat.postMessage({ channel, thread_ts: parent, text: "Step readyz is normal" });
  await browser.page.waitForFunction(() => document.body.textContent.includes("Step readyz is normal"));
  assert.equal((await browser.focused()).name, "For how long", "the page changes, the focus stays");
  await browser.press("Enter");
  await browser.shows("soon is no duration", "#modal .error");
  assert.deepEqual(await browser.shoot("modal"), []);
  const within = new Set();
  for (let i = 0; i < 8; i++) {
    await browser.press("Tab");
    within.add(await browser.page.evaluate(() => document.activeElement === document.body || !!document.activeElement.closest("#modal")));
  }
  assert.deepEqual([...within], [true], "the focus is kept within");
  await browser.page.focus('#modal [name="for"]');
  await browser.page.$eval('#modal [name="for"]', (e) => e.select());
  await browser.type("45m");
  await browser.press("Enter");
  await browser.gone("#modal dialog");
  await clicks.saw("silence 45m");
  assert.match((await browser.focused()).name, /^Silence/, "the focus goes back");
});

test("a modal is closed with Escape", async () => {
  await browser.press("ArrowUp", "Enter");
  await browser.shows("For how long", "#modal dialog[open]");
  await browser.press("Escape");
  await browser.gone("#modal dialog");
  await clicks.saw("closed");
  assert.match((await browser.focused()).name, /^Silence/);
});

test("in a thread mentions work and commands do not", async () => {
  await browser.tabTo("Reply in thread");
  await browser.press("Enter", "Tab");
  await browser.type("/triage ack");
  await browser.press("Enter");
  await browser.shows("/triage is not supported in threads. Sorry!", ".answer .error");
  await browser.page.evaluate(() => { document.activeElement.value = ""; });
  await browser.type("@triagebot status");
  await browser.press("Enter");
  await browser.shows("@triagebot status", ".replies");
  await browser.shows("You said status", ".replies");
  assert.deepEqual(await browser.shoot("thread"), []);
});

test("a click edits the message, and the focus stays in it", async () => {
  await browser.page.focus('[data-key="act-acts-ack"]');
  await browser.press("Enter");
  await browser.shows("Acknowledged by you");
  assert.equal((await browser.focused()).key, "act-acts-ack");
  await edit("resolved", [{ type: "section", text: { type: "mrkdwn", text: "*Resolved*" } }]);
  await browser.shows("Resolved");
  assert.equal(await browser.page.evaluate(() => document.activeElement.className), "message", "the button is gone, its message is not");
});

test("nothing went wrong in the page", () => assert.deepEqual(browser.errors, []));
