/** Debian's Chromium, driven by playwright-core: where it is, and how it is started. It has no network but the loopback. */

import { type Browser, chromium } from "playwright-core";
import { fileURLToPath } from "node:url";

const TOOLS = fileURLToPath(new URL("../../../.deno/tools/", import.meta.url));
/** What else a machine may have. */
const NAMES = ["chromium", "chromium-browser", "google-chrome"];
/** It is unpacked beside other checks; who comes first waits. */
const UNPACKED_MS = 180_000, LOOK_MS = 500;

/** Returns the path of a Chromium; null when there is none, after waiting for one that is being unpacked. */
export async function findChromium(): Promise<string | null> {
  const loading = Deno.env.get("VAULTPOST_CHROMIUM_LOADS");
  const until = Date.now() + UNPACKED_MS;
  while (loading !== undefined && exists(loading) && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  const folders = [`${TOOLS}bin`, ...(Deno.env.get("PATH") ?? "").split(":")];
  return folders.flatMap((folder) => NAMES.map((name) => `${folder}/${name}`)).find(exists) ?? null;
}

/** Starts it with a profile of its own, which goes with it. */
export async function startChromium(executablePath: string): Promise<Browser> {
  return await chromium.launch({
    executablePath,
    args: [
      ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
      ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
      // Names lead nowhere: nothing is asked of a network.
      "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
    ],
  });
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
