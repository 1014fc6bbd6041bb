// Looks for a newer page every two seconds while more is to come, and puts it in
// place of the old one. Without it the page is whole, and a reload does the same.
"use strict";
(() => {
  const every = 2000;
  const live = document.getElementById("live");
  let tag = null;
  let failed = 0;

  const say = (text, lost) => {
    live.hidden = text === "";
    live.textContent = text;
    live.classList.toggle("lost", lost);
  };

  // What a reader has opened, closed or marked is theirs.
  const keep = (from, to) => {
    const before = [...from.querySelectorAll("details")].map((d) => d.open);
    const after = [...to.querySelectorAll("details")];
    if (before.length === after.length) after.forEach((d, i) => { d.open = before[i]; });
  };

  const look = async () => {
    const page = document.getElementById("page");
    if (!page || !("live" in page.dataset) || location.search.includes("verify")) { say("", false); return; }
    if (!document.hidden && String(getSelection()) === "") {
      try {
        const headers = tag ? { "If-None-Match": tag } : {};
        const answer = await fetch(location.href, { headers, cache: "no-store", credentials: "same-origin" });
        if (answer.status === 200) {
          tag = answer.headers.get("ETag");
          const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
          const next = fresh.getElementById("page");
          if (next && next.innerHTML !== page.innerHTML) {
            keep(page, next);
            page.replaceWith(document.adoptNode(next));
            document.title = fresh.title;
          }
          failed = 0;
        } else if (answer.status !== 304) {
          failed++;
        } else {
          failed = 0;
        }
      } catch { failed++; }
    }
    say(failed > 1 ? "not up to date: triagebot does not answer" : "live", failed > 1);
    setTimeout(look, every * Math.min(1 + failed, 15));
  };
  look();
})();
