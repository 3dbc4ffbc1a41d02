/** What the delivery isolate may do: derived from its settings, and tried in the real runtime. */

import assert from "node:assert/strict";
import net from "node:net";
import type { LocalAction, LocalMethod } from "../../src/config/types.ts";
import {
  deliveryNeeds,
  fileNeeds,
  forwardNeeds,
  libcPath,
  mailboxNeeds,
  privilegedNeeds,
} from "../../src/delivery/mod.ts";
import { type Envelope, messageOf } from "../../src/envelope/mod.ts";
import type { Account, DeliverySettings, DoorName, Job, QueueToAgent, Role, ToLookup } from "../../src/protocol/mod.ts";
import { envelopeOf, localAction, makeHome, ROOT, settingsOf, tester } from "./harness.ts";

const maildir = (path: string | null): LocalMethod => ({ type: "maildir", path, junk: false });
const lmtp = (destination: string): LocalMethod => ({ type: "lmtp", destination, rcptTo: false });
const NONE = { read: [], write: [], run: [], net: [], ffi: false };
const both = (places: string[] | true) => ({ ...NONE, read: places, write: places });
const plain = (methods: readonly LocalMethod[], root = false, fields: Partial<LocalAction> = {}): DeliverySettings =>
  settingsOf({
    actions: Object.fromEntries(methods.map((method, index) => [`${index}`, localAction({ method, ...fields })])),
    mailDirectory: "/var/mail",
    shared: { ...settingsOf().shared, root },
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
    methods: [lmtp("localhost:24"), lmtp("[::1]:24"), lmtp("localhost:24")],
    want: { ...NONE, net: ["[::1]:24", "localhost:24"] },
    because: "servers are named",
  },
  {
    methods: [lmtp("/run/lmtp")],
    want: { ...both(["/run/lmtp"]), net: ["unix:/run/lmtp"] },
    because: "a socket is a path",
  },
  { methods: [lmtp("%{rcpt.domain}:24")], want: { ...NONE, net: true }, because: "the server is known later" },
  { methods: [{ type: "mda", command: "x" }], want: NONE, because: "commands are privileged" },
  { methods: [{ type: "expand-only" }], want: NONE, because: "nothing is delivered" },
] as const;
for (const { methods, want, because } of rows) {
  Deno.test(`delivery and mailbox need for ${JSON.stringify(methods)} ${JSON.stringify(want)}: ${because}`, () => {
    const files = mailboxNeeds(plain(methods)), servers = deliveryNeeds(plain(methods));
    const isServer = methods.some(({ type }) => type === "lmtp");
    assert.deepEqual(isServer ? servers : files, want);
    assert.deepEqual(isServer ? files : servers, NONE, "and the other one nothing");
  });
}
Deno.test("an action with a wrapper needs no folder: the wrapper does it", () => {
  assert.deepEqual(mailboxNeeds(plain([maildir("/m/x")], true, { wrapper: "nice %{mda}" })), NONE);
});
Deno.test("FFI is for root only, and for those who touch files as the user", () => {
  assert.equal(mailboxNeeds(plain([{ type: "mbox" }], true)).ffi, true);
  assert.equal(mailboxNeeds(plain([{ type: "mbox" }])).ffi, false);
  assert.equal(mailboxNeeds(plain([lmtp("localhost:24"), { type: "mda", command: "x" }], true)).ffi, false);
  assert.equal(deliveryNeeds(plain([{ type: "mbox" }, lmtp("localhost:24")], true)).ffi, false);
  assert.equal(privilegedNeeds(plain([{ type: "mbox" }], true)).ffi, false);
});
Deno.test("privilegedNeeds() is the shell as soon as there is a local action, and touches no file", () => {
  assert.deepEqual(privilegedNeeds(plain([])), NONE);
  assert.deepEqual(privilegedNeeds(plain([lmtp("localhost:24")])), { ...NONE, run: ["/bin/sh"] });
});
Deno.test("files that users name may be any, and .forward is read only", () => {
  assert.deepEqual(fileNeeds(plain([], true)), { ...both(true), ffi: true });
  assert.deepEqual(forwardNeeds(plain([], true)), { ...NONE, read: true, ffi: true });
});

type Needs = ReturnType<typeof deliveryNeeds>;

