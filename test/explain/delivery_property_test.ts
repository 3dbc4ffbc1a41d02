/**
 * What is explained about local delivery is what the isolates delivery and privileged do: thousands of generated actions, envelopes and accounts, with
 * writers that only write down what they are given. EXPLAIN_CASES has other numbers of cases than the suite.
 */

import assert from "node:assert/strict";
import type { LocalAction, LocalMethod } from "../../src/config/mod.ts";
import type { DeliveryDeps } from "../../src/delivery/mod.ts";
import { DELIVERED } from "../../src/delivery/methods/sysexits.ts";
import { isPrivileged } from "../../src/delivery/planner.ts";
import type { Envelope } from "../../src/envelope/mod.ts";
import { explainDelivery } from "../../src/explain/delivery.ts";
import type { Step } from "../../src/explain/step.ts";
import type { Account, AccountResult, DeliverySettings } from "../../src/protocol/mod.ts";
import { seeded } from "../crash/random.ts";
import { envelopeOf, localAction, settingsOf, World } from "../delivery/harness.ts";

const CASES = Number(Deno.env.get("EXPLAIN_CASES") ?? 1000);
const FIRST_SEED = 14_000_000;

interface Case {
  readonly settings: DeliverySettings;
  readonly envelope: Envelope;
  readonly result: AccountResult;
  readonly text: string;
}

const PATHS = [
  "/mail/%{user.username}",
  "~/Maildir",
  "/srv/%{dest.domain}/%{dest.user:lowercase|strip}/",
  "rel/%{user}",
  "/x/%{nope}",
];
const COMMANDS = [
  "cat",
  "deliver -d %{user.username} -f '%{sender}'",
  "x %{rcpt.user:raw}",
  "~/bin/filter",
  "y %{dest[99]}",
];
const DESTINATIONS = [
  "127.0.0.1:24",
  "/run/lmtp.sock",
  "[::1]:24",
  "/run/%{user.username}.sock",
  "a b",
  "%{rcpt.domain}:24",
];
const PEOPLE: readonly Account[] = [
  { name: "bob", uid: 1000, gid: 1000, home: "/home/bob" },
  { name: "carol", uid: 1001, gid: 100, home: "/home/carol" },
  { name: "root", uid: 0, gid: 0, home: "/root" },
  { name: "queue", uid: 77, gid: 77, home: "" },
  { name: ".hidden", uid: 1002, gid: 1002, home: "/home/x" },
];

function caseOf(seed: number): Case {
  const random = seeded(seed);
  const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const is = (share: number) => random() < share;
  const methods: readonly LocalMethod[] = [
    { type: "mbox" },
    { type: "maildir", path: one([null, ...PATHS]), junk: is(0.5) },
    { type: "maildir", path: one(PATHS), junk: false },
    { type: "lmtp", destination: one(DESTINATIONS), rcptTo: is(0.5) },
    { type: "mda", command: one(COMMANDS) },
    { type: "forward-only" },
  ];
  const account = one(PEOPLE), identity = is(0.6) ? account : one(PEOPLE);
  const action: LocalAction = localAction({
    method: one(methods),
    user: identity === account ? null : identity.name,
    wrapper: is(0.15) ? one(["/usr/bin/nice %{mda}", "%{nope}"]) : null,
  });
  const settings = settingsOf({
    shared: { ...settingsOf().shared, root: is(0.8) },
    actions: { test: action },
    ...{ uid: 1000, gid: 1000, mailDirectory: "/var/mail" },
    ...is(0.5) ? { queueUid: 77 } : {},
  });
  const dest = { local: one(["bob", "bob+tag", "..", "a/b", "x;y"]), domain: one(["example.org", "Example.ORG"]) };
  const envelope = envelopeOf({
    sender: is(0.2) ? null : { local: one(["alice", "a b", "x'y"]), domain: "example.net" },
    dest,
    user: account.name,
    subAddress: one(["", "", "tag", "../x", "a/b"]),
    exec: is(0.7) ? "" : one([...COMMANDS, ">/srv/file", ">/srv/dir/", ">relative", ">/srv/%{dest}", ">/dev/null"]),
    action: is(0.97) ? "test" : "gone",
  });
  const failed: AccountResult = { ok: false, temporary: is(0.5), text: "" };
  const fields = [
    ...is(0.1) ? [`Delivered-To: ${dest.local}@${dest.domain}`] : [],
    ...is(0.3) ? ["X-Spam: Yes"] : [],
    "Subject: x",
  ];
  return {
    settings,
    envelope,
    result: is(0.95) ? { ok: true, account, identity } : failed,
    text: `${fields.join("\n")}\n\nbody\n`,
  };
}

