/** The admin page in Chromium, with a made-up daemon: every view, every act, right and wrong, in both themes, and on a phone. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { findChromium } from "./page/browser.ts";
import { HOSTILE, TOKEN_READ, TOKEN_WRITE } from "./page/fake_data.ts";
import * as browser from "./page/in_page.js";
import { PageHarness, SIZES, type Tab, type TabOptions, THEMES } from "./page/harness.ts";

const chromium = await findChromium();
if (chromium === null) {
  console.log(
    "SKIPPED: the tests of the admin page need Chromium, which is not here: install Debian's package chromium",
  );
}

/** Every view, by its fragment. */
const VIEWS = [
  "#/",
  "#/messages",
  "#/messages/5f3a1b2a",
  "#/queue",
  "#/queue/5f3a1b00001c0000",
  "#/lanes",
  "#/sessions",
  "#/health",
  "#/walls",
  "#/login",
  "#/nowhere",
];
const FIRST = "5f3a1b00001c0000", SECOND = "5f3a1b07001c03d1";
/** Layout shift that nobody sees. */
const MAX_SHIFT = 0.02;
const REFUSED = /status of (401|403|404|503)/;

let harness: PageHarness;

/** The browser takes as much of the machine as many other tests together: of all tests of the project only these run in it, unless this file runs by itself. */
const ALWAYS = [
  "every view is accessible, light",
  "at 360 pixels",
  "strangers' text",
  "login: ",
  "hold, release and retry",
  "removal asks",
  "acts without a login",
  "when the daemon is gone",
];
const some = Deno.env.get("VAULTPOST_TEST_PAGE") === "some";

/** A test with a tab. */
function inPage(name: string, body: (tab: Tab) => Promise<void>, options?: TabOptions): void {
  Deno.test({
    name,
    ignore: chromium === null || (some && !ALWAYS.some((begin) => name.startsWith(begin))),
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () => harness.inTab(body, options),
  });
}

Deno.test.beforeAll(async () => {
  if (chromium !== null) harness = await PageHarness.start(chromium);
});
Deno.test.afterAll(async () => {
  if (chromium !== null) await harness.close();
});

/** What axe-core finds: a line per rule that is broken. */
async function brokenRules(page: Page): Promise<string[]> {
  if (!await page.evaluate(browser.hasAxe)) await page.evaluate(axe.source);
  return await page.evaluate(browser.axeFindings);
}

const text = (page: Page, selector: string) => page.locator(selector).first().innerText();
const row = (id: string) => `tr:has([data-row][data-envelope="${id}"])`;

for (const theme of THEMES) {
  inPage(`every view is accessible, ${theme}: axe-core finds nothing`, async ({ page, show }) => {
    for (const view of VIEWS) {
      await show(view);
      deepEqual(await brokenRules(page), []);
    }
    // What is open over a view.
    await page.keyboard.press("?");
    await page.waitForSelector("#help[open]");
    deepEqual(await brokenRules(page), []);
  }, { theme });
}

inPage("every view is accessible without data, and says so in its own words", async ({ page, fake, show }) => {
  fake.options.empty = true;
  const words: string[] = [];
  for (const view of ["#/", "#/messages", "#/queue", "#/lanes", "#/sessions", "#/health", "#/walls"]) {
    await show(view);
    words.push(await text(page, "main .blank :is(h1, h2)"));
    deepEqual(await brokenRules(page), []);
  }
  deepEqual(words, [
    "Nothing counted yet",
    "No message yet",
    "The queue is empty",
    "No lane",
    "Nobody is connected",
    "No certificate",
    "Nothing is known of the walls",
  ]);
});

