// Keeps the page current without reloading it: on each change the page is
// fetched again, and only messages that differ are exchanged, so that focus,
// selection and scroll position stay where they are.
"use strict";
(() => {
  const status = document.getElementById("live");
  const paged = new URLSearchParams(location.search).has("before");
  const inChannel = location.pathname.startsWith("/c/");
  let fetching = false;
  let again = false;

  // swap puts `fresh` in the place of `old`. A focus within goes to the same
  // control, or to the message when that is gone; an open menu stays open. A key
  // may be another control's by now, which a second Enter must not press: only
  // one of the same words is the same.
  function swap(old, fresh) {
    const here = document.importNode(fresh, true);
    const focus = old.contains(document.activeElement) ? document.activeElement : null;
    const twin = (element) => {
      const found = element && here.querySelector(`[data-key="${CSS.escape(element.dataset.key || "")}"]`);
      return found && found.textContent === element.textContent ? found : null;
    };
    for (const open of old.querySelectorAll("details[open]")) {
      const menu = twin(open);
      if (menu) menu.open = true;
    }
    const next = focus && (twin(focus) || (here.matches("[tabindex]") ? here : here.querySelector("[tabindex]")));
    old.replaceWith(here);
    if (next) next.focus({ preventScroll: true });
  }

  // drop takes an element away; a focus within goes to the messages.
  function drop(old) {
    const had = old.contains(document.activeElement);
    old.remove();
    if (had) document.getElementById("messages").focus({ preventScroll: true });
  }

  // patch makes the children of `now` those of `next`, matched by id.
  function patch(now, next) {
    const keep = new Set();
    let after = null;
    for (const fresh of Array.from(next.children)) {
      const old = fresh.id && document.getElementById(fresh.id);
      let here = old && now.contains(old) ? old : null;
      if (here && here.parentElement === now) {
        update(here, fresh);
      } else {
        here = document.importNode(fresh, true);
      }
      const place = after ? after.nextElementSibling : now.firstElementChild;
      if (place !== here) now.insertBefore(here, place);
      keep.add(here);
      after = here;
    }
    for (const child of Array.from(now.children)) if (!keep.has(child)) drop(child);
  }

  // update brings one message or thread up to date.
  function update(here, fresh) {
    if (here.classList.contains("thread")) {
      const mine = here.querySelector(":scope > .message");
      const theirs = fresh.querySelector(":scope > .message");
      if (mine.dataset.version !== theirs.dataset.version) swap(mine, theirs);
      const list = here.querySelector(":scope > .replies");
      const shown = new Map(Array.from(list.children).map((li) => [li.firstElementChild.id, li]));
      for (const li of Array.from(fresh.querySelector(":scope > .replies").children)) {
        const message = li.firstElementChild;
        const old = shown.get(message.id);
        shown.delete(message.id);
        if (!old) list.append(document.importNode(li, true));
        else if (old.firstElementChild.dataset.version !== message.dataset.version) swap(old, li);
      }
      for (const li of shown.values()) drop(li);
    } else if (here.innerHTML !== fresh.innerHTML) {
      here.replaceWith(document.importNode(fresh, true));
    }
  }

  async function refresh() {
    if (fetching) { again = true; return; }
    fetching = true;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.status);
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const list = document.getElementById("list");
      const fresh = next.getElementById("list");
      if (list && fresh) patch(list, fresh);
      document.dispatchEvent(new CustomEvent("fresh", { detail: next }));
      live();
    } catch {
      lost();
    } finally {
      fetching = false;
      if (again) { again = false; setTimeout(refresh, 200); }
    }
  }

  function live() {
    const what = !inChannel ? "Live" : paged ? "Live, older messages" : "Live, the newest first";
    if (status.textContent !== what) status.textContent = what; // said once, not at each change
    status.className = "ok";
  }
  function lost() { status.textContent = "Connection lost, trying again"; status.className = "lost"; }

  const events = new EventSource("/live");
  events.onopen = () => { live(); refresh(); };
  events.onmessage = refresh;
  events.onerror = lost;
})();
