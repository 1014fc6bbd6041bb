// Slack's own Web API client drives the workspace.
import assert from "node:assert/strict";
import test from "node:test";
import { WebClient } from "@slack/web-api";
import { act, api, botToken, buttons, channel, page, person, silenceModal } from "./workspace.mjs";

const web = new WebClient(botToken, { slackApiUrl: api, retryConfig: { retries: 0 } });

test("who it is, and what it may", async () => {
  const me = await web.auth.test();
  assert.equal(me.user, "triagebot");
  assert.ok(me.response_metadata.scopes.includes("chat:write"), `scopes ${me.response_metadata.scopes}`);
  assert.equal((await web.users.info({ user: person })).user.name, "you");
  assert.deepEqual((await web.usergroups.users.list({ usergroup: "S0SRE" })).users, [person]);
});

test("a message, its thread, an edit and a file", async () => {
  const metadata = { event_type: "slackclients", event_payload: { nonce: "n" } };
  const parent = await web.chat.postMessage({ channel, text: "parent", blocks: buttons, metadata });
  const reply = await web.chat.postMessage({ channel, text: "reply", thread_ts: parent.ts });
  await web.chat.update({ channel, ts: parent.ts, text: "edited", blocks: buttons });
  const upload = await web.filesUploadV2({
    channel_id: channel, thread_ts: parent.ts, file: Buffer.from("evidence"), filename: "evidence.txt", title: "Evidence", alt_text: "all of it",
  });
  assert.equal(upload.files[0].files[0].title, "Evidence");
  const thread = await web.conversations.replies({ channel, ts: parent.ts, include_all_metadata: true });
  assert.deepEqual(thread.messages.map((m) => m.text), ["edited", "reply", ""]);
  assert.deepEqual(thread.messages[0].metadata, metadata);
  assert.equal(thread.messages[1].ts, reply.ts);
  assert.equal(thread.messages[2].files[0].name, "evidence.txt");
});

test("errors are Slack's", async () => {
  const code = (call) => call.then(() => "no error", (e) => e.data?.error ?? e.code);
  assert.equal(await code(web.chat.postMessage({ channel: "C0NOWHERE", text: "x" })), "channel_not_found");
  assert.equal(await code(web.chat.postMessage({ channel, text: "x", blocks: [{ type: "marquee" }] })), "invalid_blocks");
  assert.equal(await code(web.views.open({ trigger_id: "1.2.3", view: silenceModal })), "invalid_trigger_id");
  assert.equal(await code(new WebClient("xoxb-other", { slackApiUrl: api }).auth.test()), "invalid_auth");
});

test("an ephemeral message is on the page and not in the history", async () => {
  await web.chat.postEphemeral({ channel, user: person, text: "only for you, said the client" });
  assert.match(await page(), /Only visible to you[^]*only for you, said the client/);
  const history = await web.conversations.history({ channel });
  assert.ok(!JSON.stringify(history).includes("only for you"));
  assert.equal((await act("say", { text: "hello" })).notice, undefined);
});
