/** One browser and one made-up daemon for all tests of the page. Each test gets a tab of its own, in which nothing may go wrong unseen. */

import { deepEqual } from "node:assert/strict";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { startChromium } from "./browser.ts";
import { FakeServer } from "./fake_server.ts";
import * as browser from "./in_page.js";

export const THEMES = ["light", "dark"] as const;
export type Theme = typeof THEMES[number];
/** Widths of a phone, a tablet and a desk, with usual heights. */
export const SIZES = [[360, 740], [768, 1024], [1280, 800]] as const;
/** Who waits longer has failed, in ms. */
const LIMIT_MS = 8_000;

export interface TabOptions {
  readonly theme?: Theme;
  readonly size?: readonly [width: number, height: number];
  /** What may stand in the console, for tests in which requests fail. */
  readonly mayFail?: RegExp;
}

/** A tab, and the server that it looks at. */
export interface Tab {
  readonly page: Page;
  readonly fake: FakeServer;
  /** Goes to a view, by its fragment, and waits until it is there. */
  show(fragment: string): Promise<void>;
  login(token: string): Promise<void>;
}

export class PageHarness {
  readonly fake = new FakeServer();
  readonly #browser: Browser;

  private constructor(browser: Browser) {
    this.#browser = browser;
  }

  /** Starts both; `fonts` as `startChromium` takes it. */
  static async start(chromium: string, fonts: string | null = null): Promise<PageHarness> {
    return new PageHarness(await startChromium(chromium, fonts));
  }

  /** Runs `body` in a new tab. Throws what it throws, or what went wrong in the tab: errors of scripts, of the console, and what the policy forbade. */
  async inTab(body: (tab: Tab) => Promise<void>, { theme = "light", size = SIZES[2], mayFail }: TabOptions = {}) {
    this.fake.reset();
    const [width, height] = size;
    const context = await this.#browser.newContext({
      viewport: { width, height },
      colorScheme: theme,
      locale: "en-GB",
      timezoneId: "UTC",
      reducedMotion: "reduce",
    });
    context.setDefaultTimeout(LIMIT_MS);
    const wrong: string[] = [];
    try {
      const page = await watched(context, wrong, mayFail);
      await body({
        page,
        fake: this.fake,
        show: (fragment) => show(page, this.fake.url, fragment),
        login: (token) => login(page, token),
      });
    } finally {
      await context.close();
    }
    deepEqual(wrong, []);
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await this.fake.stop();
  }
}

async function watched(context: BrowserContext, wrong: string[], mayFail: RegExp | undefined): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => wrong.push(`script: ${error.message}`));
  page.on("console", (message) => {
    if (!["error", "warning"].includes(message.type()) || mayFail?.test(message.text())) return;
    wrong.push(`${message.type()}: ${message.text()} ${message.location().url}`);
  });
  page.on("dialog", (dialog) => {
    wrong.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.addInitScript(browser.watch);
  return page;
}

async function show(page: Page, url: string, fragment: string): Promise<void> {
  if (page.url().startsWith(url)) await page.evaluate(browser.go, fragment);
  else await page.goto(`${url}${fragment}`);
  await page.waitForFunction(browser.isThere, fragment);
}

async function login(page: Page, token: string): Promise<void> {
  await page.evaluate(browser.go, "#/login");
  await page.fill("#token", token);
  await page.press("#token", "Enter");
  await page.waitForSelector("nav .who button", { state: "attached" });
}
