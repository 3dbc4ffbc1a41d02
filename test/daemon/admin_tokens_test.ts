/** The file of the tokens of the admin page: what is kept, how, and what becomes of one that cannot be used. */

import { deepEqual, equal, match } from "node:assert/strict";
import { join } from "node:path";
import { AdminTokens } from "../../src/daemon/admin_tokens.ts";
import type { AdminToken } from "../../src/protocol/mod.ts";

const token = (name: string): AdminToken => ({
  name,
  scope: "read",
  hash: "0123456789abcdef".repeat(4),
  createdAt: 1,
  expiresAt: null,
  usedAt: null,
});

async function withFolder(use: (folder: string, file: string) => void): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-tokens-" });
  try {
    use(join(folder, "state"), join(folder, "state/admin-tokens.json"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function keeper(folder: string): { tokens: AdminTokens; warnings: string[] } {
  const warnings: string[] = [];
  return { tokens: new AdminTokens(folder, (text) => warnings.push(text)), warnings };
}

const add = (tokens: AdminTokens, name: string) =>
  tokens.answer({ type: "add-admin-token", call: 1, token: token(name) });
const list = (tokens: AdminTokens) => tokens.answer({ type: "admin-tokens", call: 1 });

Deno.test("tokens are kept for the next start, in a file and a folder of root alone", async () => {
  await withFolder((folder, file) => {
    const { tokens } = keeper(folder);
    deepEqual(list(tokens), { tokens: [], error: null });
    deepEqual(add(tokens, "a"), { tokens: [token("a")], error: null });
    equal(add(tokens, "b").tokens.length, 2);
    tokens.used({ name: "b", at: 7 });
    tokens.used({ name: "nobody", at: 7 });
    equal(Deno.statSync(file).mode! & 0o777, 0o600);
    equal(Deno.statSync(folder).mode! & 0o777, 0o700);
    deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["admin-tokens.json"]);
    const next = keeper(folder).tokens;
    deepEqual(list(next).tokens, [token("a"), { ...token("b"), usedAt: 7 }]);
    deepEqual(next.answer({ type: "remove-admin-token", call: 1, name: "a" }).tokens.map(({ name }) => name), ["b"]);
    match(next.answer({ type: "remove-admin-token", call: 1, name: "a" }).error!, /there is no token "a"/);
    match(add(next, "b").error!, /there is a token "b" already: revoke it first/);
    equal(list(keeper(folder).tokens).tokens.length, 1);
  });
});

Deno.test("there are at most 100", async () => {
  await withFolder((folder) => {
    const { tokens } = keeper(folder);
    for (let count = 0; count < 100; count++) equal(add(tokens, `t${count}`).error, null);
    match(add(tokens, "more").error!, /100 tokens, which is the most/);
    equal(list(tokens).tokens.length, 100);
  });
});

const UNUSABLE: readonly (readonly [because: string, text: string])[] = [
  ["is empty", ""],
  ["is cut off", '{"format":1,"tokens":[{"name":'],
  ["is of another version", JSON.stringify({ format: 2, tokens: [] })],
  ["has no list", JSON.stringify({ format: 1, tokens: {} })],
  ["has a token without a hash", JSON.stringify({ format: 1, tokens: [{ ...token("a"), hash: "x" }] })],
  ["has more than there may be", JSON.stringify({ format: 1, tokens: Array(101).fill(token("a")) })],
];
for (const [because, text] of UNUSABLE) {
  Deno.test(`a file that ${because} lets nobody in, is said once, stays as it is, and can be mended`, async () => {
    await withFolder((folder, file) => {
      Deno.mkdirSync(folder, { mode: 0o700 });
      Deno.writeTextFileSync(file, text);
      const { tokens, warnings } = keeper(folder);
      for (const answer of [list(tokens), add(tokens, "a"), list(tokens)]) {
        deepEqual(answer.tokens, []);
        match(answer.error!, /admin-tokens\.json cannot be used, so that no token is good: .*move it away/);
      }
      tokens.used({ name: "a", at: 1 });
      equal(warnings.length, 1);
      equal(Deno.readTextFileSync(file), text);
      Deno.removeSync(file);
      equal(add(tokens, "a").error, null);
    });
  });
}

Deno.test("what cannot be written is not kept, and said", async () => {
  await withFolder((folder, file) => {
    const { tokens, warnings } = keeper(folder);
    add(tokens, "a");
    // Root may write everywhere, but over no folder.
    Deno.mkdirSync(`${file}.new`);
    Deno.mkdirSync(`${file}.new/x`);
    const answer = add(tokens, "b");
    match(answer.error!, /^cannot write .*admin-tokens\.json: /);
    deepEqual(answer.tokens, [token("a")]);
    equal(warnings.length, 1);
    deepEqual(list(tokens).tokens, [token("a")]);
  });
});
