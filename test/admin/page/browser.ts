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

/** Starts it with a profile of its own, which goes with it, and perhaps with other fonts than the machine's: a file of fontconfig. */
export async function startChromium(path: string, fonts: string | null = null): Promise<Browser> {
  const executablePath = await Deno.makeTempFile({ prefix: "vaultpost-chromium-" });
  try {
    // By root it would give its threads a higher priority than all other tests have.
    const quiet = Deno.uid() === 0 ? "nice -n 10 setpriv --bounding-set=-sys_nice" : "nice -n 10";
    await Deno.writeTextFile(executablePath, `#!/bin/sh\nexec ${quiet} '${path}' "$@"\n`);
    await Deno.chmod(executablePath, 0o755);
    return await launch(executablePath, fonts);
  } finally {
    await Deno.remove(executablePath);
  }
}

async function launch(executablePath: string, fonts: string | null): Promise<Browser> {
  return await chromium.launch({
    executablePath,
    ...fonts === null ? {} : { env: { ...Deno.env.toObject(), FONTCONFIG_FILE: fonts } },
    args: [
      ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
      ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
      // Names lead nowhere: nothing is asked of a network.
      "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
    ],
  });
}

/** Makes a file of fontconfig in `folder` for screenshots, with the fonts that are unpacked in .deno/tools/fonts-inter; null when there are none. */
export function fontsFor(folder: string): string | null {
  const fonts = `${TOOLS}fonts-inter`, file = `${folder}/fonts.conf`;
  if (!exists(fonts)) return null;
  const alias = (family: string, use: string) =>
    `<match target="pattern"><test name="family"><string>${family}</string></test><edit name="family" mode="assign" binding="strong"><string>${use}</string></edit></match>`;
  Deno.writeTextFileSync(
    file,
    `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig><dir>${fonts}</dir><dir>/usr/share/fonts</dir><cachedir>${folder}/fonts</cachedir>
${["system-ui", "sans", "sans-serif", "Arial", "Roboto", "Segoe UI"].map((family) => alias(family, "Inter")).join("")}
${
      ["ui-monospace", "monospace", "Menlo", "Consolas"].map((family) => alias(family, "JetBrains Mono")).join("")
    }</fontconfig>`,
  );
  return file;
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
