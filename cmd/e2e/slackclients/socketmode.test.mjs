// Slack's own Socket Mode client connects to the workspace and answers people.
import assert from "node:assert/strict";
import test from "node:test";
import { SocketModeClient } from "@slack/socket-mode";
import { WebClient } from "@slack/web-api";
import { act, api, appToken, botToken, buttons, channel, deferred, page, silenceModal } from "./workspace.mjs";

const web = new WebClient(botToken, { slackApiUrl: api });
const client = new SocketModeClient({ appToken, clientOptions: { slackApiUrl: api }, logLevel: "error" });

test.before(() => client.start());
test.after(() => client.disconnect());

// once is the next envelope of a kind.
function once(kind) {
  const d = deferred();
  client.once(kind, d.resolve);
  return d.promise;
}

test("a slash command is answered with its acknowledgement", async () => {
  const told = act("say", { text: "/triage help <me>" });
  const { body, ack } = await once("slash_commands");
  assert.equal(body.command, "/triage");
  assert.equal(body.text, "help &lt;me&gt;");
  await ack({ text: "helped over a socket" });
  assert.deepEqual(await told, {});
  assert.match(await page(), /helped over a socket/);
});

test("a click opens a modal, whose submission is complained of and then taken", async () => {
  const { ts } = await web.chat.postMessage({ channel, text: "parent", blocks: buttons });
  const told = act("click", { ts, block: "acts", action: "silence", option: "Other…" });
  const { body, ack } = await once("interactive");
  assert.equal(body.actions[0].selected_option.value, "Other…");
  const { view } = await web.views.open({ trigger_id: body.trigger_id, view: silenceModal });
  await ack();
  assert.deepEqual(await told, {});
  for (const [answer, shown] of [
    [{ response_action: "errors", errors: { for: "no such duration" } }, { errors: { for: "no such duration" } }],
    [undefined, {}],
  ]) {
    const submitted = act("submit", { view: view.id, values: { for: "45m" } });
    const { body, ack } = await once("interactive");
    assert.equal(body.view.state.values.for.duration.value, "45m");
    await ack(answer);
    assert.deepEqual(await submitted, shown);
  }
});

test("a mention arrives as an event", async () => {
  const heard = once("app_mention");
  await act("say", { text: "@triagebot trace req_1" });
  const { event, ack, retry_num: retries } = await heard;
  assert.equal(event.text, "<@U0LOCAL01> trace req_1");
  assert.equal(retries, 0);
  await ack();
});
