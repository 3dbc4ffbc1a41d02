/** What `listen on` stands for: interfaces, groups of them, and the certificates of a listener that names none. */

import assert from "node:assert/strict";
import { defaultRoutes, interfaceAddresses, type Network } from "../../src/daemon/machine/interfaces.ts";
import { Fatal } from "../../src/daemon/fatal.ts";
import { resolveListeners } from "../../src/daemon/sockets/listeners.ts";
import { configOf } from "../config/helper.ts";

const info = (address: string, scopeid: number | null = null, internal = false) => ({
  address,
  family: scopeid === null ? "IPv4" as const : "IPv6" as const,
  scopeid: scopeid ?? 0,
  internal,
  netmask: "",
  mac: "",
  cidr: null,
});

const network: Network = {
  interfaces: {
    lo: [info("127.0.0.1", null, true), info("::1", 0, true)],
    eth0: [info("192.0.2.1"), info("2001:db8::1", 0), info("fe80::1", 2)],
    wg0: [info("198.51.100.1")],
  } as Network["interfaces"],
  egress: () => Promise.resolve(new Set(["eth0"])),
};

/** Not the link-local one. */
const OWN = ["192.0.2.1", "2001:db8::1"];
const groups: { name: string; want: string[] | null; interfaces?: Network["interfaces"] }[] = [
  { name: "eth0", want: OWN },
  { name: "egress", want: OWN },
  { name: "all", want: ["127.0.0.1", "::1", ...OWN, "198.51.100.1"] },
  { name: "lo0", want: ["127.0.0.1", "::1"] },
  { name: "eth1", want: null },
  { name: "mail.example.org", want: null },
  { name: "all", want: ["203.0.113.1"], interfaces: { all: [info("203.0.113.1")] } as Network["interfaces"] },
  { name: "lo0", want: null, interfaces: {} },
  { name: "egress", want: [], interfaces: {} },
];
for (const { name, want, interfaces = network.interfaces } of groups) {
  Deno.test(`"${name}" among the interfaces ${Object.keys(interfaces)} stands for ${want}`, async () => {
    const found = await interfaceAddresses(name, { ...network, interfaces });
    assert.deepEqual(found?.map(({ address }) => address) ?? null, want);
    for (const { address, family } of found ?? []) assert.equal(family, address.includes(":") ? 6 : 4);
  });
}

Deno.test("default routes are those of mask 0, of both families, and not the loopback's", () => {
  const four = `Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
ppp0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0
`;
  const zeros = "0".repeat(32);
  const six = `${zeros} 00 ${zeros} 00 fd000000000000000000000000000001 00000400 00000003 00000000 00000003     eth1
${zeros} 00 ${zeros} 00 ${zeros} ffffffff 00000001 00000000 00200200       lo
fe800000000000000000000000000000 40 ${zeros} 00 ${zeros} 00000100 00000002 00000000 00000001     eth2
`;
  assert.deepEqual([...defaultRoutes(four, six)], ["ppp0", "eth1"]);
  assert.deepEqual([...defaultRoutes("", "")], []);
});

const PKI = ["b.example.org", "*", "a.example.org"].map((name) => `pki "${name}" cert "/c" key "/k"`).join("\n");
const certificates = [
  { line: "listen on 127.0.0.1 tls", want: ["*", "b.example.org", "a.example.org"] },
  { line: "listen on 127.0.0.1 smtps hostname A.example.org", want: ["a.example.org", "*", "b.example.org"] },
  { line: "listen on 127.0.0.1 tls pki a.example.org", want: ["a.example.org"] },
  { line: "listen on 127.0.0.1", want: [] },
];
for (const { line, want } of certificates) {
  Deno.test(`${line}: the certificates are ${want.join(", ") || "none"}`, async () => {
    const config = configOf(`${PKI}\n${line}\nmatch reject\n`);
    const listeners = await resolveListeners(config, "mx.example.org", "/run/x.smtp.sock");
    assert.deepEqual(listeners.at(-1)!.pki, want);
  });
}

Deno.test("without a name of its own a listener's default certificate is the server's", async () => {
  const config = configOf(`${PKI}\nlisten on 127.0.0.1 tls-require\nmatch reject\n`);
  const listeners = await resolveListeners(config, "B.example.org", "/run/x.smtp.sock");
  assert.equal(listeners.at(-1)!.pki[0], "b.example.org");
});

const BY_ONE = "is listened on already, by c:1";
for (
  const [name, text, want] of [
    ["two listeners", "listen on 127.0.0.1 port 2501\nlisten on 127.0.0.1 port 2501", `c:2: 127.0.0.1:2501 ${BY_ONE}`],
    [
      "two spellings",
      'listen on ::1 port 2501\nlisten on "0:0:0:0:0:0:0:1" port 2501',
      `c:2: [0:0:0:0:0:0:0:1]:2501 ${BY_ONE}`,
    ],
    [
      "the wildcard address behind another",
      "listen on 127.0.0.1 port 2501\nlisten on 0.0.0.0 port 2501",
      `c:2: 0.0.0.0:2501 ${BY_ONE}: 0.0.0.0:2501 is every address of this machine`,
    ],
    [
      "the wildcard address before another",
      "listen on :: port 2501\nlisten on ::1 port 2501",
      `c:2: [::1]:2501 ${BY_ONE}: [::]:2501 is every address of this machine`,
    ],
    [
      "the admin page",
      "listen on 127.0.0.1 port 2501\nadmin listen on 127.0.0.1 port 2501",
      `c:2: 127.0.0.1:2501 ${BY_ONE}`,
    ],
    [
      "the admin page, which stands before",
      "admin listen on 127.0.0.1 port 2501\nlisten on 127.0.0.1 port 2501",
      "c:1: 127.0.0.1:2501 is listened on already, by c:2",
    ],
    [
      "the admin page at the wildcard address",
      "listen on 127.0.0.1 port 2501\nadmin listen on 0.0.0.0 port 2501",
      `c:2: 0.0.0.0:2501 ${BY_ONE}: 0.0.0.0:2501 is every address of this machine`,
    ],
    [
      "an admin socket of a group that is none",
      'listen on ::1 port 2501\nadmin listen on socket "/run/a.sock" group "no-such-group"',
      'c:2: there is no group "no-such-group"',
    ],
    [
      "one port of both families",
      "listen on 0.0.0.0 port 2501\nlisten on :: port 2501\nadmin listen on ::1 port 2502",
      null,
    ],
    ["one port of two addresses", "listen on 127.0.0.1 port 2501\nlisten on 127.0.0.2 port 2501", null],
  ] as const
) {
  Deno.test(`listeners that cannot both have their port: ${name}`, async () => {
    const resolved = resolveListeners(configOf(`${text}\nmatch for any reject`), "mx.example.org", "/socket");
    if (want === null) return void await resolved;
    await assert.rejects(resolved, (error: Error) => (assert.equal(error.message, want), true));
  });
}

Deno.test("all lines that name no address are reported in one run", async () => {
  const config = configOf("listen on nosuch0\nlisten on lo\nlisten on nosuch1\nmatch for any reject");
  await assert.rejects(resolveListeners(config, "mx.example.org", "/socket"), (error: Error) => {
    assert.ok(error instanceof Fatal);
    assert.equal(error.faults.length, 2);
    assert.match(error.faults[0]!, /^c:1: "nosuch0" is no interface, .*; interfaces: /);
    assert.match(error.faults[1]!, /^c:3: "nosuch1" is no interface, /);
    return true;
  });
});
