/** Sockets of a service manager: which descriptors are meant for this process, where they are bound, whose they are. */

import assert from "node:assert/strict";
import { assign, inheritedDescriptors, parseSocketName, type SocketName } from "../../src/daemon/sockets/inherited.ts";
import { resolveListeners } from "../../src/daemon/sockets/listeners.ts";
import { configOf } from "../config/helper.ts";
import { listener } from "../smtp/support.ts";

const environments: readonly { env: Record<string, string>; want: readonly number[] | RegExp; because: string }[] = [
  { env: {}, want: [], because: "there is no service manager" },
  { env: { LISTEN_PID: "7", LISTEN_FDS: "2" }, want: [3, 4], because: "two are for us" },
  { env: { LISTEN_PID: "8", LISTEN_FDS: "2" }, want: [], because: "they are for another process" },
  { env: { LISTEN_FDS: "2" }, want: [], because: "nobody says for whom they are" },
  { env: { LISTEN_PID: "7", LISTEN_FDS: "0" }, want: [], because: "none" },
  { env: { LISTEN_PID: "7", LISTEN_FDS: "-1" }, want: /LISTEN_FDS must be a number/, because: "nonsense" },
  { env: { LISTEN_PID: "7", LISTEN_FDS: "2000" }, want: /up to 1024/, because: "too many" },
];
for (const { env, want, because } of environments) {
  Deno.test(`inheritedDescriptors(): ${because}`, () => {
    const call = () => inheritedDescriptors({ get: (name) => env[name] }, 7);
    if (want instanceof RegExp) assert.throws(call, want);
    else assert.deepEqual(call(), want);
  });
}

const V6 = [10, 0, 0x1f, 0x90, 0, 0, 0, 0];
const names: readonly { bytes: readonly number[]; want: SocketName | null }[] = [
  { bytes: [2, 0, 0, 25, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], want: { address: "127.0.0.1", port: 25 } },
  { bytes: [...V6, ...Array(15).fill(0), 1, 0, 0, 0, 0], want: { address: "::1", port: 8080 } },
  { bytes: [...V6, ...Array(16).fill(0), 0, 0, 0, 0], want: { address: "::", port: 8080 } },
  { bytes: [1, 0, 0x2f, 0x61, 0], want: { path: "/a" } },
  { bytes: [1, 0, 0x2f, 0x61], want: { path: "/a" } },
  { bytes: [1, 0, 0, 0x61], want: null },
  { bytes: [1, 0], want: null },
  { bytes: [2, 0, 0, 25], want: null },
  { bytes: [16, 0, 0, 0, 0, 0, 0, 0], want: null },
  { bytes: [], want: null },
];
for (const { bytes, want } of names) {
  Deno.test(`parseSocketName() reads ${bytes.slice(0, 8).join(" ")} as ${JSON.stringify(want)}`, () => {
    assert.deepEqual(parseSocketName(new Uint8Array(bytes)), want);
  });
}

const listeners = [
  listener({ id: 0, socket: true, address: "/run/x.smtp.sock", port: 0 }),
  listener({ id: 1, address: "0.0.0.0", port: 25 }),
  listener({ id: 2, address: "::0", port: 25 }),
  listener({ id: 3, address: "fe80::1%eth0", port: 25 }),
];
const assignments: readonly { name: SocketName; want: number | "control" | RegExp }[] = [
  { name: { path: "/run/x.sock" }, want: "control" },
  { name: { path: "/run/x.smtp.sock" }, want: 0 },
  { name: { address: "0.0.0.0", port: 25 }, want: 1 },
  { name: { address: "::", port: 25 }, want: 2 },
  { name: { address: "fe80::1", port: 25 }, want: 3 },
  { name: { address: "127.0.0.1", port: 25 }, want: /inherited socket 127\.0\.0\.1:25 is of no listener/ },
  { name: { address: "::", port: 587 }, want: /inherited socket \[::\]:587 is of no listener: add "listen on"/ },
  { name: { path: "/run/y.sock" }, want: /inherited socket \/run\/y\.sock is of no listener/ },
];
for (const { name, want } of assignments) {
  Deno.test(`assign() gives ${JSON.stringify(name)} to ${want}`, () => {
    const call = () => assign([{ descriptor: 3, name }], listeners, "/run/x.sock");
    if (want instanceof RegExp) return assert.throws(call, want);
    const { control, listeners: found } = call();
    assert.deepEqual(control, want === "control" ? [3] : []);
    assert.deepEqual([...found], want === "control" ? [] : [[want, [3]]]);
  });
}

Deno.test("the listeners that conf/vaultpost.socket speaks of are those of its sockets", async () => {
  const unit = Deno.readTextFileSync(new URL("../../conf/vaultpost.socket", import.meta.url));
  const lines = [...unit.matchAll(/^# +(listen on .*)$/gm)].map(([, line]) => line);
  const config = configOf(`${lines.join("\n")}\nmatch reject\n`);
  const resolved = await resolveListeners(config, "mx.example.org", "/run/x.smtp.sock");
  const sockets = [...unit.matchAll(/^ListenStream=\[?(.*?)\]?:(\d+)$/gm)].map(([, address = "", port], at) => {
    return { descriptor: 3 + at, name: { address, port: Number(port) } };
  });
  assert.equal(sockets.length, 2);
  const { listeners: found } = assign(sockets, resolved, "/run/x.sock");
  assert.deepEqual([...found.values()], [[3], [4]]);
  assert.equal(found.size, resolved.length - 1, "all but the local socket");
});
