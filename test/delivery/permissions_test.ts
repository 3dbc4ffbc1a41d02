/** What the delivery isolate may do: derived from its settings, and tried in the real runtime. */

import assert from "node:assert/strict";
import net from "node:net";
import type { LocalMethod } from "../../src/config/types.ts";
import { deliveryNeeds, libcPath } from "../../src/delivery/mod.ts";
import type { Envelope } from "../../src/envelope/mod.ts";
import type { Account, DeliverySettings, DoorName, Job, QueueToAgent, ToLookup } from "../../src/isolate/mod.ts";
import { envelopeOf, localAction, makeHome, settingsOf, tester } from "./harness.ts";

const maildir = (path: string | null): LocalMethod => ({ type: "maildir", path, junk: false });
const lmtp = (destination: string): LocalMethod => ({ type: "lmtp", destination, rcptTo: false });
const NONE = { read: [], write: [], run: [], net: [], ffi: false };
const FORWARDS = { read: true, write: true, run: ["/bin/sh"], net: [], ffi: false } as const;
const plain = (methods: readonly LocalMethod[], root = false): DeliverySettings =>
  settingsOf({
    actions: Object.fromEntries(methods.map((method, index) => [`${index}`, localAction({ method })])),
    mailDirectory: "/var/mail",
    house: { ...settingsOf().house, root },
  });

const rows = [
  { methods: [], want: NONE, because: "nothing is delivered" },
  { methods: [maildir("/m/x")], want: FORWARDS, because: "a .forward may name any file and any command" },
  { methods: [{ type: "expand-only" }], want: FORWARDS, because: "it expands to files and commands" },
  {
    methods: [lmtp("localhost:24"), lmtp("[::1]:24"), lmtp("localhost:24")],
    want: { ...FORWARDS, net: ["[::1]:24", "localhost:24"] },
    because: "servers are named",
  },
  { methods: [lmtp("/run/lmtp")], want: { ...FORWARDS, net: ["unix:/run/lmtp"] }, because: "a socket is a path" },
  { methods: [lmtp("%{rcpt.domain}:24")], want: { ...FORWARDS, net: true }, because: "the server is known later" },
] as const;
for (const { methods, want, because } of rows) {
  Deno.test(`deliveryNeeds() of ${JSON.stringify(methods)} is ${JSON.stringify(want)}: ${because}`, () => {
    assert.deepEqual(deliveryNeeds(plain(methods)), want);
  });
}
Deno.test("deliveryNeeds() wants FFI as root only, to act as the user", () => {
  assert.equal(deliveryNeeds(plain([{ type: "mbox" }], true)).ffi, true);
  assert.equal(deliveryNeeds(plain([{ type: "mbox" }])).ffi, false);
});

/** The real isolate in a worker that has the derived permissions and no others. */
class RealDelivery {
  readonly #worker: Worker;
  #scheduler: MessagePort;
  #outcome: (stat: string) => void = () => {};
  readonly #queue: MessagePort;
  #envelope: Envelope | null = null;

  constructor(settings: DeliverySettings, account: Account, needs = deliveryNeeds(settings)) {
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

Deno.test("What the settings do not ask for is refused by the runtime: servers that no action names", async () => {
  const home = makeHome();
  const actions = {
    test: localAction({ method: maildir(`${home}/mail`) }),
    other: localAction({ name: "other", method: lmtp("127.0.0.1:9") }),
  };
  const delivery = new RealDelivery(
    settingsOf({ actions }),
    tester(home),
    deliveryNeeds(settingsOf({ actions: { test: actions.test } })),
  );
  try {
    assert.match(await delivery.deliver(envelopeOf({ action: "other" })), /^Error \(.*Requires net access/);
    assert.equal(await delivery.deliver(envelopeOf()), "Delivered");
  } finally {
    delivery.close();
    Deno.removeSync(home, { recursive: true });
  }
});
