/** `smtpctl check` with the real daemon and a name server, in a network of its own: all right, and several times wrong. check_host.ts has the cases. */

import { equal, match } from "node:assert/strict";
import { join } from "node:path";
import { PROJECT, run } from "./harness.ts";
import { hasOwnNetworks, runInOwnNetwork } from "./own_network.ts";

Deno.test({
  name: "smtpctl check finds nothing on a host that is right, and each thing that is made wrong",
  ignore: !hasOwnNetworks(),
  fn: async () => {
    const ran = await runInOwnNetwork("check_host.ts");
    equal(ran.code, 0, `${ran.stdout}\n${ran.stderr}`);
    match(ran.stdout, /^all is as it should be$/m);
  },
});

Deno.test("smtpctl check without a daemon and without a configuration could not check, which is 3", async () => {
  const env = { SMTPD_SOCKET: "/nonexistent/c.sock" };
  const smtpctl = (...args: string[]) => run(join(PROJECT, "scripts/smtpctl"), args, { env });
  const [missing, wrong, list] = await Promise.all([
    smtpctl("check", "-f", "/nonexistent/smtpd.conf"),
    smtpctl("check", "--jsno"),
    smtpctl("check", "--blocklists=a b"),
  ]);
  equal(missing.code, 3);
  match(missing.stderr, /^smtpctl: .*\/nonexistent\/smtpd\.conf.*: nothing can be checked without a configuration\n$/);
  equal(wrong.code, 255);
  match(wrong.stderr, /unknown option --jsno, did you mean "--json"\?/);
  equal(list.code, 3);
  match(list.stderr, /"a b" is no name of a blocklist/);
});
