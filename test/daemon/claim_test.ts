/** The folder of the state, on a real disk. */

import assert from "node:assert/strict";
import { claimState } from "../../src/daemon/claim.ts";

Deno.test("the folder of the state is made for this user alone, and closed where it was open", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const path = `${folder}/a/state`;
    claimState(path);
    assert.equal(Deno.statSync(path).mode! & 0o7777, 0o700);
    Deno.chmodSync(path, 0o755);
    claimState(path);
    assert.equal(Deno.statSync(path).mode! & 0o7777, 0o700);
    Deno.writeTextFileSync(`${folder}/file`, "");
    assert.throws(() => claimState(`${folder}/file`), /It is a file/);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test({
  name: "a folder of the state that is another user's is refused",
  ignore: Deno.uid() !== 0,
  fn() {
    const path = Deno.makeTempDirSync();
    try {
      Deno.chownSync(path, 65534, 65534);
      assert.throws(() => claimState(path), /belongs to another user \(uid 65534\)/);
    } finally {
      Deno.removeSync(path, { recursive: true });
    }
  },
});
