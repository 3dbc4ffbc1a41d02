/** Recorded letters: what is written is read, what has changed is found, and what cannot be read is said. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { formatLetter, isExpected, parseLetter } from "../../src/explain/expectation.ts";
import { explain, type RecipientResult } from "../../src/explain/explain.ts";
import { envelopeOf, type Order } from "../../src/explain/order.ts";
import { type DnsRecording, recordingDns, replayedDns } from "../../src/explain/recorded_dns.ts";
import { replayFolder } from "../../src/explain/replay.ts";
import { FixtureDns } from "../mail_auth/fixture_dns.ts";
import { withFolder } from "../cli/fakes.ts";
import { AT, frontOf, machineOf, MESSAGE } from "./support.ts";

const CONFIG = `listen on 127.0.0.1 port 2525 tag MX mail-auth
action "local" maildir
match from any for domain "example.org" action "local"
`;
const STRICT = `filter strict phase commit match !spf { "pass" } reject "550 5.7.1 SPF has to pass"
listen on 127.0.0.1 port 2525 tag MX mail-auth filter strict
action "local" maildir
match from any for domain "example.org" action "local"
`;

const ORDER: Order = {
  listener: "MX",
  peer: "192.0.2.7",
  peerName: { hostname: "client.example.net", confirmed: "pass" },
  helo: "client.example.net",
  tls: false,
  login: null,
  sender: "a@example.net",
  recipients: ["alice@example.org", "nobody@example.org"],
};
const ZONES = { "example.net": [{ TXT: "v=spf1 ip4:192.0.2.7 -all" }] };

/** Explains by a configuration, and returns the letter that is recorded. */
async function recorded(
  config: string,
  zones: ConstructorParameters<typeof FixtureDns>[0] = ZONES,
): Promise<Uint8Array> {
  const dns: DnsRecording[] = [];
  const { front, config: parsed, settings } = await frontOf(config, {
    ports: { dns: recordingDns(new FixtureDns(zones), dns) },
  });
  try {
    const envelope = envelopeOf(ORDER, settings.smtp);
    assert.ok(typeof envelope !== "string");
    const { results } = await explain(envelope, MESSAGE, { front, config: parsed, programs: false });
    return formatLetter({ order: ORDER, at: AT, dns, message: MESSAGE }, results);
  } finally {
    await front.close();
  }
}

async function replayed(folder: string, config: string) {
  const { front, config: parsed, settings } = await frontOf(config);
  await front.close();
  const lines: string[] = [];
  const counts = await replayFolder(folder, {
    config: parsed,
    settings,
    machine: machineOf(),
    say: (line) => lines.push(line.replace(`${folder}/`, "")),
  });
  return { counts, lines };
}

Deno.test("a letter is read as it was written, with the answers of the DNS, and its message is the same octets", async () => {
  const octets = await recorded(CONFIG);
  const letter = parseLetter(octets);
  assert.ok(typeof letter !== "string", String(letter));
  assert.deepEqual(letter.order, ORDER);
  assert.equal(letter.at, AT);
  assert.deepEqual(Buffer.from(letter.message), Buffer.from(MESSAGE));
  assert.deepEqual(letter.expected, [
    { recipient: "alice@example.org", result: 'deliver to alice by maildir (action "local")' },
    { recipient: "nobody@example.org", result: "550 5.1.1 User unknown: <nobody@example.org>" },
  ]);
  assert.ok(
    letter.dns.some(({ kind, name, answer }) => kind === "txt" && name === "example.net" && answer.kind === "records"),
  );
});

Deno.test("letters fare as they did by the same configuration; by another one it is said who fares how, and by which line", async () => {
  await withFolder(async (folder) => {
    await Deno.writeFile(`${folder}/1.eml`, await recorded(CONFIG));
    await Deno.writeFile(`${folder}/2.eml`, await recorded(CONFIG, { "example.net": [{ TXT: "v=spf1 -all" }] }));
    await Deno.writeTextFile(`${folder}/notes.txt`, "no letter");
    assert.deepEqual(await replayed(folder, CONFIG), {
      counts: { asExpected: 2, changed: 0, unreadable: 0 },
      lines: [],
    });
    assert.deepEqual(await replayed(folder, STRICT), {
      counts: { asExpected: 1, changed: 1, unreadable: 0 },
      lines: [
        '2.eml: alice@example.org: was deliver to alice by maildir (action "local"), is 550 5.7.1 SPF has to pass; c:1',
      ],
    });
    const { lines } = await replayed(folder, CONFIG.replace("MX", "IN"));
    assert.match(
      lines[0]!,
      /^1\.eml: alice@example\.org: was deliver .*, is there is no listener "MX": there are socket, 127/,
    );
  });
});

