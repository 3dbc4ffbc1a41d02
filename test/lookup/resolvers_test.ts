/** The names of clients, for which their greetings wait, do not stand behind names that strangers choose and that mail-auth asks for. */

import assert from "node:assert/strict";
import { createSocket, type RemoteInfo } from "node:dgram";
import type { AddressInfo } from "node:net";
import { Buffer } from "node:buffer";
import packet from "dns-packet";
import type { Channel, Isolate } from "../../src/isolate/mod.ts";
import type { FromLookup, LookupSettings, ToLookup } from "../../src/protocol/mod.ts";
import { serveLookup } from "../../src/lookup/serve.ts";

/** As many as one resolver asks at once. */
const HELD_QUESTIONS = 200;

interface Query {
  readonly id: number;
  readonly questions: readonly { readonly name: string; readonly type: "A" | "AAAA" | "PTR" | "TXT" }[];
}

const RECORDS: Readonly<Record<string, string>> = {
  "PTR 1.2.0.192.in-addr.arpa": "client.test",
  "A client.test": "192.0.2.1",
};

/** A name server that answers for one client at once, and to questions for TXT records when it is told to. */
async function holdingDns() {
  const socket = createSocket("udp4");
  const held: (() => void)[] = [];
  const full = Promise.withResolvers<void>();
  const answer = ({ id, questions }: Query, { port, address }: RemoteInfo) => {
    const { name, type } = questions[0]!;
    const data = RECORDS[`${type} ${name}`];
    const answers = data === undefined ? [] : [{ name, type, ttl: 60, data }];
    socket.send(packet.encode({ type: "response", id, questions, answers } as never), port, address);
  };
  socket.on("message", (octets, from) => {
    const query = packet.decode(Buffer.from(octets)) as unknown as Query;
    if (query.questions[0]!.type !== "TXT") return answer(query, from);
    if (held.push(() => answer(query, from)) === HELD_QUESTIONS) full.resolve();
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return {
    port: (socket.address() as AddressInfo).port,
    full: full.promise,
    release: () => held.splice(0).forEach((each) => each()),
    close: () => new Promise<void>((resolve) => socket.close(() => resolve())),
  };
}

/** The lookup isolate as a session sees it, with its own resolvers. */
function lookupBehind(port: number) {
  const answers: FromLookup[] = [];
  let wake = () => {};
  const served: Channel<FromLookup, ToLookup> = {
    send: (message) => (answers.push(message), wake()),
    onmessage: () => {},
    onreset: () => {},
  };
  const settings: LookupSettings = {
    shared: { serverName: "mail.example.org", version: "0", timeZone: "UTC", root: false },
    tables: {},
    tableFiles: {},
    programTables: [],
    authTables: [],
    saltKey: new Uint8Array(32),
    senderTables: [],
    hostnameTables: [],
    rules: [],
    actions: {},
    answersDns: true,
    subAddressDelimiter: "+",
    localAddresses: [],
    envelopeMacKey: new Uint8Array(32),
    commandUser: "_smtpd",
    resolver: { servers: [{ address: "127.0.0.1", port }], timeoutMs: 5000, attempts: 1, hosts: [] },
  };
  const isolate: Isolate<"lookup"> = {
    role: "lookup",
    index: 0,
    settings,
    emit: () => {},
    ask: () => ({ send: () => {}, onmessage: () => {}, onreset: () => {} }),
    serve(name, welcome) {
      if (name === "smtp-lookup") welcome(served as never, { peer: 0, life: 1, refuse: () => {} });
    },
    traces: () => false,
    verbose: false,
    onstop: () => {},
  };
  serveLookup(isolate);
  return {
    answers,
    ask: (question: ToLookup) => served.onmessage(question),
    async until(count: number): Promise<void> {
      while (answers.length < count) await new Promise<void>((resolve) => wake = resolve);
    },
  };
}

Deno.test("a client's name is found while mail-auth waits for as many slow names as are asked for at once", async () => {
  const dns = await holdingDns();
  try {
    const { answers, ask, until } = lookupBehind(dns.port);
    for (let call = 1; call <= HELD_QUESTIONS; call++) {
      ask({ type: "dns", call, kind: "txt", name: `held${call}.test` });
    }
    await dns.full;
    ask({ type: "client-name", call: 1000, address: "192.0.2.1" });
    await until(1);
    assert.deepEqual(answers, [{ type: "client-name", call: 1000, hostname: "client.test", confirmed: "pass" }]);
    dns.release();
    await until(1 + HELD_QUESTIONS);
  } finally {
    await dns.close();
  }
});