/** A real isolate with these permissions and no others. */
function startWorker(role: Role, settings: unknown, needs: Needs): Worker {
  const worker = new Worker(import.meta.resolve(`../../workers/${role}.ts`), {
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
  } as WorkerOptions);
  worker.postMessage({ type: "start", role, index: 0, settings, verbose: false, traces: [] });
  return worker;
}

/** A real isolate in a worker that has the derived permissions and no others. */
class RealDelivery {
  readonly #role: "delivery" | "privileged";
  readonly #worker: Worker;
  /** Writes its files. */
  readonly #files: Worker;
  #scheduler: MessagePort;
  #outcome: (stat: string) => void = () => {};
  readonly #queue: MessagePort;
  #envelope: Envelope | null = null;

  constructor(
    settings: DeliverySettings,
    account: Account,
    { role = "delivery", granted = settings }: {
      role?: "delivery" | "privileged";
      /** The settings from which the permissions follow. */
      granted?: DeliverySettings;
    } = {},
  ) {
    this.#role = role;
    const files = role === "delivery" ? "mailbox" : "file";
    this.#worker = startWorker(role, settings, (role === "delivery" ? deliveryNeeds : privilegedNeeds)(granted));
    this.#files = startWorker(
      files,
      { shared: settings.shared },
      (role === "delivery" ? mailboxNeeds : fileNeeds)(granted),
    );
    const { port1, port2 } = new MessageChannel();
    const name = `${files}-${role}`;
    this.#worker.postMessage({ type: "door", name, peer: 0, port: port1 }, [port1]);
    this.#files.postMessage({ type: "door", name, peer: 0, port: port2 }, [port2]);
    this.#scheduler = this.#door(role === "delivery" ? "scheduler-delivery" : "delivery-privileged", () => {});
    this.#queue = this.#door(`${role}-queue`, (message) => {
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
    const lookup = this.#door(`${role}-lookup`, (message) => {
      const { call } = message as unknown as ToLookup;
      lookup.postMessage([{ type: "account", call, result: { ok: true, account, identity: account } }]);
    });
    this.#door(`${role}-control`, (event) => {
      if (event.type === "delivery") this.#outcome(event.stat as string);
    });
  }

  /** Delivers one message and answers with its `stat`. */
  deliver(envelope: Envelope): Promise<string> {
    this.#envelope = envelope;
    const { id, action } = envelope;
    const job: Omit<Job, "type"> = { message: messageOf(id), action, lane: "bob", ids: [id], mac: "" };
    return new Promise((resolve) => {
      this.#outcome = resolve;
      this.#scheduler.postMessage([
        this.#role === "delivery"
          ? { type: "job", ...job }
          : { type: "privileged-job", call: 1, ...job, only: job.ids },
      ]);
    });
  }

  close(): void {
    this.#worker.terminate();
    this.#files.terminate();
    for (const port of this.#ports) port.close();
  }

  readonly #ports: MessagePort[] = [];
  #door(name: DoorName, receive: (message: { type: string } & Record<string, unknown>) => void): MessagePort {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => data.forEach(receive);
    this.#ports.push(port1);
    this.#worker.postMessage({ type: "door", name, peer: 0, life: 1, port: port2 }, [port2]);
    return port1;
  }
}