for (const size of SIZES) {
  inPage(
    `at ${size[0]} pixels nothing is wider than the screen, and nothing moves by itself`,
    async ({ page, fake, show }) => {
      for (const view of VIEWS) {
        await show(view);
        const [width, most] = await page.evaluate(browser.widths);
        ok(width! <= most!, `${view} is ${width} wide`);
        deepEqual(await page.evaluate(browser.squeezed), [], view);
      }
      await show("#/");
      fake.emit("message", {
        what: "delivered",
        message: "5f3a1b2c",
        session: null,
        from: "a@example.org",
        to: "b@example.org",
        text: "250 Ok",
      });
      await page.waitForSelector(".feed a");
      fake.emit("overview", { ...fake.overview(), envelopes: 123_456, reasons: [] });
      await page.waitForFunction(browser.textIs, { selector: ".numbers b", text: "123,456" });
      const { shift, violations } = await page.evaluate(browser.watched);
      ok(shift < MAX_SHIFT, `things moved by ${shift}`);
      deepEqual(violations, []);
    },
    { size },
  );
}

inPage(
  "strangers' text is shown as it is, harmless: markup, controls, other directions, endless words",
  async ({ page, show }) => {
    for (const view of ["#/messages", "#/queue", "#/sessions", "#/messages/5f3a1b2a", "#/lanes"]) {
      await show(view);
      equal(await page.locator("main img, main script").count(), 0);
      const shown = await page.locator("main").innerText();
      ok(!/(?![\n\t])[\p{Cc}\p{Cf}]/u.test(shown), view);
      ok(!/\p{M}{5}/u.test(shown), view);
    }
    await show("#/messages/5f3a1b2a");
    await page.click("text=Show the dialogue");
    await page.waitForSelector(".dialogue");
    const said = await page.locator(".dialogue").innerText();
    ok(said.includes(HOSTILE.markup));
    ok(said.includes("250 \\x1b[31mred\\x07\\x00\\r\\nSubject: hi"));
    match(await text(page, ".tree"), /user‹U\+202E›gro\.elpmaxe@‹U\+2066›evil‹U\+200B›\.example/);
    equal(await page.evaluate(browser.title), "Message · Vaultpost");
  },
);

inPage("the overview has a plot of each kind, with title, description and table", async ({ page, show }) => {
  await show("#/");
  const titles = await page.locator("figure svg title").allTextContents();
  deepEqual(titles, ["Accepted", "Delivered", "Deferred", "Refused", "Delay until delivery", "Queue by age"]);
  for (const about of await page.locator("figure svg desc").allTextContents()) ok(/\d/.test(about), about);
  await page.click('[data-name="accepted"] summary');
  await page.waitForSelector('[data-name="accepted"] tbody tr:nth-child(24)');
  await page.hover('[data-name="ages"] svg');
  match(await text(page, '[data-name="ages"] .reading'), /^\d\d:\d\d · under 5 min \d+/);
});

inPage("news come by events: numbers, and what happens just now", async ({ page, fake, show }) => {
  await show("#/");
  await page.waitForSelector('.link:has-text("Live")');
  fake.emit("overview", {
    ...fake.overview(),
    sessions: 77,
    reasons: ["disk full: mail is refused with 452"],
    status: "unavailable",
  });
  await page.waitForSelector('.standing.bad:has-text("disk full")');
  match(await text(page, "nav .badge >> nth=1"), /77/);
  fake.emit("message", {
    what: "refused",
    message: null,
    session: "7f3a09c1e2d4a1b7",
    from: HOSTILE.markup,
    to: "b@example.org",
    text: "550 no",
  });
  await page.click(".feed a");
  await page.waitForSelector("main h1:has-text('Story')");
  equal(new URL(page.url()).hash, "#/messages/7f3a09c1e2d4a1b7");
});

inPage("without events it asks now and then", async ({ page, fake, show }) => {
  fake.options.streams = false;
  await show("#/");
  await page.waitForSelector('.link:has-text("Every 4 s")');
  fake.options.paused = ["mta"];
  await page.waitForSelector('.standing:has-text("Relaying is paused")');
}, { mayFail: /status of 503/ });

