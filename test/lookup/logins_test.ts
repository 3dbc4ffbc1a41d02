/** Who may log in, as lookup decides it; the login isolate and main are stood in for. */

import assert from "node:assert/strict";
import type { Channel, FromLogin, LookupSettings, ToLogin, Verdict } from "../../src/isolate/mod.ts";
import { Logins, NOBODYS } from "../../src/lookup/logins.ts";
import { verify } from "../../src/login/mod.ts";
import { LookupError } from "../../src/tables/mod.ts";

const TABLE: Readonly<Record<string, string>> = {
  carol: "$6$salt$right",
  dora: "dora:$6$salt$right",
  yves: "$y$j9T$salt$right",
  clear: "sesame",
  odd: "$6$salt$odd",
};

/** Hashes whose password is "sesame" end in `right`. */
function logins(authTables: readonly (string | null)[] = ["logins"]) {
  const asked: string[] = [];
  const warnings: string[] = [];
  const judge = (who: string, hash: string, password: string): Verdict => {
    asked.push(`${who} ${hash}`);
    if (hash.endsWith("odd")) return "unknown";
    return hash.endsWith("right") && password === "sesame" ? "match" : "mismatch";
  };
  const channel: Channel<ToLogin, FromLogin> = {
    onmessage: () => {},
    onreset: () => {},
    send({ call, hash, password }) {
      const verdict = judge("login", hash, password);
      queueMicrotask(() => channel.onmessage({ type: "verified", call, verdict }));
    },
  };
  const world = {
    passwordOf: (table: string, user: string) => table === "broken" ? new LookupError("no disk") : TABLE[user] ?? null,
    somePassword: () => "$6$salt$pattern",
  };
  const house = {
    login: (user: string, password: string) =>
      Promise.resolve(user === "root" ? "unknown" as const : judge("system", `${user} right`, password)),
    crypt: (hash: string, password: string) => Promise.resolve(judge("crypt", hash, password)),
  };
  const isolate = { settings: { authTables } as unknown as LookupSettings, ask: () => channel as never };
  return { logins: new Logins(isolate, world, house, (text) => warnings.push(text)), asked, warnings };
}

interface Row {
  readonly name: string;
  readonly table?: string | null;
  readonly user?: string;
  readonly password?: string;
  readonly want: "ok" | "permfail" | "tempfail";
  readonly asked: readonly string[];
}

const rows: readonly Row[] = [
  { name: "the right password", want: "ok", asked: ["login $6$salt$right"] },
  { name: "a value with the user before the hash", user: "dora", want: "ok", asked: ["login $6$salt$right"] },
  { name: "a wrong password", password: "Sesame", want: "permfail", asked: ["login $6$salt$right"] },
  {
    name: "an unknown user costs as much as a wrong password",
    user: "x",
    want: "permfail",
    asked: ["login $6$salt$pattern"],
  },
  { name: "a scheme of the C library goes to main", user: "yves", want: "ok", asked: ["crypt $y$j9T$salt$right"] },
  { name: "a password in clear in the table lets nobody in", user: "clear", want: "tempfail", asked: [] },
  { name: "a hash that cannot be verified", user: "odd", want: "tempfail", asked: ["login $6$salt$odd"] },
  { name: "a table that cannot be read", table: "broken", want: "tempfail", asked: [] },
  { name: "a table of no listener is not asked", table: "secrets", want: "tempfail", asked: [] },
  { name: "system accounts where no listener asks for them", table: null, want: "tempfail", asked: [] },
  { name: "an empty password", password: "", want: "tempfail", asked: [] },
  { name: "a password that is too long", password: "x".repeat(1024), want: "tempfail", asked: [] },
];

for (const { name, table = "logins", user = "carol", password = "sesame", want, asked } of rows) {
  Deno.test(`authenticate(): ${name}: ${want}`, async () => {
    const world = logins(["logins", "broken"]);
    assert.equal(await world.logins.authenticate({ table, user, password }), want);
    assert.deepEqual(world.asked, asked);
    assert.ok(!JSON.stringify(world.warnings).match(/sesame|\$6|\$y/), "no secret is told");
  });
}

Deno.test("authenticate() asks main for system accounts, and root is needed for that", async () => {
  const world = logins([null]);
  assert.equal(await world.logins.authenticate({ table: null, user: "bob", password: "sesame" }), "ok");
  assert.equal(await world.logins.authenticate({ table: null, user: "bob", password: "no" }), "permfail");
  assert.equal(await world.logins.authenticate({ table: null, user: "root", password: "no" }), "tempfail");
  assert.equal(world.warnings.length, 1);
});

Deno.test("the hash that stands in for an unknown user's is a real one, which no password fits", async () => {
  assert.equal(await verify("sesame", NOBODYS), "mismatch");
});