const kinds: {
  name: string;
  method: (home: string) => LocalMethod;
  role?: "privileged";
  exec?: (home: string) => string;
  want: RegExp;
}[] = [
  { name: "a Maildir", method: (home) => maildir(`${home}/mail/%{rcpt.user}`), want: /^Delivered$/ },
  { name: "a Maildir of a home", method: () => maildir(null), want: /^Delivered$/ },
  { name: "a mailbox", method: () => ({ type: "mbox" }), want: /^Delivered$/ },
  {
    name: "a command",
    method: (home) => ({ type: "mda", command: `cat > ${home}/out` }),
    role: "privileged",
    want: /^Delivered$/,
  },
  {
    name: "a command of a .forward",
    method: () => maildir("/nonexistent"),
    role: "privileged",
    exec: (home) => `cat > ${home}/out`,
    want: /^Delivered$/,
  },
  {
    name: "a file of a .forward",
    method: () => maildir("/nonexistent"),
    role: "privileged",
    exec: (home) => `>${home}/box`,
    want: /^Delivered$/,
  },
  { name: "an LMTP server on a socket", method: (home) => lmtp(`${home}/sock`), want: /220 that is all/ },
];
for (const { name, method, role, exec, want } of kinds) {
  Deno.test(`The permissions for ${name} are enough`, async () => {
    const home = makeHome();
    const server = net.createServer((socket) => {
      socket.on("error", () => {});
      socket.end("520 220 that is all\r\n");
    });
    await new Promise<void>((resolve) => server.listen(`${home}/sock`, resolve));
    const settings = settingsOf({ actions: { test: localAction({ method: method(home) }) }, mailDirectory: home });
    const delivery = new RealDelivery(settings, tester(home), { role: role ?? "delivery" });
    try {
      assert.match(await delivery.deliver(envelopeOf({ exec: exec?.(home) ?? "" })), want);
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

/** The runtime's advice, to allow it more, is for nobody who reads logs and notices. */
const NO_PERMISSION = /^Error \(temporary failure: .*: This program has no permission for it"?\)$/;

/** The runtime has places that it opens for none but a program that may do everything. */
for (const place of ["/proc/nosuch", "/dev/nosuch/x"]) {
  Deno.test(`What the runtime refuses by itself is reported in words of our own: a Maildir ${place}`, async () => {
    const home = makeHome();
    const settings = settingsOf({ actions: { test: localAction({ method: maildir(place) }) } });
    const delivery = new RealDelivery(settings, tester(home));
    try {
      assert.match(await delivery.deliver(envelopeOf()), NO_PERMISSION);
    } finally {
      delivery.close();
      Deno.removeSync(home, { recursive: true });
    }
  });
  Deno.test(`What the runtime refuses by itself is reported in words of our own: a file ${place}`, async () => {
    const home = makeHome();
    const settings = settingsOf({ actions: { test: localAction({ method: maildir(`${home}/mail`) }) } });
    const privileged = new RealDelivery(settings, tester(home), { role: "privileged" });
    try {
      assert.match(await privileged.deliver(envelopeOf({ exec: `>${place}` })), NO_PERMISSION);
    } finally {
      privileged.close();
      Deno.removeSync(home, { recursive: true });
    }
  });
}

/** What the delivery isolate may not, with the needs of one action: a Maildir in `HOME/mail`. */
const refused: readonly { name: string; action: (home: string) => Partial<LocalAction> }[] = [
  {
    name: "servers that no action names",
    action: () => ({ method: lmtp("127.0.0.1:9") }),
  },
  {
    name: "sockets that no action names",
    action: (home) => ({ method: lmtp(`${home}/s`) }),
  },
  {
    name: "a Maildir in another folder",
    action: (home) => ({ method: maildir(`${home}/other`) }),
  },
  {
    name: "mailboxes where none are",
    action: () => ({ method: { type: "mbox" } }),
  },
];
for (const { name, action } of refused) {
  Deno.test(`What the settings do not ask for is refused by the runtime: ${name}`, async () => {
    const home = makeHome();
    const test = localAction({ method: maildir(`${home}/mail`) });
    const other = localAction({ name: "other", method: test.method, ...action(home) });
    const delivery = new RealDelivery(settingsOf({ actions: { test, other }, mailDirectory: home }), tester(home), {
      granted: settingsOf({ actions: { test } }),
    });
    try {
      assert.match(await delivery.deliver(envelopeOf({ action: "other" })), NO_PERMISSION);
      assert.equal(await delivery.deliver(envelopeOf()), "Delivered");
    } finally {
      delivery.close();
      Deno.removeSync(home, { recursive: true });
    }
  });
}

Deno.test("The privileged isolate does not write Maildirs, whoever asks", async () => {
  const home = makeHome();
  const actions = { test: localAction({ method: maildir(`${home}/mail`) }) };
  const privileged = new RealDelivery(settingsOf({ actions }), tester(home), { role: "privileged" });
  try {
    assert.equal(await privileged.deliver(envelopeOf()), "Error (temporary failure: Not a privileged delivery)");
  } finally {
    privileged.close();
    Deno.removeSync(home, { recursive: true });
  }
});

Deno.test({
  name: "As root, who has loaded the calls to act as a user can load nothing else",
  ignore: !ROOT,
  fn: async () => {
    const worker = new Worker(import.meta.resolve("./confined_worker.ts"), {
      type: "module",
      deno: { permissions: { ...NONE, ffi: [libcPath()], env: false, sys: false, import: false } },
    } as WorkerOptions);
    const said = await new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));
    worker.terminate();
    assert.deepEqual(said, {
      actsAsNobody: true,
      dlopen: "NotCapable",
      pointer: "NotCapable",
      worker: "NotCapable",
      asksForMore: "denied",
    });
  },
});