/** What the writers were given. */
interface Done {
  readonly written: readonly Record<string, unknown>[];
  readonly outcome: string;
  readonly privileged: boolean;
}

async function doneBy({ settings, envelope, result, text }: Case): Promise<Done> {
  const written: Record<string, unknown>[] = [];
  const note = (record: Record<string, unknown>) => void written.push(record);
  const deps: Partial<DeliveryDeps> = {
    files: {
      write: ({ uid, gid }, target) => {
        const { kind } = target;
        if (kind === "maildir") {
          const { directory, junk, extension, spam } = target;
          note({ kind, uid, gid, directory, junk, extension, spam });
        } else note({ kind, uid, gid, path: target.path, from: target.from });
        return Promise.resolve();
      },
      // The mailbox that a wrapper's command appends to.
      prepare: () => Promise.resolve(),
      close: () => {},
    },
    commands: {
      deliver: ({ uid, gid }, { command, directory, environment }) => {
        note({ kind: "command", uid, gid, command, directory, environment: { ...environment } });
        return Promise.resolve(DELIVERED);
      },
      stop: () => {},
    },
    lmtp: ({ to, recipient }) => {
      note({ kind: "lmtp", to, recipient });
      return Promise.resolve(DELIVERED);
    },
  };
  const world = new World(settings, PEOPLE[0]!, deps);
  world.accounts = () => result;
  const { outcome } = await world.send(envelope, text);
  const privileged = world.sentAway.length > 0;
  await world.stop();
  return { written, outcome: `${outcome.result} ${outcome.text}`, privileged };
}

/** What the writers must be given, as a program reads it in the steps. */
function explained({ children = [] }: Step): Pick<Done, "written" | "outcome"> {
  const found = (kind: string) =>
    children.find((step) => step.kind === kind)?.detail as Record<string, unknown> | undefined;
  const end = found("end"), user = found("user");
  if (end !== undefined) return { written: [], outcome: `${end["result"]} ${end["text"]}` };
  const outcome = "ok Delivered";
  const who = { uid: user!["uid"], gid: user!["gid"] };
  const maildir = found("maildir"), lmtp = found("lmtp");
  if (maildir !== undefined) {
    const { directory, junk, extension, spam } = maildir;
    return { written: [{ kind: "maildir", ...who, directory, junk, extension, spam }], outcome };
  }
  if (lmtp !== undefined) return { written: [{ kind: "lmtp", to: lmtp["to"], recipient: lmtp["recipient"] }], outcome };
  const kind = (["mbox", "file", "command"] as const).find((one) => found(one) !== undefined)!;
  return { written: [{ kind, ...who, ...found(kind) }], outcome };
}

function inWords(record: Record<string, unknown>): Record<string, unknown> {
  if (record["kind"] !== "lmtp") return record;
  const to = record["to"] as { host: string; port: number } | { path: string };
  const text = "path" in to ? to.path : to.host.includes(":") ? `[${to.host}]:${to.port}` : `${to.host}:${to.port}`;
  return { ...record, to: text };
}

Deno.test(`what is explained about local delivery is what is done, in ${CASES} generated cases`, async () => {
  const kinds = new Map<unknown, number>();
  for (let seed = FIRST_SEED; seed < FIRST_SEED + CASES; seed++) {
    const one = caseOf(seed);
    const { settings, envelope, result, text } = one;
    try {
      const step = await explainDelivery(envelope, new TextEncoder().encode(text), {
        settings,
        lookups: { account: () => result },
        config: { declared: { "action test": { file: "c", line: 7 } } },
        look: () => ({ kind: "absent" }),
      });
      const done = await doneBy(one);
      assert.deepEqual({ written: done.written.map(inWords), outcome: done.outcome }, explained(step));
      const known = settings.actions[envelope.action];
      assert.equal(done.privileged, isPrivileged(known, envelope.exec), "which isolate does it");
      assert.deepEqual(step.where, known === undefined ? undefined : { file: "c", line: 7 });
      const kind = done.written[0]?.["kind"] ?? done.outcome.split(" ", 1)[0];
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}\n${Deno.inspect(one, { depth: 6 })}`, {
        cause: error,
      });
    }
  }
  for (const kind of ["maildir", "mbox", "file", "lmtp", "command", "permfail", "tempfail", "loop"]) {
    assert.ok((kinds.get(kind) ?? 0) > CASES / 200, `${kind}: ${kinds.get(kind)}`);
  }
});
