// The workspace that a test is run against, as the Go test that starts it
// tells in the environment, and what a person does in it.
import { App, HTTPReceiver, LogLevel } from "@slack/bolt";

const { env } = process;

export const workspace = env.SLACK_URL; // http://127.0.0.1:…
export const incidents = env.INCIDENTS_URL; // triagebot's own list of incidents, signed
export const api = `${workspace}/api/`;
export const botToken = env.SLACK_BOT_TOKEN;
export const appToken = env.SLACK_APP_TOKEN;
export const signingSecret = env.SLACK_SIGNING_SECRET;
export const appAddress = env.APP_ADDRESS; // where the workspace sends people's acts
export const channel = env.SLACK_CHANNEL; // ID
export const person = "U0PERSON1";

// act does what the page does when a person acts. It answers what is shown.
export async function act(what, body) {
  const answer = await fetch(`${workspace}/act/${what}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ as: person, channel, ...body }),
  });
  if (!answer.ok) throw new Error(`${what}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

// page is the channel as the person sees it, as HTML.
export async function page() {
  return (await fetch(`${workspace}/c/${channel}`)).text();
}

// boltAt starts a Bolt app on a port of this machine, 0 for any. What it
// listens to is registered before.
export async function boltAt(port, register) {
  // By itself Bolt answers 404 to what nobody acknowledges after 3.001 s, a
  // millisecond after the workspace gives up: on a busy machine, before.
  const receiver = new HTTPReceiver({ signingSecret, logLevel: LogLevel.ERROR, unhandledRequestTimeoutMillis: 10_000 });
  const app = new App({ token: botToken, receiver, logLevel: LogLevel.ERROR, clientOptions: { slackApiUrl: api } });
  register(app);
  const server = await app.start({ port, host: "127.0.0.1" });
  return { app, server, url: `http://127.0.0.1:${server.address().port}` };
}

// deferred is a promise with its ends in hand.
export function deferred() {
  const d = {};
  d.promise = new Promise((resolve, reject) => Object.assign(d, { resolve, reject }));
  return d;
}

// buttons are blocks with a button and a menu, as triagebot has them.
export const buttons = [
  { type: "section", text: { type: "mrkdwn", text: "*CRITICAL* · FIRING — CodexLatencySLOBreach" } },
  {
    type: "actions", block_id: "acts", elements: [
      { type: "button", action_id: "ack", style: "primary", text: { type: "plain_text", text: "Ack" }, value: "triage ack 7" },
      {
        type: "static_select", action_id: "silence", placeholder: { type: "plain_text", text: "Silence" },
        options: ["30m", "1h", "Other…"].map((o) => ({ text: { type: "plain_text", text: o }, value: o })),
      },
      {
        type: "button", action_id: "enable", style: "danger", text: { type: "plain_text", text: "Enable maintenance" }, value: "maintenance confirm 1",
        confirm: {
          title: { type: "plain_text", text: "Enable maintenance?" }, text: { type: "plain_text", text: "Requests will be answered 503." },
          confirm: { type: "plain_text", text: "Enable" }, deny: { type: "plain_text", text: "Cancel" }, style: "danger",
        },
      },
    ],
  },
];

// silenceModal asks for what the menu does not offer.
export const silenceModal = {
  type: "modal", callback_id: "silence", private_metadata: "7", notify_on_close: true,
  title: { type: "plain_text", text: "Silence" }, submit: { type: "plain_text", text: "Create" },
  blocks: [
    {
      type: "input", block_id: "for", label: { type: "plain_text", text: "For how long" }, hint: { type: "plain_text", text: "Such as 45m or 2h" },
      element: { type: "plain_text_input", action_id: "duration" },
    },
    {
      type: "input", block_id: "why", optional: true, label: { type: "plain_text", text: "Comment" },
      element: { type: "plain_text_input", action_id: "comment", multiline: true },
    },
  ],
};

// Heard is what an app has heard, to be waited for.
export class Heard {
  #all = [];
  #waiting = [];

  add(what) {
    this.#all.push(what);
    for (const { wanted, resolve } of this.#waiting) if (wanted === what) resolve();
  }

  has(what) { return this.#all.includes(what); }

  // saw waits until it was heard.
  saw(wanted) {
    if (this.has(wanted)) return Promise.resolve();
    const d = deferred();
    this.#waiting.push({ wanted, resolve: d.resolve });
    return d.promise;
  }
}
