/** What the delivery isolate may do: derived from its settings, and tried in the real runtime. */

import assert from "node:assert/strict";
import net from "node:net";
import type { LocalAction, LocalMethod } from "../../src/config/types.ts";
import { deliveryNeeds, expansionTargets, libcPath } from "../../src/delivery/mod.ts";
import type { Envelope } from "../../src/envelope/mod.ts";
import type { Account, DeliverySettings, DoorName, Job, QueueToAgent, ToLookup } from "../../src/isolate/mod.ts";
import { envelopeOf, localAction, makeHome, settingsOf, tester } from "./harness.ts";

const maildir = (path: string | null): LocalMethod => ({ type: "maildir", path, junk: false });
const lmtp = (destination: string): LocalMethod => ({ type: "lmtp", destination, rcptTo: false });
const NONE = { read: [], write: [], run: [], net: [], ffi: false };
const both = (places: string[] | true) => ({ ...NONE, read: places, write: places });
const plain = (methods: LocalMethod[], fields: Partial<LocalAction> = {}): DeliverySettings =>
  settingsOf({
    actions: Object.fromEntries(methods.map((method, index) => [`${index}`, localAction({ method, ...fields })])),
    mailDirectory: "/var/mail",
    house: { ...settingsOf().house, root: false },
  });

const rows = [
  { methods: [], want: NONE, because: "nothing is delivered" },
  { methods: [maildir("/m/%{rcpt.domain}/%{rcpt.user}")], want: both(["/m"]), because: "a path names its folder" },
  { methods: [maildir("/m/all/")], want: both(["/m/all"]), because: "a whole path is a folder" },
  { methods: [maildir("/m/x%{rcpt.user}/y")], want: both(["/m"]), because: "half a name is no folder" },
  { methods: [maildir("/%{rcpt.user}")], want: both(true), because: "nothing certain is left" },
  { methods: [maildir("~/mail")], want: both(true), because: "homes are known later" },
  { methods: [maildir(null)], want: both(true), because: "homes are known later" },
  { methods: [{ type: "mbox" }], want: both(["/var/mail"]), because: "mailboxes lie there" },
  { methods: [{ type: "mbox" }, maildir("/m/x")], want: both(["/m/x", "/var/mail"]), because: "both are used" },
  {
    methods: [lmtp("localhost:24"), lmtp("[::1]:24")],
    want: { ...NONE, net: ["[::1]:24", "localhost:24"] },
    because: "servers are named",
  },
  {
    methods: [lmtp("/run/lmtp")],
    want: { ...both(["/run/lmtp"]), net: ["unix:/run/lmtp"] },
    because: "a socket is a path",
  },
  { methods: [lmtp("%{rcpt.domain}:24")], want: { ...NONE, net: true }, because: "the server is known later" },
  {
    methods: [{ type: "mda", command: "x" }],
    want: { ...NONE, run: ["/bin/sh"] },
    because: "commands go through the shell",
  },
  { methods: [{ type: "expand-only" }], want: NONE, because: "nothing is delivered" },
] as const;
for (const { methods, want, because } of rows) {
  Deno.test(`deliveryNeeds() of ${JSON.stringify(methods)} is ${JSON.stringify(want)}: ${because}`, () => {
    assert.deepEqual(deliveryNeeds(plain([...methods])), want);
  });
}
Deno.test("deliveryNeeds() wants FFI as root only, and only to write files", () => {
  const root = (method: LocalMethod) => ({ ...plain([method]), house: { ...settingsOf().house, root: true } });
  assert.equal(deliveryNeeds(root({ type: "mbox" })).ffi, true);
  assert.equal(deliveryNeeds(root({ type: "mda", command: "x" })).ffi, false);
});
Deno.test("deliveryNeeds() of an action with aliases covers what they may hold, or what they do hold when told", () => {
  const settings = plain([maildir("/m/x")], { alias: "a" });
  assert.deepEqual(deliveryNeeds(settings), { ...both(true), run: ["/bin/sh"] });
  assert.deepEqual(deliveryNeeds(settings, { pipes: false, files: [] }), both(["/m/x"]));
  assert.deepEqual(deliveryNeeds(settings, { pipes: true, files: ["/box"] }), {
    ...both(["/box", "/m/x"]),
    run: ["/bin/sh"],
  });
});
Deno.test("expansionTargets() finds pipes, files and includes in the tables of local actions", () => {
  const table = (value: string) => ({ name: "t", kind: "map", entries: [["k", value]], path: null } as const);
  const of = (value: string) =>
    expansionTargets({ a: localAction({ method: { type: "mbox" }, virtual: "t" }) }, {
      t: table(value),
      u: table("|x"),
    });
  assert.deepEqual(of("bob, alice@example.org"), { pipes: false, files: [] });
  assert.deepEqual(of('bob, "|/bin/x -y"'), { pipes: true, files: [] });
  assert.deepEqual(of("/var/box, bob"), { pipes: false, files: ["/var/box"] });
  assert.deepEqual(of(":include:/etc/list"), { pipes: true, files: true });
});

/** The real isolate in a worker that has the derived permissions and no others. */
class RealDelivery {
  readonly #worker: Worker;
  #scheduler: MessagePort;
  #outcome: (stat: string) => void = () => {};
  readonly #queue: MessagePort;
  #envelope: Envelope | null = null;