inPage("views have addresses, and the button of the browser goes back", async ({ page, show }) => {
  await show("#/queue?state=suspended");
  equal(await page.locator("tbody tr").count(), 4);
  await page.click("tbody tr:first-child [data-row]");
  await page.waitForSelector("dl.facts");
  equal(await page.evaluate(browser.focusTag), "H1");
  await page.click("text=Its story");
  await page.waitForSelector("main .blank, .timeline");
  await page.goBack();
  await page.waitForSelector("dl.facts");
  await page.goBack();
  await page.waitForFunction(browser.countIs, { selector: "tbody tr", count: 4 });
}, { mayFail: /404/ });

inPage("search: from everywhere, by words and fields, and what is not found", async ({ page, show }) => {
  await show("#/lanes");
  await page.keyboard.press("/");
  await page.keyboard.type("linus");
  await page.keyboard.press("Enter");
  await page.waitForSelector('tbody:has-text("nobody@uni.example")');
  await page.selectOption('[name="outcome"]', "bounced");
  await page.waitForFunction(browser.countIs, { selector: "tbody tr", count: 1 });
  equal(new URL(page.url()).hash, "#/messages?q=linus&outcome=bounced");
  await page.fill('main [name="q"]', "no such word");
  await page.press('main [name="q"]', "Enter");
  await page.waitForSelector('.blank:has-text("Nothing found")');
  await page.click("text=Show all");
  await page.waitForSelector("tbody tr:nth-child(9)");
});

inPage("login: a wrong token, a right one, and out again", async ({ page, show }) => {
  await show("#/login?back=%23%2Flanes");
  await page.fill("#token", "wrong");
  await page.press("#token", "Enter");
  await page.waitForSelector('.failure:has-text("The token is unknown")');
  deepEqual(await brokenRules(page), []);
  await page.fill("#token", TOKEN_WRITE);
  await page.click("form .primary");
  await page.waitForSelector('nav .who:has-text("may write")');
  equal(new URL(page.url()).hash, "#/lanes");
  await page.click("text=Log out");
  await page.waitForSelector('nav .who:has-text("Reading only")');
}, { mayFail: REFUSED });

inPage(
  "where reading needs a login, each view says so, and the login leads on",
  async ({ page, fake, show, login }) => {
    fake.options.auth = true;
    for (const view of ["#/", "#/messages", "#/queue", "#/walls"]) {
      await show(view);
      equal(await text(page, ".blank :is(h1, h2)"), "Log in to see this");
    }
    deepEqual(await brokenRules(page), []);
    await login(TOKEN_READ);
    await page.waitForSelector(".numbers");
  },
  { mayFail: REFUSED },
);

inPage("hold, release and retry: one envelope, and many", async ({ page, fake, show, login }) => {
  await show("#/queue");
  await login(TOKEN_WRITE);
  await show("#/queue");
  await page.check(`${row(FIRST)} input`);
  await page.check(`${row(SECOND)} input`);
  await page.click('.bar button:text-is("Hold")');
  await page.waitForSelector('.notice.ok:has-text("2 envelopes are held.")');
  await page.waitForSelector(`${row(FIRST)} .chip:text-is("held")`);
  await page.click('.bar button:text-is("Release")');
  await page.waitForSelector(`${row(FIRST)} .chip:text-is("waiting")`);
  await show(`#/queue/${FIRST}`);
  await page.click('button:text-is("Retry now")');
  await page.waitForSelector('.notice.ok:has-text("1 envelope is tried again now.")');
  deepEqual(
    fake.acts.toSorted(),
    [FIRST, SECOND].flatMap((id) => [`POST queue/${id}/hold`, `POST queue/${id}/release`]).concat(
      `POST queue/${FIRST}/retry`,
    ).toSorted(),
  );
});

