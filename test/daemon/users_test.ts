/** Which users the daemon's processes run as: chosen from made-up accounts. */

import assert from "node:assert/strict";
import { chooseUsers, Fatal } from "../../src/daemon/mod.ts";
import { commandUser } from "../../src/daemon/programs.ts";

const PASSWD = `root:x:0:0:root:/root:/bin/sh
toor:x:0:0:another root:/root:/bin/sh
smtpd:x:101:111::/nonexistent:/usr/sbin/nologin
smtpq:x:102:112::/nonexistent:/usr/sbin/nologin
alice:x:1000:1000:Alice:/home/alice:/bin/bash
twin:x:101:111::/nonexistent:/bin/false
wheel:x:103:0::/nonexistent:/usr/sbin/nologin
empty:x:104:104::/nonexistent:
nobody1:x:4294967295:106::/nonexistent:/usr/sbin/nologin
nobody2:x:107:4294967295::/nonexistent:/usr/sbin/nologin
`;

interface Row {
  readonly name: string;
  readonly env?: Record<string, string>;
  /** Accounts that there are not. */
  readonly without?: readonly string[];
  readonly oneUser?: boolean;
  readonly uid?: number;
  /** Names of the users, null for one process. */
  readonly want?: readonly [string, string] | null;
  readonly owners?: readonly number[];
  readonly warnings?: readonly RegExp[];
  readonly fails?: RegExp;
}