  constructor(settings: DeliverySettings, account: Account) {
    const needs = deliveryNeeds(settings, { pipes: false, files: [] });
    this.#worker = new Worker(import.meta.resolve("../../workers/delivery.ts"), {
      type: "module",
      deno: {
        permissions: {
          read: needs.read,
          write: needs.write,
          run: needs.run,
          net: needs.net,
          ffi: needs.ffi ? [libcPath()] : false,
          env: false,
          sys: false,
          import: false,
        } as Deno.PermissionOptionsObject,
      },
    });
    this.#worker.postMessage({ type: "start", role: "delivery", index: 0, settings, verbose: false, traces: [] });
    this.#scheduler = this.#door("scheduler-delivery", () => {});
    this.#queue = this.#door("delivery-queue", (message) => {
      if (message.type !== "open") return;
      const first = new TextEncoder().encode("A: b\n\nx\n");
      const answer: QueueToAgent = {
        type: "opened",
        call: message.call as number,
        envelopes: [this.#envelope!],
        bytes: first.length,
        chunks: 1,
        first,
      };
      this.#queue.postMessage([answer]);
    });
    const lookup = this.#door("delivery-lookup", (message) => {
      const { call } = message as unknown as ToLookup;
      lookup.postMessage([{ type: "account", call, result: { ok: true, account, identity: account } }]);
    });
    this.#door("delivery-control", (event) => {
      if (event.type === "delivery") this.#outcome(event.stat as string);
    });
  }

  /** Delivers one message and answers with its `stat`. */
  deliver(envelope: Envelope): Promise<string> {
    this.#envelope = envelope;
    const { id, action } = envelope;
    const job: Job = { type: "job", message: id.slice(0, 8), action, key: "bob", ids: [id] };
    return new Promise((resolve) => {
      this.#outcome = resolve;
      this.#scheduler.postMessage([job]);
    });
  }

  close(): void {
    this.#worker.terminate();
    for (const port of this.#ports) port.close();
  }

  readonly #ports: MessagePort[] = [];
  #door(name: DoorName, hear: (message: { type: string } & Record<string, unknown>) => void): MessagePort {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => data.forEach(hear);
    this.#ports.push(port1);
    this.#worker.postMessage({ type: "door", name, peer: 0, port: port2 }, [port2]);
    return port1;
  }
}

const kinds: { name: string; method: (home: string) => LocalMethod; want: RegExp }[] = [
  { name: "a Maildir", method: (home) => maildir(`${home}/mail/%{rcpt.user}`), want: /^Delivered$/ },
  { name: "a Maildir of a home", method: () => maildir(null), want: /^Delivered$/ },
  { name: "a mailbox", method: () => ({ type: "mbox" }), want: /^Delivered$/ },
  { name: "a command", method: (home) => ({ type: "mda", command: `cat > ${home}/out` }), want: /^Delivered$/ },
  { name: "an LMTP server on a socket", method: (home) => lmtp(`${home}/sock`), want: /220 that is all/ },
];
for (const { name, method, want } of kinds) {
  Deno.test(`The permissions for ${name} are enough`, async () => {
    const home = makeHome();
    const server = net.createServer((socket) => {
      socket.on("error", () => {});
      socket.end("520 220 that is all\r\n");
    });
    await new Promise<void>((resolve) => server.listen(`${home}/sock`, resolve));
    const settings = settingsOf({ actions: { test: localAction({ method: method(home) }) }, mailDirectory: home });
    const delivery = new RealDelivery(settings, tester(home));
    try {
      assert.match(await delivery.deliver(envelopeOf()), want);
    } finally {
      delivery.close();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      Deno.removeSync(home, { recursive: true });
    }
  });
}

for (const host of ["127.0.0.1", "localhost", "[::1]"]) {
  Deno.test(`The permissions for an LMTP server on ${host} are enough`, async () => {
    const home = makeHome();
    const server = net.createServer((socket) => {
      socket.on("error", () => {});
      socket.end("520 that is all\r\n");
    });
    const { port } = await new Promise<net.AddressInfo>((resolve) =>
      server.listen(0, host === "[::1]" ? "::1" : "127.0.0.1", () => resolve(server.address() as net.AddressInfo))
    );
    const settings = settingsOf({ actions: { test: localAction({ method: lmtp(`${host}:${port}`) }) } });
    const delivery = new RealDelivery(settings, tester(home));
    try {
      assert.match(await delivery.deliver(envelopeOf()), /520 that is all/);
    } finally {
      delivery.close();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      Deno.removeSync(home, { recursive: true });
    }
  });
}

Deno.test("What the settings do not ask for is refused by the runtime: files elsewhere, commands", async () => {
  const home = makeHome();
  const settings = settingsOf({ actions: { test: localAction({ method: maildir(`${home}/mail`) }) } });
  const delivery = new RealDelivery(settings, tester(home));
  try {
    for (const exec of [`>${home}/box`, `touch ${home}/made`]) {
      assert.match(await delivery.deliver(envelopeOf({ exec })), /^Error \(.*Requires (read|write|run) access/);
    }
    assert.deepEqual([...Deno.readDirSync(home)].map(({ name }) => name), []);
    assert.equal(await delivery.deliver(envelopeOf()), "Delivered");
  } finally {
    delivery.close();
    Deno.removeSync(home, { recursive: true });
  }
});