inPage(
  "removal asks, holds first, and can be undone; else it is done after 10 seconds",
  async ({ page, fake, show, login }) => {
    await page.clock.install();
    await show("#/queue");
    await login(TOKEN_WRITE);
    await show("#/queue");
    const choose = async () => {
      await page.check(`${row(FIRST)} input`);
      await page.click('.bar button:text-is("Remove…")');
      await page.waitForSelector("#question[open]");
    };
    await choose();
    deepEqual(await brokenRules(page), []);
    await page.keyboard.press("Escape");
    await page.waitForSelector("#question", { state: "detached" });
    deepEqual(fake.acts, []);
    await page.click('.bar button:text-is("Remove…")');
    await page.click("#question .danger");
    await page.click('.notice button:text-is("Undo")');
    await page.waitForSelector('.notice.ok:has-text("Undone: 1 envelope released.")');
    deepEqual(fake.acts, [`POST queue/${FIRST}/hold`, `POST queue/${FIRST}/release`]);
    await choose();
    await page.click("#question .danger");
    await page.waitForSelector(`${row(FIRST)}.leaving`);
    equal(fake.acts.length, 3);
    await page.clock.fastForward(10_100);
    await page.waitForSelector(row(FIRST), { state: "detached" });
    equal(fake.acts.at(-1), `DELETE queue/${FIRST}`);
  },
);

inPage(
  "acts without a login, or with one that may only read, say what is missing",
  async ({ page, fake, show, login }) => {
    await show(`#/queue/${FIRST}`);
    for (const act of ["Hold", "Release", "Retry now", "Remove…"]) await page.click(`.strip button:text-is("${act}")`);
    await page.waitForSelector('.notice.warn:has-text("Log in with a token that may write")');
    await page.click('.notice button:text-is("Log in")');
    await page.waitForSelector("#token");
    await login(TOKEN_READ);
    await show(`#/queue/${FIRST}`);
    await page.click('.strip button:text-is("Hold")');
    await page.waitForSelector('.notice.warn:has-text("This token may only read")');
    await show("#/lanes");
    await page.click(".switches button >> nth=0");
    deepEqual(fake.acts, []);
  },
);

inPage("a login that has ended, and an envelope that is gone, are told of", async ({ page, fake, show, login }) => {
  await show(`#/queue/${FIRST}`);
  await login(TOKEN_WRITE);
  await show(`#/queue/${FIRST}`);
  const session = await page.context().cookies();
  await page.context().clearCookies();
  await page.click('.strip button:text-is("Hold")');
  await page.waitForSelector('.notice.bad:has-text("Log in with a token")');
  await page.context().addCookies(session);
  await page.click('.strip button:text-is("Release")');
  await page.waitForSelector('.notice.ok:has-text("released")');
  await show("#/queue/0000000000000001");
  equal(await text(page, ".blank :is(h1, h2)"), "There is no such thing");
  equal(fake.acts.length, 1);
}, { mayFail: REFUSED });

inPage("pausing asks, resuming does not", async ({ page, fake, show, login }) => {
  await show("#/lanes");
  await login(TOKEN_WRITE);
  await show("#/lanes");
  await page.click('.switches button:has-text("relaying")');
  await page.click('#question button:has-text("Pause relaying")');
  await page.waitForSelector('.notice.ok:has-text("Relaying is paused.")');
  fake.emit("overview", fake.overview());
  await page.click('.switches button:has-text("Resume")');
  await page.waitForSelector('.notice.ok:has-text("Relaying goes on.")');
  deepEqual(fake.acts, ["POST pause/mta", "POST resume/mta"]);
});

inPage("without a history the views of messages say how to have one", async ({ page, fake, show }) => {
  fake.options.history = false;
  for (const view of ["#/messages", "#/messages/5f3a1b2a"]) {
    await show(view);
    equal(await text(page, ".blank :is(h1, h2)"), "History is off");
  }
  match(await text(page, ".blank p"), /history keep 30d/);
}, { mayFail: REFUSED });

inPage("an error has its sentence, and trying again helps", async ({ page, fake, show }) => {
  fake.options.unavailable = true;
  await show("#/lanes");
  equal(await text(page, ".blank :is(h1, h2)"), "That did not work");
  match(await text(page, ".blank p"), /A part of the server did not answer/);
  deepEqual(await brokenRules(page), []);
  fake.options.unavailable = false;
  await page.click('button:text-is("Try again")');
  await page.waitForSelector("tbody tr");
}, { mayFail: REFUSED });

