// A browser on the local channel's page, used with the keyboard only.
import { mkdirSync } from "node:fs";
import path from "node:path";
import puppeteer from "puppeteer-core";

const chromium = process.env.CHROMIUM ?? "/usr/bin/chromium";
const pictures = process.env.SCREENSHOTS;

// How long a condition may take on a busy machine, in milliseconds.
const patience = 60_000;

// Browser is one browser with one page.
export class Browser {
  // open opens a page, wide unless narrow, and waits until it is live. What
  // goes wrong in it is kept in errors.
  static async open(url, { narrow = false, dark = false } = {}) {
    // As root, as in a container, Chromium cannot have its sandbox.
    const args = ["--disable-gpu", "--no-first-run", ...(process.getuid() === 0 ? ["--no-sandbox"] : [])];
    const browser = await puppeteer.launch({ executablePath: chromium, args, timeout: patience });
    const page = await browser.newPage();
    const b = Object.assign(new Browser(), { browser, page, errors: [] });
    page.setDefaultTimeout(patience);
    page.on("pageerror", (e) => b.errors.push(String(e)));
    page.on("console", (m) => { if (m.type() === "error") b.errors.push(m.text()); });
    await b.look({ narrow, dark });
    await page.goto(url);
    await page.waitForSelector("#live.ok");
    return b;
  }

  close() { return this.browser.close(); }

  // look sets how wide the page is, and in which colours.
  async look({ narrow = false, dark = false }) {
    await this.page.setViewport({ width: narrow ? 390 : 1280, height: narrow ? 844 : 900 });
    await this.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }]);
  }

  // shoot keeps pictures of the page, wide and narrow, light and dark, and
  // says in which of them it is wider than the window.
  async shoot(name) {
    if (pictures) mkdirSync(pictures, { recursive: true });
    const tooWide = [];
    for (const narrow of [false, true]) {
      for (const dark of [false, true]) {
        await this.look({ narrow, dark });
        await this.page.evaluate(() => document.activeElement.scrollIntoView({ block: "center" }));
        const look = `${narrow ? "narrow" : "wide"}-${dark ? "dark" : "light"}`;
        if (pictures) await this.page.screenshot({ path: path.join(pictures, `${name}-${look}.png`) });
        if (await this.page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) tooWide.push(look);
      }
    }
    await this.look({});
    return tooWide;
  }

  // shows waits until the page, or what a selector finds, shows a text.
  shows(text, selector = "body") {
    return this.page.waitForFunction((s, t) => Array.from(document.querySelectorAll(s)).some((e) => e.innerText.includes(t)), {}, selector, text);
  }

  // has says whether something that a selector finds begins with a text now.
  has(text, selector) {
    return this.page.evaluate((s, t) => Array.from(document.querySelectorAll(s)).some((e) => e.innerText.trim().startsWith(t)), selector, text);
  }

  // gone waits until the page no longer has what a selector finds.
  gone(selector) { return this.page.waitForFunction((s) => !document.querySelector(s), {}, selector); }

  // focused is the accessible name and role of what has the focus.
  focused() {
    return this.page.evaluate(() => {
      const e = document.activeElement;
      const name = e.ariaLabel || e.labels?.[0]?.innerText || e.innerText || "";
      return { tag: e.tagName.toLowerCase(), name: name.trim(), key: e.dataset.key ?? "" };
    });
  }

  // press presses keys, one after another.
  async press(...keys) { for (const key of keys) await this.page.keyboard.press(key); }

  // type types a text where the focus is.
  type(text) { return this.page.keyboard.type(text); }

  // tabTo presses Tab until what has a name has the focus.
  async tabTo(name, most = 200) {
    for (let i = 0; i < most; i++) {
      await this.page.keyboard.press("Tab");
      if ((await this.focused()).name.startsWith(name)) return;
    }
    throw new Error(`Tab does not lead to ${name} in ${most} steps`);
  }
}
