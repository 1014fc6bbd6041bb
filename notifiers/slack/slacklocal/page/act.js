// What a person does on the page: typing, clicking, choosing, and filling in
// modals. All of it is sent as JSON to /act/…; what comes of it arrives with
// the next change of the page.
"use strict";
(() => {
  const as = document.body.dataset.as;
  const channel = document.body.dataset.channel;
  const toast = document.getElementById("toast");

  // act sends one act. It answers what is to be shown to the person.
  async function act(what, body) {
    try {
      const answer = await fetch(`/act/${what}`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ as, channel, ...body }),
      });
      if (!answer.ok) return { notice: await answer.text() };
      return await answer.json();
    } catch {
      return { notice: "The local channel does not answer. Is triagebot running?" };
    }
  }

  // say shows a notice; an empty one takes it away.
  function say(where, text) { where.textContent = text || ""; }

  // Composers: Enter sends, Shift and Enter begins a line, the arrow up brings
  // back what was typed before.
  const typed = JSON.parse(sessionStorage.getItem("typed") || "[]");
  let back = 0;

  async function send(form) {
    const box = form.elements.text;
    const error = form.querySelector(".error");
    const text = box.value.trim();
    if (!text || form.ariaBusy === "true") return;
    form.ariaBusy = "true";
    say(error, "");
    const answer = await act("say", { thread: form.dataset.thread || "", text });
    form.ariaBusy = "false";
    say(error, answer.notice);
    if (typed.at(-1) !== text) typed.push(text);
    sessionStorage.setItem("typed", JSON.stringify(typed.slice(-50)));
    back = 0;
    if (!answer.notice && box.value.trim() === text) box.value = "";
  }

  function recall(box, step) {
    const next = back + step;
    if (next < 0 || next > typed.length) return;
    back = next;
    box.value = back ? typed[typed.length - back] : "";
    box.setSelectionRange(box.value.length, box.value.length);
  }

  // ask shows a control's question; the promise is whether it was confirmed.
  // Each question has a dialog of its own: the event of an earlier one's close
  // comes late, and would answer this one.
  function ask(data) {
    if (!data.confirmTitle) return Promise.resolve(true);
    const dialog = document.getElementById("confirm").content.firstElementChild.cloneNode(true);
    dialog.querySelector("h2").textContent = data.confirmTitle;
    dialog.querySelector("p").textContent = data.confirmText;
    const [deny, confirm] = dialog.querySelectorAll("button");
    deny.textContent = data.confirmDeny;
    confirm.textContent = data.confirmOk;
    confirm.className = data.confirmStyle === "danger" ? "danger" : "primary";
    document.body.append(dialog);
    dialog.showModal();
    deny.focus();
    return new Promise((done) => {
      dialog.addEventListener("close", () => { dialog.remove(); done(dialog.returnValue === "yes"); }, { once: true });
    });
  }

  async function click(control) {
    const { block, action, option } = control.dataset;
    const menu = control.closest("details.menu");
    const home = menu ? menu.querySelector("summary") : control;
    if (home.ariaBusy === "true") return;
    if (menu) { menu.open = false; home.focus(); }
    if (!(await ask((menu || control).dataset))) return;
    home.ariaBusy = "true";
    say(toast, "");
    const answer = await act("click", { ts: control.closest(".message").dataset.ts, block, action, option: option || "" });
    home.ariaBusy = "false";
    say(toast, answer.notice);
  }

  // Modals: at most one is open, as the page that was last fetched says.
  const holder = document.getElementById("modal");

  function present(next) {
    const fresh = next && next.querySelector("dialog");
    const shown = holder.querySelector("dialog");
    if (!fresh) {
      if (shown) { shown.close(); shown.remove(); restore(); }
      return;
    }
    if (shown && shown.dataset.version === fresh.dataset.version) return;
    const here = document.importNode(fresh, true);
    if (shown) { // updated: what was entered stays
      for (const field of shown.querySelectorAll("[name]")) {
        const twin = here.querySelector(`[name="${CSS.escape(field.name)}"]`);
        if (twin) twin.value = field.value;
      }
      shown.close();
    } else {
      from = document.activeElement;
    }
    holder.replaceChildren(here);
    here.addEventListener("cancel", (e) => { e.preventDefault(); dismiss(here); });
    here.showModal();
  }

  let from = null; // where the focus was before the modal
  function restore() {
    const key = from && from.dataset.key;
    const twin = key && document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    const to = from && from.isConnected ? from : twin || document.getElementById("messages");
    to.focus();
  }

  async function dismiss(dialog) {
    say(toast, (await act("close", { view: dialog.dataset.view })).notice);
  }

  async function submit(dialog) {
    if (dialog.ariaBusy === "true") return;
    dialog.ariaBusy = "true";
    const fields = Array.from(dialog.querySelectorAll("[name]"));
    for (const field of fields) { field.ariaInvalid = "false"; say(errorOf(field), ""); }
    say(dialog.querySelector(".trouble"), "");
    const answer = await act("submit", {
      view: dialog.dataset.view,
      values: Object.fromEntries(fields.map((field) => [field.name, field.value])),
    });
    dialog.ariaBusy = "false";
    say(dialog.querySelector(".trouble"), answer.notice);
    const wrong = fields.filter((field) => (answer.errors || {})[field.name]);
    for (const field of wrong) { field.ariaInvalid = "true"; say(errorOf(field), answer.errors[field.name]); }
    if (wrong.length) wrong[0].focus();
  }

  function errorOf(field) { return document.getElementById(`error-${field.name}`); }

  document.addEventListener("fresh", (e) => present(e.detail.getElementById("modal")));
  present(document.getElementById("modal").cloneNode(true));

  document.addEventListener("submit", (e) => {
    if (e.target.method === "dialog") return; // a confirmation
    e.preventDefault();
    if (e.target.matches(".composer")) send(e.target);
    else if (e.target.closest("#modal")) submit(e.target.closest("dialog"));
  });
  document.addEventListener("input", (e) => {
    const form = e.target.closest(".composer");
    if (form) say(form.querySelector(".error"), "");
  });
  document.addEventListener("click", (e) => {
    const control = e.target.closest("[data-action]");
    if (control) click(control);
    else if (e.target.closest("[data-forget]")) act("forget", { ts: e.target.closest(".message").dataset.ts });
    else if (e.target.closest("[data-dismiss]")) dismiss(e.target.closest("dialog"));
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(e.target)) menu.open = false;
  });
  document.addEventListener("keydown", (e) => {
    const box = e.target.closest(".composer textarea");
    if (box && !e.isComposing) {
      if (e.key === "Enter" && !e.shiftKey) { e.preventDefault(); send(box.form); }
      const recalled = back && box.value === typed[typed.length - back];
      if (e.key === "ArrowUp" && (!box.value || recalled)) { e.preventDefault(); recall(box, 1); }
      if (e.key === "ArrowDown" && recalled) { e.preventDefault(); recall(box, -1); }
      return;
    }
    const menu = e.target.closest("details.menu");
    if (!menu) return;
    const stops = [menu.querySelector("summary"), ...menu.querySelectorAll("button")];
    const at = stops.indexOf(e.target);
    if (e.key === "Escape") { menu.open = false; stops[0].focus(); }
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      e.preventDefault();
      menu.open = true;
      const next = at + (e.key === "ArrowDown" ? 1 : -1);
      stops[(next + stops.length) % stops.length].focus();
    }
  });
})();