inPage("while it loads there is a shape of what comes", async ({ page, fake, show }) => {
  await show("#/walls");
  fake.options.silent = true;
  await page.evaluate(browser.go, "#/lanes");
  await page.waitForSelector(".skeleton");
  fake.options.silent = false;
  await show("#/walls");
});

inPage(
  "when the daemon is gone what is there stays, acts say so, and it comes back by itself",
  async ({ page, fake, show, login }) => {
    await show("#/queue");
    await login(TOKEN_WRITE);
    await show("#/queue");
    await fake.stop();
    await page.waitForSelector('.gone:has-text("Vaultpost does not answer")');
    equal(await page.locator("tbody tr").count(), 47);
    deepEqual(await brokenRules(page), []);
    await page.check(`${row(FIRST)} input`);
    await page.click('.bar button:text-is("Hold")');
    await page.waitForSelector('.notice.bad:has-text("nothing was changed")');
    await page.evaluate(browser.go, "#/lanes");
    await page.waitForSelector('.blank:has-text("Vaultpost does not answer")');
    deepEqual(await brokenRules(page), []);
    fake.start();
    await page.click(".gone button");
    await page.waitForSelector("tbody tr");
    await page.waitForSelector(".gone", { state: "detached" });
  },
  { mayFail: /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|ERR_ABORTED/ },
);

inPage("the keyboard is enough: views, rows, choice, acts, help, theme", async ({ page, fake, show, login }) => {
  await show("#/");
  await login(TOKEN_WRITE);
  await page.locator("#main").focus();
  await page.keyboard.press("g");
  await page.keyboard.press("q");
  await page.waitForSelector("tbody tr");
  for (const key of ["j", "j", "k", "x", "j", "x"]) await page.keyboard.press(key);
  await page.waitForSelector('.bar:has-text("2 chosen")');
  await page.keyboard.press("h");
  await page.waitForSelector('.notice:has-text("2 envelopes are held.")');
  await page.keyboard.press("Escape");
  await page.waitForSelector(".bar", { state: "detached" });
  await page.keyboard.press("#");
  await page.waitForSelector("#question[open]");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".leaving");
  await page.keyboard.press("u");
  await page.waitForSelector('.notice:has-text("Undone: held, as before.")');
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForSelector("dl.facts");
  await page.keyboard.press("?");
  await page.waitForSelector("#help[open]");
  await page.keyboard.press("Escape");
  await page.waitForSelector("#help", { state: "detached" });
  await page.keyboard.press("d");
  equal(await page.evaluate(browser.theme), "light");
  await page.keyboard.press("d");
  equal(await page.evaluate(browser.rememberedTheme), "dark");
  equal(fake.acts.filter((act) => act.endsWith("/hold")).length, 2);
  // Who needs single keys for something else turns them off.
  await page.keyboard.press("?");
  await page.uncheck("#help input");
  await page.keyboard.press("Escape");
  await page.waitForSelector("#help", { state: "detached" });
  await page.keyboard.press("d");
  equal(await page.evaluate(browser.theme), "dark");
});

inPage("everything can be reached by the tab key, and the focus can be seen", async ({ page, show }) => {
  await show("#/queue");
  const seen = new Set<string>();
  for (let at = 0; at < 26; at++) {
    await page.keyboard.press("Tab");
    const [name, outline] = await page.evaluate(browser.focus);
    seen.add(name!);
    ok(outline !== "none", `${name} shows no focus`);
  }
  for (const name of ["To the content", "Search messages", "Keyboard help", "Choose all that are shown"]) {
    ok([...seen].some((one) => one.startsWith(name)), `${name} is not among ${[...seen].join(", ")}`);
  }
});

inPage("on a phone the views are behind a button", async ({ page, show }) => {
  await show("#/");
  equal(await page.locator("nav").isVisible(), false);
  await page.click('[aria-label="Menu"]');
  await page.click("nav >> text=Walls");
  await page.waitForSelector(".wall");
  equal(await page.locator("nav").isVisible(), false);
  deepEqual(await brokenRules(page), []);
}, { size: SIZES[0] });
