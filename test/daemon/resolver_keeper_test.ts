/** resolv.conf and hosts that change while the daemon runs: what is noticed, and what is not worth a word. */

import assert from "node:assert/strict";
import { ResolverKeeper } from "../../src/daemon/machine/resolver_keeper.ts";
import { parseResolvConf } from "../../src/dns/mod.ts";

Deno.test("ResolverKeeper reads files that come late, change, go, or are replaced by a link; the same twice changes nothing", () => {
  const folder = Deno.makeTempDirSync();
  const path = `${folder}/resolv.conf`;
  const log: string[] = [], received: string[] = [];
  const read = () => {
    let text = "";
    try {
      text = Deno.readTextFileSync(path);
    } catch {
      // Missing.
    }
    return { ...parseResolvConf(text), hosts: [] };
  };
  try {
    const keeper = new ResolverKeeper([path, `${folder}/hosts`], {
      read,
      onchange: ({ servers }) => received.push(servers.map(({ address }) => address).join(" ")),
      log: (level, text) => log.push(`${level} ${text}`),
    });
    keeper.look();
    assert.deepEqual(received, []);
    Deno.writeTextFileSync(path, "nameserver 192.0.2.1\n");
    keeper.look();
    Deno.writeTextFileSync(path, "nameserver 192.0.2.1 # the same, said at greater length\n");
    keeper.look();
    keeper.look();
    Deno.writeTextFileSync(`${folder}/other`, "nameserver 192.0.2.2\n");
    Deno.removeSync(path);
    Deno.symlinkSync("other", path);
    keeper.look();
    Deno.removeSync(path);
    keeper.look();
    assert.deepEqual(received, ["192.0.2.1", "192.0.2.2", "127.0.0.1"]);
    assert.equal(log[0], `info info: ${path} or ${folder}/hosts has changed; name servers: 192.0.2.1`);
    assert.equal(keeper.settings.servers[0]!.address, "127.0.0.1");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
