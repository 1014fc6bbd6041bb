// A person silences an alert from its message, with the keyboard only: by the
// menu, and for longer by the dialog behind it. The silences are Alertmanager's.
import assert from "node:assert/strict";
import test from "node:test";
import { Browser } from "./browser.mjs";
import { workspace } from "./workspace.mjs";

const parent = ".thread > .message:not(.hidden)";
let browser;

test.before(async () => { browser = await Browser.open(`${workspace}/c/incidents`); });
test.after(() => browser?.close());

test("the menu offers lengths", async () => {
  await browser.shows("FIRING — CodexWorkerRestarts", parent);
  await browser.shows("the fallback ran", parent);
  await browser.tabTo("Silence ▾");
  await browser.press("Enter", "ArrowDown", "ArrowDown");
  assert.equal((await browser.focused()).name, "1h");
  assert.deepEqual(await browser.shoot("silence-menu"), []);
});

test("an entry makes a silence, whose id and end are told", async () => {
  await browser.press("Enter");
  await browser.shows("by you (silenced from triagebot): silence ", ".replies");
  await browser.shows("Silenced until", parent);
  assert.deepEqual(await browser.shoot("silenced"), []);
});

test("a dialog asks for how long otherwise, and why", async () => {
  await browser.tabTo("Silence ▾");
  await browser.press("Enter", "ArrowUp");
  assert.equal((await browser.focused()).name, "Other…");
  await browser.press("Enter");
  await browser.shows("For how long", "#modal dialog[open]");
  await browser.type("long");
  await browser.press("Enter");
  await browser.page.waitForFunction(() => document.querySelector("#modal .input .error")?.innerText);
  assert.deepEqual(await browser.shoot("silence-dialog"), []);
  await browser.page.keyboard.down("Control");
  await browser.press("a");
  await browser.page.keyboard.up("Control");
  await browser.type("2d");
  await browser.press("Tab");
  await browser.type("deploying the fix");
  await browser.press("Tab", "Tab");
  assert.equal((await browser.focused()).name, "Silence");
  await browser.press("Enter");
  await browser.gone("#modal dialog");
  await browser.shows("by you (deploying the fix): silence ", ".replies");
  assert.deepEqual(await browser.shoot("silenced-longer"), []);
});

test("nothing went wrong in the page", () => assert.deepEqual(browser.errors, []));
