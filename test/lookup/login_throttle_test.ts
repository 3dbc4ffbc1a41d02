/** Failed logins are counted for each address, whoever brings them, and what runs at the same time counts too. */

import assert from "node:assert/strict";
import { LoginThrottle } from "../../src/lookup/login_throttle.ts";

Deno.test("LoginThrottle counts failures by address, and IPv6 networks as one", () => {
  let now = 0;
  const guard = new LoginThrottle(() => now);
  for (let count = 0; count < 20; count++) {
    assert.equal(guard.blocked("192.0.2.7"), false, `after ${count}`);
    guard.failed("192.0.2.7");
    guard.failed(`[2001:db8:0:1::${count}]`);
  }
  const blocked = ["192.0.2.7", "[2001:db8:0:1:ffff::]", "[2001:db8::1:0:0:0:9]"];
  for (const address of blocked) assert.equal(guard.blocked(address), true, address);
  for (const address of ["192.0.2.8", "[2001:db8:0:2::1]", "[::1]"]) {
    assert.equal(guard.blocked(address), false, address);
  }
  now = 600_000;
  for (const address of blocked) assert.equal(guard.blocked(address), false, `${address} ten minutes later`);
});

Deno.test("of a hundred attempts at once 20 are made; when they succeed, the others are", async () => {
  for (const [result, made] of [["permfail", 20], ["ok", 100]] as const) {
    const guard = new LoginThrottle(() => 0);
    let count = 0;
    const attempt = async () => {
      count++;
      await Promise.resolve();
      return result;
    };
    const all = await Promise.all(
      Array.from({ length: 100 }, () => guard.attempt<string>("192.0.2.7", attempt, (said) => said === "permfail")),
    );
    assert.equal(count, made);
    assert.equal(all.filter((said) => said === null).length, 100 - made);
    assert.equal(await guard.attempt(null, attempt, () => true), result, "clients on this machine are not counted");
  }
});
