/** The files of the page, as answers: a browser keeps them and asks whether they are still the same. */

import { PAGE_ASSETS, type PageAsset } from "./page/mod.ts";

/** Octets of a hash that tell two versions of a file apart. */
const TAG_OCTETS = 12;

const tags = new Map<string, Promise<string>>();

/** The paths of all files. */
export const ASSET_PATHS: readonly string[] = Object.keys(PAGE_ASSETS);

/** Answers a request for a file of the page, with 304 when the browser has it; null when there is no such file. `known`: its If-None-Match. */
export async function answerAsset(path: string, known: string | null): Promise<Response | null> {
  const asset = Object.hasOwn(PAGE_ASSETS, path) ? PAGE_ASSETS[path] : undefined;
  if (asset === undefined) return null;
  const tag = await tagOf(path, asset);
  const headers = { "Content-Type": asset.type, "Cache-Control": "no-cache", ETag: tag };
  const isKnown = known !== null && known.split(",").some((one) => one.trim().replace(/^W\//, "") === tag);
  return isKnown ? new Response(null, { status: 304, headers }) : new Response(asset.body, { headers });
}

function tagOf(path: string, { body }: PageAsset): Promise<string> {
  let tag = tags.get(path);
  if (tag === undefined) {
    tag = crypto.subtle.digest("SHA-256", new TextEncoder().encode(body))
      .then((digest) => `"${new Uint8Array(digest).subarray(0, TAG_OCTETS).toHex()}"`);
    tags.set(path, tag);
  }
  return tag;
}
