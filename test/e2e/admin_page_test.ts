/** The admin page of a real daemon in Chromium: from a message that arrives to its story, and acts on what waits, until the daemon is gone and back. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { findChromium, startChromium } from "../admin/page/browser.ts";
import * as browser from "../admin/page/in_page.js";
import { freePort } from "../ports.ts";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, OWNER, withDaemon } from "./harness.ts";
import type { Page } from "playwright-core";

const chromium = await findChromium();
if (chromium === null) {
  console.log(
    "SKIPPED: the tests of the admin page need Chromium, which is not here: install Debian's package chromium",
  );
}
/** Who waits longer has failed, in ms. */
const LIMIT_MS = 20_000;

/** Runs `body` in a tab at the page of a daemon; nothing may go wrong in it but what `mayFail` says. */
async function inPage(
  daemon: Daemon,
  address: string,
  body: (page: Page) => Promise<void>,
  mayFail = /^$/,
): Promise<void> {
  const chrome = await startChromium(chromium!);
  const wrong: string[] = [];
  try {
    const page = await chrome.newPage({ reducedMotion: "reduce" });
    page.setDefaultTimeout(LIMIT_MS);
    page.on("pageerror", (error) => wrong.push(error.message));
    page.on("console", (message) => {
      if (/error|warning/.test(message.type()) && !mayFail.test(message.text())) wrong.push(message.text());
    });
    await page.addInitScript(browser.watch);
    await page.goto(address);
    await body(page);
    deepEqual((await page.evaluate(browser.watched)).violations, []);
  } finally {
    await chrome.close();
  }
  deepEqual(wrong, []);
  ok(!daemon.log.some((line) => line.includes("vp_")), "no token is in the log");
}

/** Sends a message to each of `recipients`; answers the id of the last. */
async function send(daemon: Daemon, ...recipients: string[]): Promise<string> {
  const from = daemon.log.length, client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.net", "250");
  for (const to of recipients) {
    await client.say(`MAIL FROM:<ada@${DOMAIN}>`, "250");
    await client.say(`RCPT TO:<${to}>`, "250");
    await client.say("DATA", "354");
    await client.say("Subject: x\r\nMessage-ID: <1@example.org>\r\n\r\nx\r\n.", "250");
  }
  await client.say("MAIL FROM:<b@example.net>", "250");
  await client.say('RCPT TO:<"<script>alert(1)</script>"@nowhere.example>', "550");
  client.close();
  const line = await daemon.logged(/ smtp envelope evpid=/, from, recipients.length);
  return /evpid=(\w+)/.exec(line)![1]!;
}

function config(port: number, history: string) {
  return (daemon: { port: number; mail: string }) =>
    `admin listen on 127.0.0.1 port ${port}
${history}listen on socket
listen on 127.0.0.1 port ${daemon.port} hostname mx.${DOMAIN}
action "inbox" maildir "${daemon.mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
action "out" relay host "smtp://127.0.0.1:1"
match from any for domain "${DOMAIN}" action "inbox"
match from any for domain "far.example" action "out"
`;
}

Deno.test({
  name: "what arrives is seen at once, is found, and has its story, on the page of a real daemon",
  ignore: chromium === null,
  fn: async () => {
    const port = freePort();
    await withDaemon({ config: config(port, "history keep 1d\n"), twoUsers: Deno.uid() === 0 }, async (daemon) => {
      await inPage(daemon, `http://127.0.0.1:${port}/`, async (page) => {
        await page.waitForSelector('.link:has-text("Live")');
        await send(daemon, `bob@${DOMAIN}`);
        await page.waitForSelector('.feed li:has-text("delivered")');
        await page.waitForSelector('.feed li:has-text("refused")');
        equal(await page.locator("figure svg").count(), 6);
        for (const view of ["#/queue", "#/lanes", "#/sessions", "#/health", "#/walls"]) {
          await page.evaluate(browser.go, view);
          await page.waitForFunction(browser.isThere, view);
          equal(await page.locator("main h1").count(), 1);
          ok(!/That did not work|undefined|NaN/.test(await page.locator("main").innerText()), view);
        }
        ok(await page.locator(".wall .marks.ok li").count() > 5);
        await page.keyboard.press("/");
        await page.keyboard.type("ada");
        await page.keyboard.press("Enter");
        await page.click('tbody tr:has-text("delivered") [data-row]');
        await page.waitForSelector(".timeline li");
        match(await page.locator(".standing").innerText(), /bob@example\.org/);
        match(await page.locator(".tree").innerText(), /smtpd\.conf:7/);
        await page.evaluate(browser.go, "#/messages?q=nowhere.example");
        await page.click('tbody tr:has-text("refused") [data-row]');
        await page.waitForSelector(".timeline li.bad");
        await page.click("text=Show the dialogue");
        await page.waitForSelector('.dialogue:has-text("<script>alert(1)</script>")');
      });
    });
  },
});

Deno.test({
  name: "a login by a token, hold, release, retry and removal, and a daemon that goes and comes back",
  ignore: chromium === null,
  fn: async () => {
    const port = freePort(), address = `http://127.0.0.1:${port}/`;
    await withDaemon({ config: config(port, "") }, async (daemon) => {
      const id = await send(daemon, "x@far.example");
      await daemon.logged(/ mta delivery .*result="TempFail"/);
      const { stdout } = await daemon.tool("smtpctl", ["admin", "token", "--write", "--name", "ops"]);
      await inPage(daemon, `${address}#/login?back=${encodeURIComponent(`#/queue/${id}`)}`, async (page) => {
        await page.fill("#token", `${stdout.trim().slice(0, -1)}!`);
        await page.press("#token", "Enter");
        await page.waitForSelector('.failure:has-text("unknown")');
        await page.fill("#token", stdout.trim());
        await page.press("#token", "Enter");
        await page.waitForSelector('.who:has-text("ops may write")');
        const act = async (name: string) => await page.click(`.strip button:text-is("${name}")`);
        await act("Hold");
        await page.waitForSelector('.facts .chip:text-is("held")');
        await act("Release");
        await page.waitForSelector('.facts .chip:text-is("waiting")');
        await act("Retry now");
        await daemon.logged(/ mta delivery .*result="TempFail"/, 0, 2);
        await page.waitForSelector('.facts div:has(dt:text-is("Tries")):has-text("2")');
        await act("Remove…");
        await page.click("#question .danger");
        await daemon.logged(new RegExp(`^admin: admin:ops hold evpid=${id} `), 0, 2);
        await page.click("[data-undo]");
        await daemon.logged(new RegExp(`^admin: admin:ops release evpid=${id} `), 0, 2);
        await page.evaluate(browser.go, "#/messages");
        await page.waitForSelector('.blank:has-text("History is off")');
        await page.evaluate(browser.go, "#/queue");
        await page.waitForSelector("tbody tr");
        equal(await daemon.stop(), 0);
        await page.waitForSelector(".gone");
        equal(await page.locator("tbody tr").count(), 1);
        await daemon.launch();
        await page.click(".gone button");
        await page.waitForSelector(".gone", { state: "detached" });
        // Logins are in memory only.
        await page.waitForSelector('.who:has-text("Reading only")');
      }, /status of (401|404)|ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY/);
    });
  },
});
