// Bolt's HTTP receiver verifies what the workspace signs, and refuses what was
// tampered with. In front of it a recorder keeps the requests as they came.
import assert from "node:assert/strict";
import http from "node:http";
import test from "node:test";
import { act, appAddress, boltAt, buttons, channel, deferred, page, silenceModal } from "./workspace.mjs";

const requests = []; // {url, method, headers, body}
let bolt, front;
let onMention, onClick, onSubmit;

// forward sends a request to Bolt as it came.
function forward({ url, method, headers, body }) {
  return fetch(bolt.url + url, { method, headers, body });
}

test.before(async () => {
  bolt = await boltAt(0, (app) => {
    app.command("/triage", async ({ ack, command, respond }) => {
      await ack(`you asked for ${command.text}`);
      await respond("and later, through the response URL");
    });
    app.action("ack", async (args) => { await args.ack(); onClick(args); });
    app.view("silence", async (args) => { await args.ack(); onSubmit(args); });
    app.event("app_mention", async ({ event }) => onMention(event));
  });
  front = http.createServer(async (req, res) => {
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    const { host, connection, "content-length": length, ...headers } = req.headers; // those are of each connection
    const recorded = { url: req.url, method: req.method, headers, body: Buffer.concat(chunks) };
    requests.push(recorded);
    const answer = await forward(recorded);
    res.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "text/plain" });
    res.end(Buffer.from(await answer.arrayBuffer()));
  });
  const [host, port] = appAddress.split(":");
  await new Promise((resolve) => front.listen(Number(port), host, resolve));
});

test.after(async () => {
  front.close();
  front.closeAllConnections();
  await bolt.app.stop();
});

test("a command is verified, answered, and answered again", async () => {
  assert.deepEqual(await act("say", { text: "/triage status" }), {});
  assert.match(await page(), /you asked for status/);
});

test("a click and a modal", async () => {
  const { ts } = await bolt.app.client.chat.postMessage({ channel, text: "parent", blocks: buttons });
  const clicked = deferred();
  onClick = clicked.resolve;
  await act("click", { ts, block: "acts", action: "ack" });
  const { body, client, respond } = await clicked.promise;
  assert.equal(body.message.ts, ts);
  assert.equal(body.actions[0].value, "triage ack 7");
  await respond({ replace_original: true, text: "acknowledged by you" });
  assert.match(await page(), /acknowledged by you/);
  const { view } = await client.views.open({ trigger_id: body.trigger_id, view: silenceModal });
  const submitted = deferred();
  onSubmit = submitted.resolve;
  assert.deepEqual(await act("submit", { view: view.id, values: { for: "2h", why: "deploy" } }), {});
  const { view: sent } = await submitted.promise;
  assert.equal(sent.state.values.why.comment.value, "deploy");
});

test("a mention", async () => {
  const mentioned = deferred();
  onMention = mentioned.resolve;
  await act("say", { text: "@triagebot status" });
  assert.equal((await mentioned.promise).text, "<@U0LOCAL01> status");
});

test("what was tampered with is refused", async () => {
  const sent = requests.find((r) => r.body.includes("command=%2Ftriage"));
  const again = await forward(sent);
  assert.equal(again.status, 200, "the request as it was sent");
  const changes = {
    "another body": { body: Buffer.from(sent.body.toString().replace("status", "escalate")) },
    "another time": { headers: { ...sent.headers, "x-slack-request-timestamp": String(Number(sent.headers["x-slack-request-timestamp"]) - 1) } },
    "an old time": { headers: { ...sent.headers, "x-slack-request-timestamp": "1700000000" } },
    "another signature": { headers: { ...sent.headers, "x-slack-signature": `v0=${"0".repeat(64)}` } },
  };
  for (const [name, change] of Object.entries(changes)) {
    assert.equal((await forward({ ...sent, ...change })).status, 401, name);
  }
});