Deno.test("files that are no letters are said to be unreadable, and are not waited for", async () => {
  await withFolder(async (folder) => {
    const files: Readonly<Record<string, readonly [text: string, fault: RegExp]>> = {
      "a-plain.eml": ["Subject: x\n\nx\n", /^it has no line "X-Expect: 1" in front/],
      "b-empty.eml": ["", /^it has no line/],
      "c-version.eml": ["X-Expect: 2\nX-Expect-To: <a@b>\n\n", /another version/],
      "d-nobody.eml": ["X-Expect: 1\n\n", /no X-Expect-To/],
      "e-field.eml": ["X-Expect: 1\nX-Expect-Too: <a@b>\n\n", /no field X-Expect-too/],
      "f-twice.eml": ["X-Expect: 1\nX-Expect-Peer: 192.0.2.1\nX-Expect-Peer: 192.0.2.1\nX-Expect-To: <a@b>\n", /twice/],
      "g-time.eml": ["X-Expect: 1\nX-Expect-Time: noon\nX-Expect-To: <a@b>\n", /is no time/],
      "h-dns.eml": ["X-Expect: 1\nX-Expect-DNS: txt a {\nX-Expect-To: <a@b>\n", /no recorded answer/],
      "i-to.eml": ["X-Expect: 1\nX-Expect-To: a@b\n", /write <ADDRESS>/],
      "j-long.eml": [`X-Expect: ${"1".repeat(70_000)}\n`, /too long/],
      "k-end.eml": ["X-Expect: 1", /no end/],
    };
    for (const [name, [text]] of Object.entries(files)) await Deno.writeTextFile(`${folder}/${name}`, text);
    await new Deno.Command("mkfifo", { args: [`${folder}/y-pipe.eml`] }).output();
    await Deno.mkdir(`${folder}/z-folder.eml`);
    const { counts, lines } = await replayed(folder, CONFIG);
    assert.deepEqual(counts, { asExpected: 0, changed: 0, unreadable: 13 });
    for (const [index, [name, [, fault]]] of Object.entries(files).entries()) {
      const [file, text] = [lines[index]!.slice(0, name.length), lines[index]!.slice(name.length + 2)];
      assert.equal(file, name);
      assert.match(text, fault);
    }
    assert.deepEqual(lines.slice(-2), ["y-pipe.eml: it is no file", "z-folder.eml: it is no file"]);
  });
});

Deno.test("a letter may be written by hand: words stand for results, and the DNS is not asked", async () => {
  await withFolder(async (folder) => {
    const lines = [
      "X-Expect: 1",
      "X-Expect-Listener: 127.0.0.1:2525",
      "X-Expect-Peer: 192.0.2.7",
      "X-Expect-To: <alice@example.org> accepted",
      "X-Expect-To: <nobody@example.org> 550",
      "X-Expect-To: <x@example.com> refused",
      "X-Expect-To: <bob@example.org>",
      "Subject: x",
      "",
      "x",
    ];
    await Deno.writeTextFile(`${folder}/1.eml`, lines.join("\n"));
    await Deno.writeTextFile(`${folder}/2.eml`, lines.join("\n").replace("accepted", "refused"));
    const { counts, lines: said } = await replayed(folder, CONFIG);
    assert.deepEqual(counts, { asExpected: 1, changed: 1, unreadable: 0 });
    assert.match(said[0]!, /^2\.eml: alice@example\.org: was refused, is deliver to alice/);
    assert.match(said[1]!, /^2\.eml: the DNS is asked what the file has no answer for .*: ptr 192\.0\.2\.7/);
  });
});

Deno.test("what the file has no answer for is temporary, and is noted", async () => {
  const missing: string[] = [];
  const dns = replayedDns([{
    kind: "mx",
    name: "example.org",
    answer: { kind: "records", records: ["10 mx.example.org"] },
  }], missing);
  assert.deepEqual(await dns.mx("example.org"), {
    kind: "records",
    records: [{ preference: 10, host: "mx.example.org" }],
  });
  assert.deepEqual(await dns.txt("example.org"), { kind: "temporary" });
  assert.deepEqual(missing, ["txt example.org"]);
});

Deno.test("a text stands for itself, and a word for many results", () => {
  const result = (text: string): RecipientResult => ({ recipient: "a@b", text, where: null });
  const rows: readonly (readonly [wanted: string | null, text: string, expected: boolean])[] = [
    [null, "550 no", true],
    ["accepted", "relay to mx1", true],
    ["accepted", "451 later", false],
    ["refused", "451 later", true],
    ["refused", "the connection is closed without a reply", true],
    ["550", "550 5.1.1 no", true],
    ["550", "551 no", false],
    ["relay to mx1", "relay to mx1", true],
    ["relay to mx1", "relay to mx10", false],
  ];
  for (const [wanted, text, expected] of rows) {
    assert.equal(isExpected({ recipient: "a@b", result: wanted }, result(text)), expected, `${wanted}: ${text}`);
  }
});
