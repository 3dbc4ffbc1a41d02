/** `smtpctl show queue` while the daemon is down. */

import { equal, match } from "node:assert/strict";
import { rowOf } from "../../src/envelope/mod.ts";
import { smtpctlMain } from "../../src/cli/smtpctl/smtpctl.ts";
import { freshEnvelope } from "../../src/queue/validate_envelope.ts";
import { Store } from "../../src/queue/store/store.ts";
import { envelope } from "../control/harness.ts";
import { environment, FakeTerminal, withFolder } from "./fakes.ts";
import { evpid } from "../ids.ts";

async function show(folder: string, ...words: string[]) {
  const terminal = new FakeTerminal();
  const env = environment({ SMTPD_SOCKET: `${folder}/none.sock`, SMTPD_SPOOL: `${folder}/spool` });
  const status = await smtpctlMain(["show", "queue", ...words], env, terminal);
  return { status, stdout: terminal.stdout, stderr: terminal.stderr };
}

Deno.test("smtpctl show queue reads the spool of a daemon that is down, in order of id", async () => {
  await withFolder(async (folder) => {
    const store = new Store(`${folder}/spool`);
    store.begin("synced");
    for (const id of ["ffffffff00000001", "000000010000000b", "000000010000000a"].map(evpid)) {
      const { id: _id, ...content } = freshEnvelope(envelope(id));
      store.addEnvelope({ id, ...content });
    }
    store.setState(rowOf(evpid("000000010000000a")), {
      tries: 3,
      lastTryAt: 1_700_000_009_000,
      lastBounceAt: 0,
      errorLine: "421 busy",
      status: null,
    });
    store.commit();
    store.close();
    const rest = "inet4|mta||alice@example.org|bob@example.net|bob@example.net|1700000000|1700345600";
    const first = `000000010000000a|${rest}|1700000009|3|offline||421 busy\n`;
    const second = `000000010000000b|${rest}|0|0|offline||\n`;
    const third = `ffffffff00000001|${rest}|0|0|offline||\n`;
    const all = await show(folder);
    equal(all.stderr, "");
    equal(all.stdout, first + second + third);
    equal(all.status, 0);
    equal((await show(folder, "ffffffff")).stdout, third);
  });
});

Deno.test("smtpctl show queue without daemon and spool says both, and exits 1", async () => {
  await withFolder(async (folder) => {
    const { status, stderr } = await show(folder);
    equal(status, 1);
    match(stderr, /^smtpctl: smtpd doesn't seem to be running, and .*\/spool cannot be read: /);
  });
});
