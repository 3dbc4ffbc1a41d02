/** Who may log in, as lookup decides it; the login isolate and main are stood in for. */

import assert from "node:assert/strict";
import type { Channel } from "../../src/isolate/mod.ts";
import type { FromLogin, LookupSettings, PasswordCheck, ToLogin } from "../../src/protocol/mod.ts";
import { Logins, NOBODYS } from "../../src/lookup/logins.ts";
import { prove, verify } from "../../src/login/mod.ts";
import { LookupError } from "../../src/tables/mod.ts";

const TABLE: Readonly<Record<string, string>> = {
  carol: "$6$salt$right",
  dora: "dora:$6$salt$right",
  yves: "$y$j9T$salt$right",
  clear: "sesame",
  odd: "$6$salt$odd",
  dovecot: "{SHA512-CRYPT}$6$salt$right",
  doved: "doved:{blf-crypt}$2y$salt$right",
  plain: "{PLAIN}right",
  sha1: "{SSHA}c2VzYW1lcmlnaHQ=",
  b64: "{SHA512-CRYPT.b64}JDYkc2FsdCRyaWdodA==",
  locked: "!$6$salt$right",
  // RFC 7677 §3: the password is "pencil".
  user:
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
  weak:
    "SCRAM-SHA-256$1000:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
};
const SALT_KEY = new Uint8Array(32).fill(7);

/** Hashes whose password is "sesame" end in `right`. */
function logins(authTables: readonly (string | null)[] = ["logins"]) {
  const asked: string[] = [];
  const warnings: string[] = [];
  const judge = (who: string, hash: string, password: string): PasswordCheck => {
    asked.push(`${who} ${hash}`);
    if (hash.endsWith("odd")) return "unknown";
    return hash.endsWith("right") && password === "sesame" ? "match" : "mismatch";
  };
  const channel: Channel<ToLogin, FromLogin> = {
    onmessage: () => {},
    onreset: () => {},
    send(question) {
      const { call } = question;
      if (question.type === "verify") {
        const result = judge("login", question.hash, question.password);
        return queueMicrotask(() => channel.onmessage({ type: "verified", call, result }));
      }
      const { verifier, message, proof } = question;
      queueMicrotask(() => channel.onmessage({ type: "proved", call, ...prove(verifier, message, proof) }));
    },
  };
  const world = {
    passwordOf: (table: string, user: string) => table === "broken" ? new LookupError("no disk") : TABLE[user] ?? null,
    authenticate: (table: string, user: string, password: string) =>
      Promise.resolve(table !== "program" ? null : user === "away" ? new LookupError("away") : password === "sesame"),
    somePassword: () => "$6$salt$pattern",
    scramOf: (table: string) => table === "scram" || table === "broken" ? { iterations: 4096, saltBytes: 16 } : null,
  };
  const harness = {
    login: (user: string, password: string) =>
      Promise.resolve(user === "root" ? "unknown" as const : judge("system", `${user} right`, password)),
    crypt: (hash: string, password: string) => Promise.resolve(judge("crypt", hash, password)),
  };
  const isolate = {
    settings: { authTables, saltKey: SALT_KEY } as unknown as LookupSettings,
    ask: () => channel as never,
  };
  return { logins: new Logins(isolate, world, harness, (text) => warnings.push(text)), asked, warnings };
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
  { name: "dovecot's scheme before the hash", user: "dovecot", want: "ok", asked: ["login $6$salt$right"] },
  { name: "in any case of letters, behind the user", user: "doved", want: "ok", asked: ["login $2y$salt$right"] },
  { name: "a password that is said to be in clear", user: "plain", want: "ok", asked: ["login {PLAIN}right"] },
  { name: "a scheme that is not known", user: "sha1", want: "tempfail", asked: [] },
  { name: "an encoding that is not known", user: "b64", want: "tempfail", asked: [] },
  { name: "a locked user costs as much as any", user: "locked", want: "permfail", asked: ["login $6$salt$pattern"] },
  { name: "a table that cannot be read", table: "broken", want: "tempfail", asked: [] },
  { name: "a program that has the service auth is asked alone", table: "program", want: "ok", asked: [] },
  { name: "a password that the program does not take", table: "program", password: "x", want: "permfail", asked: [] },
  { name: "a program that cannot answer", table: "program", user: "away", want: "tempfail", asked: [] },
  { name: "a table of no listener is not asked", table: "secrets", want: "tempfail", asked: [] },
  { name: "system accounts where no listener asks for them", table: null, want: "tempfail", asked: [] },
  { name: "an empty password", password: "", want: "tempfail", asked: [] },
  { name: "a password that is too long", password: "x".repeat(1024), want: "tempfail", asked: [] },
];

