/**
 * Makes the screenshots that the documents show, in docs/images, and those of every view and state at three sizes in both themes, in a folder to be looked at:
 * `scripts/deno run -A test/admin/page/screenshots.ts FOLDER [VIEW ...]`. With Debian's fonts-inter and fonts-jetbrains-mono unpacked into
 * .deno/tools/fonts-inter they look the same on each machine.
 */

import { fileURLToPath } from "node:url";
import { findChromium, fontsFor } from "./browser.ts";
import { TOKEN_WRITE } from "./fake_data.ts";
import { PageHarness, SIZES, type Tab, type Theme, THEMES } from "./harness.ts";

const IMAGES = fileURLToPath(new URL("../../../docs/images/", import.meta.url));

interface Scene {
  readonly name: string;
  readonly fragment: string;
  /** What is done before the view is shown, and after. */
  readonly before?: (tab: Tab) => void | Promise<void>;
  readonly after?: (tab: Tab) => void | Promise<void>;
}

const happened = (what: string, from: string, to: string, text: string) => ({
  what,
  message: "5f3a1b2c",
  envelope: null,
  session: null,
  from,
  to,
  text,
});

/** What happens while one looks at the overview. */
async function feed({ page, fake }: Tab): Promise<void> {
  for (
    const event of [
      happened("refused", "info@spam.example", "sales@example.org", "550 5.7.1 SPF fails"),
      happened("accepted", "newsletter@shop.example", "margaret@example.org", ""),
      happened("delivered", "newsletter@shop.example", "margaret@example.org", "250 2.0.0 delivered to mailbox"),
      happened("deferred", "ada@example.org", "info@slow.example", "Connection to mx.slow.example timed out"),
      happened("accepted", "grace@example.org", "bob@client.example", ""),
      happened("relayed", "grace@example.org", "bob@client.example", "250 2.0.0 OK"),
      happened("failed", "linus@example.org", "nobody@uni.example", "550 5.1.1 no such account"),
      happened("relayed", "ada@example.org", "office@city.example", "250 2.6.0 Queued mail for delivery"),
    ]
  ) fake.emit("message", event);
  await page.waitForSelector(".feed li:nth-child(8) a");
}

const SCENES: readonly Scene[] = [
  { name: "overview", fragment: "#/", after: feed },
  { name: "messages", fragment: "#/messages" },
  { name: "story", fragment: "#/messages/5f3a1b2a" },
  {
    name: "dialogue",
    fragment: "#/messages/5f3a1b2a",
    after: async ({ page }) => {
      await page.click("text=Show the dialogue");
      await page.waitForSelector(".dialogue");
    },
  },
  { name: "queue", fragment: "#/queue" },
  {
    name: "chosen",
    fragment: "#/queue",
    before: ({ login }) => login(TOKEN_WRITE),
    after: async ({ page }) => {
      for (const at of [2, 4]) await page.locator("tbody input").nth(at).check();
      await page.click('.bar button:text-is("Hold")');
      await page.waitForSelector(".notice");
    },
  },
  {
    name: "remove",
    fragment: "#/queue",
    before: ({ login }) => login(TOKEN_WRITE),
    after: async ({ page }) => {
      await page.locator("tbody input").nth(2).check();
      await page.click('.bar button:text-is("Remove…")');
      await page.waitForSelector("#question[open]");
    },
  },
  { name: "envelope", fragment: "#/queue/5f3a1b00001c0000" },
  {
    name: "lanes",
    fragment: "#/lanes",
    before: ({ fake }) => void fake.options.paused.push("mta"),
    after: async ({ page, fake }) => {
      fake.emit("overview", fake.overview());
      await page.waitForSelector('.switches:has-text("Resume")');
    },
  },
  { name: "sessions", fragment: "#/sessions" },
  { name: "health", fragment: "#/health" },
  { name: "walls", fragment: "#/walls" },
  { name: "login", fragment: "#/login" },
  { name: "login-needed", fragment: "#/queue", before: ({ fake }) => void (fake.options.auth = true) },
  { name: "history-off", fragment: "#/messages", before: ({ fake }) => void (fake.options.history = false) },
  { name: "error", fragment: "#/lanes", before: ({ fake }) => void (fake.options.unavailable = true) },
  { name: "empty", fragment: "#/queue", before: ({ fake }) => void (fake.options.empty = true) },
  { name: "new", fragment: "#/", before: ({ fake }) => void (fake.options.empty = true) },
  {
    name: "loading",
    fragment: "#/walls",
    after: async ({ page, fake }) => {
      fake.options.silent = true;
      await page.click('a[href="#/lanes"]', { force: true }).catch(() => page.evaluate("location.hash = '#/lanes'"));
      await page.waitForSelector(".skeleton");
    },
  },
  {
    name: "gone",
    fragment: "#/lanes",
    after: async ({ page, fake }) => {
      await fake.stop();
      await page.waitForSelector(".gone");
    },
  },
  {
    name: "help",
    fragment: "#/",
    after: async ({ page }) => {
      await page.keyboard.press("?");
      await page.waitForSelector("#help[open]");
    },
  },
  {
    name: "menu",
    fragment: "#/sessions",
    after: async ({ page }) => {
      if (await page.locator(".menu").isVisible()) await page.click(".menu");
    },
  },
];

/** Pixels of a picture that is looked at. */
const MOST_HEIGHT = 1800;

/** Those that documents show: which view at which width in which theme. */
const SHOWN: ReadonlySet<string> = new Set([
  "overview-1280-light",
  "overview-360-dark",
  "story-768-light",
  "queue-768-dark",
]);

async function make(
  harness: PageHarness,
  scene: Scene,
  size: readonly [number, number],
  theme: Theme,
  folder: string,
): Promise<void> {
  const name = `${scene.name}-${size[0]}-${theme}`;
  await harness.inTab(async (tab) => {
    if (tab.fake.isStopped) tab.fake.start();
    await tab.show("#/walls");
    await scene.before?.(tab);
    await tab.show(scene.fragment);
    await scene.after?.(tab);
    await tab.page.evaluate("document.fonts.ready");
    await tab.page.waitForTimeout(150);
    const whole = Number(await tab.page.evaluate("document.documentElement.scrollHeight"));
    await tab.page.setViewportSize({ width: size[0], height: Math.min(MOST_HEIGHT, Math.max(size[1], whole)) });
    await tab.page.waitForTimeout(100);
    await tab.page.screenshot({ path: `${folder}/${name}.png` });
    await tab.page.setViewportSize({ width: size[0], height: size[1] });
    if (SHOWN.has(name)) await tab.page.screenshot({ path: `${IMAGES}admin-${name}.png` });
  }, { theme, size, mayFail: /./ });
}

if (import.meta.main) {
  const [folder, ...names] = Deno.args;
  const chromium = await findChromium();
  if (folder === undefined || chromium === null) {
    throw new Error(folder === undefined ? "Name a folder" : "There is no Chromium here");
  }
  Deno.mkdirSync(folder, { recursive: true });
  Deno.mkdirSync(IMAGES, { recursive: true });
  const harness = await PageHarness.start(chromium, fontsFor(folder));
  for (const scene of SCENES.filter(({ name }) => names.length === 0 || names.includes(name))) {
    for (const size of SIZES) for (const theme of THEMES) await make(harness, scene, size, theme, folder);
  }
  await harness.close();
}