const rows: Row[] = [
  { name: "root has both users", want: ["smtpd", "smtpq"], owners: [101, 102] },
  { name: "somebody else needs none", uid: 1000, want: null, owners: [] },
  { name: "--one-user, whose spool may be theirs still", oneUser: true, want: null, owners: [101, 102] },
  { name: "--one-user without the users", oneUser: true, without: ["smtpd", "smtpq"], want: null, owners: [] },
  {
    name: "neither, for a spool of its own",
    env: { SMTPD_SPOOL: "/tmp/spool" },
    without: ["smtpd", "smtpq"],
    want: null,
    owners: [],
    warnings: [
      /^warning: .*neither the user "smtpd" nor "smtpq".* all of it as root: run scripts\/install --users, or useradd .* smtpd && useradd .* smtpq; or start smtpd with --one-user$/,
    ],
  },
  {
    name: "neither, for the machine's spool",
    without: ["smtpd", "smtpq"],
    fails:
      /^this machine has neither the user "smtpd" nor "smtpq".*: run scripts\/install --users, or useradd .* smtpq; or start smtpd with --one-user$/,
  },
  {
    name: "neither, and the machine's spool is named",
    env: { SMTPD_SPOOL: "/var/spool/../spool/vaultpost/", SMTPD_USER: "other" },
    without: ["smtpq"],
    fails: /neither the user "other" \(SMTPD_USER\) nor "smtpq", /,
  },
  { name: "neither is needed by somebody else", uid: 1000, without: ["smtpd", "smtpq"], want: null, owners: [] },
  {
    name: "only that of the network",
    without: ["smtpq"],
    want: ["smtpd", "smtpd"],
    owners: [101],
    warnings: [
      /no user "smtpq": .* all run as "smtpd", .* thinner: run scripts\/install --users, or useradd .* smtpq$/,
    ],
  },
  {
    name: "only that of the network, of a name that is not there",
    env: { SMTPD_QUEUE_USER: "smtpp" },
    want: ["smtpd", "smtpd"],
    warnings: [/no user "smtpp" \(SMTPD_QUEUE_USER\): /],
  },
  {
    name: "only that of the queue",
    without: ["smtpd"],
    want: ["smtpq", "smtpq"],
    owners: [102],
    warnings: [/no user "smtpd": .* all run as "smtpq"/],
  },
  {
    name: "others by name, one of whom may log in",
    env: { SMTPD_USER: "smtpq", SMTPD_QUEUE_USER: "alice" },
    want: ["smtpq", "alice"],
    owners: [102, 1000],
    warnings: [/"alice".*login shell \(\/bin\/bash\)/, /"alice".*a home of its own \(\/home\/alice\)/],
  },
  {
    name: "no shell is /bin/sh",
    env: { SMTPD_QUEUE_USER: "empty" },
    want: ["smtpd", "empty"],
    warnings: [/"twin" too|uid 101 of "twin"/, /"empty".*login shell \(\/bin\/sh\)/],
  },
  { name: "root by another name", env: { SMTPD_USER: "toor" }, fails: /"toor" \(SMTPD_USER\) is root/ },
  { name: "root's group", env: { SMTPD_QUEUE_USER: "wheel" }, fails: /"wheel" \(SMTPD_QUEUE_USER\) has root's group/ },
  { name: "a uid that changes nothing", env: { SMTPD_USER: "nobody1" }, fails: /has the uid 4294967295 .* for nobody/ },
  {
    name: "a gid that changes nothing",
    env: { SMTPD_USER: "nobody2" },
    fails: /and the gid 4294967295, .* for nobody/,
  },
  { name: "one name twice", env: { SMTPD_USER: "smtpq" }, fails: /are one user, uid 102/ },
  {
    name: "two names of one uid",
    env: { SMTPD_QUEUE_USER: "twin" },
    fails: /\(smtpd\).*\(twin\) are one user, uid 101/,
  },
  { name: "a name service that fails", env: { SMTPD_USER: "broken" }, fails: /"broken".*cannot be looked up: down/ },
  { name: "the same with --one-user", env: { SMTPD_USER: "broken" }, oneUser: true, want: null, owners: [102] },
];

for (const { name, env = {}, without = [], oneUser = false, uid = 0, want, owners, warnings = [], fails } of rows) {
  Deno.test(`chooseUsers(): ${name}`, async () => {
    const passwd = PASSWD.split("\n").filter((line) => !without.includes(line.split(":")[0]!)).join("\n");
    const find = (name: string) => {
      const fields = passwd.split("\n").map((line) => line.split(":")).find(([user]) => user === name);
      if (name === "broken") return Promise.resolve({ error: "down" });
      return Promise.resolve(
        fields === undefined ? null : { name, uid: Number(fields[2]), gid: Number(fields[3]), home: fields[5]! },
      );
    };
    // The twin is warned of where it is not what is tested.
    const text = name.startsWith("no shell") ? passwd : passwd.replace(/^twin:x:101/m, "twin:x:105");
    const chosen = chooseUsers(
      { get: (key) => env[key as keyof typeof env] },
      { oneUser },
      { names: { find }, passwd: text, uid, ownerOf: (path) => path === "/home/alice" ? 1000 : null },
    );
    if (fails !== undefined) {
      await assert.rejects(chosen, (error) => error instanceof Fatal && fails.test(error.message));
      return;
    }
    const { users, spoolOwners, warnings: lines } = await chosen;
    assert.deepEqual(users === null ? null : [users.smtpd.name, users.smtpq.name], want);
    if (owners !== undefined) assert.deepEqual(spoolOwners, owners);
    assert.equal(lines.length, warnings.length, lines.join("\n"));
    warnings.forEach((pattern, index) => assert.match(lines[index]!, pattern));
  });
}

Deno.test("programs and commands of aliases run as _smtpd, and without it as the user of the network's processes", () => {
  const names = Deno.readTextFileSync("/etc/passwd").split("\n").map((line) => line.split(":")[0]!);
  const user = names.find((name) => name !== "" && name !== "root")!;
  const chosen = (name: string) => commandUser({ get: (key) => key === "SMTPD_USER" ? name : undefined });
  assert.equal(chosen(user), names.includes("_smtpd") ? "_smtpd" : user);
  for (const unfit of ["root", "no-such-user"]) assert.equal(chosen(unfit), "_smtpd");
});
