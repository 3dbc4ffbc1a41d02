/** `smtpctl admin token`: makes a token, has the daemon keep its hash, and prints it once. The daemon never sees the token before it is used. */

import type { Environment } from "../../config/mod.ts";
import { controlSocketPath } from "../../config/paths.ts";
import { parseDelay } from "../../config/values.ts";
import { askControl, type ControlAnswer } from "../../control/mod.ts";
import { safeJson, safeLine } from "../../events/mod.ts";
import type { Terminal } from "../terminal.ts";
import type { AdminTokenOrder } from "./commands.ts";

/** By it a token is known for one, in a file where it should not be. */
const PREFIX = "vp_";
const TOKEN_OCTETS = 32;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** A command line that means nothing exits with this status. */
const EX_INVALID = 255;

/** Makes a token. Returns the exit status. Rejects when the daemon cannot be asked. */
export async function makeToken(order: AdminTokenOrder, env: Environment, terminal: Terminal): Promise<number> {
  const { name, expires, json } = order;
  const wrong = faultOf(order);
  if (wrong !== null) {
    terminal.err(`smtpctl admin token: ${wrong}\n`);
    return EX_INVALID;
  }
  const scope = order.read ? "read" : "write";
  const expiresAt = expires === null ? null : Date.now() + parseDelay(expires)! * 1000;
  const token = PREFIX +
    crypto.getRandomValues(new Uint8Array(TOKEN_OCTETS)).toBase64({ alphabet: "base64url", omitPadding: true });
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token))).toHex();
  const answer = await lastOf(
    askControl(controlSocketPath(env), { do: "admin-token", name, scope, hash, expiresAt }),
  );
  if ("error" in answer) {
    terminal.err(`smtpctl: ${safeLine(answer.error)}\n`);
    return 1;
  }
  const until = expiresAt === null ? null : new Date(expiresAt).toISOString();
  if (json) terminal.out(`${safeJson({ name: answer.name, scope, expiresAt: until, token })}\n`);
  else {
    terminal.out(`${token}\n`);
    const end = until === null ? "until it is revoked" : `until ${until}`;
    const may = scope === "read" ? "read" : "read and write";
    terminal.err(
      `This is "${answer.name}", which may ${may} ${end}. It is shown this once: keep it like a password.\n`,
    );
  }
  return 0;
}

/** What cannot be meant; null when all is right. */
function faultOf({ read, write, name, expires }: AdminTokenOrder): string | null {
  if (read && write) return "--write includes --read: give one of them";
  if (name !== null && !NAME.test(name)) {
    return `"${
      safeLine(name)
    }" is no name of a token: up to 64 letters, digits, ".", "_" and "-", of which the first is a letter or a digit`;
  }
  if (expires !== null && parseDelay(expires) === null) {
    return `"${safeLine(expires)}" is no time: a number with s, m, h or d, such as 30d, is needed`;
  }
  return null;
}

/** The name that the daemon keeps it by, or why it does not. */
async function lastOf(
  answers: AsyncIterable<ControlAnswer>,
): Promise<{ readonly name: string } | { readonly error: string }> {
  let name = "";
  for await (const answer of answers) {
    if ("record" in answer) name = String(answer.record.name);
    else if ("ok" in answer) return answer.ok ? { name } : { error: answer.error };
  }
  return { error: "the daemon broke off" };
}
