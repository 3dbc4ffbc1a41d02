/** Logins beyond one dialogue: addresses that fail too often, lookup that is replaced, clients that do not wait, what is kept of a secret. */

import assert from "node:assert/strict";
import { type Client, World, type WorldOptions } from "./support.ts";

const SMTPS: WorldOptions = { listener: { tls: "smtps", auth: { required: true, table: "logins" } } };
const plain = (user: string, password: string) => `AUTH PLAIN ${btoa(`\0${user}\0${password}`)}\r\n`;

async function secured(world: World): Promise<Client> {
  const client = await world.connect();
  client.connection.secured({
    ciphers: "TLSv1.3:TLS_AES_256_GCM_SHA384:256",
    verified: false,
    fingerprint: null,
    binding: null,
  });
  await client.say("EHLO a.example\r\n");
  return client;
}

Deno.test("an address that failed too often gets a temporary refusal; others may log in", async () => {
  const world = new World(SMTPS);
  const asked = () => world.lookup.sent.filter(({ type }) => type === "authenticate").length;
  for (let session = 0; session < 10; session++) {
    const client = await secured(world);
    for (let attempt = 0; attempt < 2; attempt++) {
      await client.say(plain("carol", "wrong"));
      await world.pass(1000);
      assert.match(client.wire.take(), /^535 /);
    }
    client.leave();
  }
  assert.equal(asked(), 20);
  const client = await secured(world);
  assert.match(await client.say(plain("carol", "sesame")), /^454 4\.7\.0 Too many failed authentications/);
  await world.pass(600_000);
  const later = await secured(world);
  assert.match(await later.say(plain("carol", "sesame")), /^235 /);
});

for (
  const [actAs, code, because] of [
    ["", 235, "nobody to act as"],
    ["carol", 235, "the one who logs in"],
    ["dave", 535, "somebody else"],
    ["Carol", 535, "names are compared with their case"],
    ["carol@example.org", 535, "another name of the same person, perhaps"],
  ] as const
) {
  Deno.test(`AUTH PLAIN to act as "${actAs}" is answered with ${code} (RFC 4616 §2): ${because}`, async () => {
    const world = new World(SMTPS);
    const client = await secured(world);
    let said = await client.say(`AUTH PLAIN ${btoa(`${actAs}\0carol\0sesame`)}\r\n`);
    if (code !== 235) assert.equal(said, "", "it is answered as late as a wrong password");
    await world.pass(1000);
    said += client.wire.take();
    assert.equal(said.slice(0, 3), `${code}`);
    const asked = world.lookup.sent.flatMap((one) => one.type === "authenticate" ? [one.password] : []);
    assert.deepEqual(asked, [code === 235 ? "sesame" : ""], "whether the password is right is not found out");
  });
}

Deno.test("SCRAM to act as somebody else fails with 535, and counts as a wrong password (RFC 5802 §5.1)", async () => {
  const world = new World({ listener: { tls: "smtps", auth: { required: true, table: "scram" } } });
  const client = await secured(world);
  for (const [attempt, last] of [[1, false], [2, false], [3, true]] as const) {
    assert.equal(await client.say(`AUTH SCRAM-SHA-256 ${btoa(`n,a=other${attempt},n=user,r=x`)}\r\n`), "");
    await world.pass(1000);
    assert.match(client.wire.take(), last ? /^421 4\.7\.0 / : /^535 5\.7\.8 /);
  }
});

/** The exchange of RFC 7677 §3 up to the proof, with a wrong one unless `proof` is given. */
async function scram(client: Client, proof = btoa("x".repeat(32))): Promise<string> {
  const first = await client.say(`AUTH SCRAM-SHA-256 ${btoa("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")}\r\n`);
  if (!first.startsWith("334 ")) return first;
  return await client.say(`${btoa(`c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=${proof}`)}\r\n`);
}
const RIGHT = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

Deno.test("wrong proofs of SCRAM are delayed, end the session and shut out the address as wrong passwords do", async () => {
  const world = new World({ listener: { tls: "smtps", auth: { required: true, table: "scram" } } });
  const asked = () => world.lookup.sent.filter(({ type }) => type === "prove").length;
  let failures = 0;
  for (; failures < 20;) {
    const client = await secured(world);
    for (let attempt = 1; attempt <= 3 && failures < 20; attempt++, failures++) {
      assert.equal(await scram(client), "", "nothing is said at once");
      await world.pass(1000);
      const said = client.wire.take();
      if (attempt < 3) assert.match(said, /^535 5\.7\.8 /);
      else assert.match(said, /^421 4\.7\.0 Too many failed authentications/);
      assert.equal(client.wire.closed, attempt === 3);
    }
    client.leave();
  }
  assert.equal(asked(), 20);
  const client = await secured(world);
  assert.match(await scram(client, RIGHT), /^454 4\.7\.0 Too many failed authentications/, "before a salt is sent");
  assert.equal(asked(), 20);
  await world.pass(600_000);
  const later = await secured(world);
  assert.match(await scram(later, RIGHT), /^334 /);
  assert.match(await later.say("\r\n"), /^235 /);
});

Deno.test("a client that waits for its salt when lookup is replaced gets a reply that says so", async () => {
  const world = new World({ listener: { tls: "smtps", auth: { required: true, table: "scram" } } });
  const client = await secured(world);
  assert.equal(await client.say(`AUTH SCRAM-SHA-256 ${btoa("n,,n=silent,r=x")}\r\n`), "");
  world.lookup.onreset();
  assert.match(await client.say(""), /^421 4\.3\.0 /);
});

Deno.test("a client that waits for a login when lookup is replaced gets a reply that says so", async () => {
  const world = new World(SMTPS);
  const client = await secured(world);
  assert.equal(await client.say(plain("carol", "silent")), "");
  world.lookup.onreset();
  assert.match(await client.say(""), /^421 4\.3\.0 /);
  assert.ok(client.wire.closed);
});

Deno.test("what is pipelined behind AUTH is done after it, in order", async () => {
  const world = new World(SMTPS);
  const client = await secured(world);
  const said = await client.say(`AUTH LOGIN\r\n${btoa("carol")}\r\n${btoa("sesame")}\r\nMAIL FROM:<a@example.net>\r\n`);
  const codes = said.trimEnd().split("\r\n").map((line) => line.slice(0, 3));
  assert.deepEqual(codes, ["334", "334", "235", "250"]);
});

Deno.test("a password is in no event and not in the session", async () => {
  const world = new World(SMTPS);
  const client = await secured(world);
  for (const dialogue of [plain("carol", "wrong"), `AUTH LOGIN ${btoa("carol")}\r\n${btoa("wrong")}\r\n`]) {
    await client.say(dialogue);
    assert.ok(!JSON.stringify(client.connection.session).includes("wrong"));
    await world.pass(1000);
  }
  await client.say(`AUTH PLAIN\r\nx${btoa("wrong")}\r\n`);
  const received = JSON.stringify(world.events);
  assert.match(received, /"smtp-authentication"/);
  for (const secret of ["wrong", btoa("wrong"), btoa("\0carol\0wrong")]) assert.ok(!received.includes(secret), secret);
});