for (const { name, table = "logins", user = "carol", password = "sesame", want, asked } of rows) {
  Deno.test(`authenticate(): ${name}: ${want}`, async () => {
    const world = logins(["logins", "broken", "program"]);
    assert.equal(await world.logins.authenticate({ table, user, password }), want);
    assert.deepEqual(world.asked, asked);
    assert.ok(!JSON.stringify(world.warnings).match(/sesame|\$6|\$y/), "no secret is logged");
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

// The exchange of RFC 7677 §3.
const MESSAGE = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," +
  "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const PROOF = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SIGNATURE = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

Deno.test("challenge() gives a user's salt, and a stranger one that does not change", async () => {
  const { logins: first, warnings } = logins(["scram", "logins"]);
  assert.deepEqual(await first.challenge("scram", "user"), { salt: "W22ZaJ0SNY7soEsUEjb6gQ==", iterations: 4096 });
  const fake = await first.challenge("scram", "stranger");
  assert.equal(atob(fake!.salt).length, 16);
  assert.equal(fake!.iterations, 4096);
  assert.deepEqual(await first.challenge("scram", "Stranger"), fake, "names are the same in any case");
  assert.notDeepEqual(await first.challenge("scram", "another"), fake);
  assert.deepEqual(await logins(["scram"]).logins.challenge("scram", "stranger"), fake, "after a restart too");
  assert.equal(await first.challenge("logins", "carol"), null, "of a table with other hashes nothing is logged");
  assert.equal(await first.challenge("secrets", "user"), null, "nor of one that no listener has");
  assert.deepEqual(warnings, []);
  assert.equal(await first.challenge("scram", "weak"), null, "nor of a verifier that is no good");
  assert.equal(warnings.length, 1);
});

const proofs = [
  { name: "the right proof", want: "ok" },
  { name: "a wrong proof", proof: PROOF.replace("dHzb", "dHzc"), want: "permfail" },
  { name: "the proof for another exchange", message: `${MESSAGE}x`, want: "permfail" },
  { name: "a proof of no length", proof: "", want: "tempfail" },
  { name: "a proof that is too short", proof: "AAAA", want: "permfail" },
  { name: "a user who does not exist", user: "stranger", want: "permfail" },
  { name: "a user with another hash", user: "carol", want: "permfail" },
  { name: "a verifier that is no good", user: "weak", want: "tempfail" },
  { name: "a table that cannot be read", table: "broken", want: "tempfail" },
  { name: "a table with other hashes", table: "logins", want: "tempfail" },
  { name: "a message that is too long", message: "x".repeat(5000), want: "tempfail" },
] as const;

for (const row of proofs) {
  Deno.test(`prove(): ${row.name}: ${row.want}`, async () => {
    const world = logins(["scram", "broken", "logins"]);
    const { want, name: _, ...changes } = row;
    const question = { table: "scram", user: "user", message: MESSAGE, proof: PROOF, ...changes };
    const { result, signature } = await world.logins.prove(question);
    assert.equal(result, want);
    assert.equal(signature, want === "ok" ? SIGNATURE : "");
    assert.ok(!JSON.stringify(world.warnings).match(/SCRAM|WG5d/), "no secret is logged");
  });
}

Deno.test("authenticate() takes the password of a SCRAM verifier to the login isolate", async () => {
  const world = logins(["scram"]);
  assert.equal(await world.logins.authenticate({ table: "scram", user: "user", password: "pencil" }), "permfail");
  assert.deepEqual(world.asked, [`login ${TABLE.user}`]);
  assert.equal(await verify("pencil", TABLE.user!), "match");
  assert.equal(await verify("Pencil", TABLE.user!), "mismatch");
});
