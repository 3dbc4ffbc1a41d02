/**
 * Chains that dkimpy has sealed pass here, and both judge alike what was changed on the way. One process of Python makes
 * them all. ARC_CHAINS=200 for more.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { generateKeyPairSync } from "node:crypto";
import { ArcVerifier } from "../../../src/mail_auth/arc/mod.ts";
import { authenticationResults } from "../../../src/mail_auth/authentication_results.ts";

const CHAINS = Number(Deno.env.get("ARC_CHAINS") ?? 40);
const tools = new URL("../../../.deno/tools/", import.meta.url).pathname;
const PYTHONPATH = ["python3-dkim", "python3-authres"]
  .map((name) => `${tools}${name}/usr/lib/python3/dist-packages`).join(":");

async function python(
  args: readonly string[],
  input: string,
): Promise<{ readonly code: number; readonly stdout: string }> {
  const child = new Deno.Command("python3", {
    args: [...args],
    env: { PYTHONPATH },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout } = await child.output();
  return { code, stdout: new TextDecoder().decode(stdout) };
}

const ignore = (await python(["-c", "import dkim, authres"], "")).code !== 0;
if (ignore) console.warn("python3-dkim and python3-authres could not be had: chains of dkimpy are not looked at");

async function verify(message: Uint8Array, record: string) {
  const text = Buffer.from(message).toString("latin1").replaceAll("\r\n", "\n");
  const end = text.indexOf("\n\n") + 1;
  const dns = { txt: () => Promise.resolve({ kind: "records", records: [record] } as const) };
  const verifier = new ArcVerifier({ now: Date.now(), dns });
  verifier.header(Buffer.from(text.slice(0, end), "latin1"));
  verifier.body(Buffer.from(text.slice(end + 1), "latin1"));
  return await verifier.finish();
}

Deno.test({
  name: `${CHAINS} chains of dkimpy, of which half were changed, are judged as dkimpy judges them`,
  ignore,
  fn: async () => {
    const pair = generateKeyPairSync("rsa", { modulusLength: 1024 });
    const key = pair.privateKey.export({ format: "pem", type: "pkcs1" });
    const record = `v=DKIM1; p=${pair.publicKey.export({ format: "der", type: "spki" }).toString("base64")}`;
    const order = { key, record, count: CHAINS, seed: 8617 };
    const { code, stdout } = await python(
      [new URL("./dkimpy_arc.py", import.meta.url).pathname],
      JSON.stringify(order),
    );
    assert.equal(code, 0);
    const found = { pass: 0, fail: 0 };
    const differing: string[] = [];
    let unread = 0;
    for (const line of stdout.trim().split("\n")) {
      const chain = JSON.parse(line) as { readonly message: string; readonly found: string };
      const message = Uint8Array.fromBase64(chain.message);
      const { result, reason } = await verify(message, record);
      // It reads no header section of which a line is no field, and stumbles over bad base64.
      if (chain.found === "error") unread++;
      else if (result !== chain.found) {
        differing.push(`dkimpy: ${chain.found}, here: ${result} (${reason})\n${new TextDecoder().decode(message)}`);
      }
      if (result !== "none") found[result]++;
    }
    assert.deepEqual(differing, []);
    assert.ok(unread < CHAINS / 10, `${unread} were not read by dkimpy`);
    assert.ok(found.pass >= CHAINS / 2 && found.fail > CHAINS / 4, JSON.stringify(found));
  },
});

Deno.test({
  name: "authres of Python reads Authentication-Results as it was meant",
  ignore,
  fn: async () => {
    const field = authenticationResults("mx.example.org", {
      spf: {
        result: "softfail",
        identity: "mailfrom",
        domain: "news.example",
        reason: 'no (really) "not"; spf=pass\\',
      },
      dkim: [
        {
          result: "pass",
          domain: "news.example",
          selector: "s1",
          identity: "john.doe@news.example",
          signature: "a/b+c=d",
          reason: null,
          keyBits: 2048,
          testing: true,
        },
      ],
      arc: { result: "pass", instance: 2, sealers: ["a.example", "b.example"], reason: null },
      dmarc: { result: "fail", domain: "news.example", policy: "quarantine", reason: "neither" },
    });
    const script = "import authres, json, sys\n" +
      "read = authres.AuthenticationResultsHeader.parse(sys.stdin.read().strip().replace('\\n', ''))\n" +
      "print(json.dumps([read.authserv_id, [[one.method, one.result, [[p.type, p.name, p.value] for p in one.properties]] " +
      "for one in read.results]]))";
    const { code, stdout } = await python(["-c", script], field);
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), [
      "mx.example.org",
      [
        ["spf", "softfail", [["smtp", "mailfrom", "news.example"]]],
        [
          "dkim",
          "pass",
          // It does not know header.b.
          [["header", "d", "news.example"], ["header", "s", "s1"], ["header", "i", "john.doe@news.example"]],
        ],
        ["arc", "pass", []],
        ["dmarc", "fail", [["header", "from", "news.example"], ["policy", "dmarc", "quarantine"]]],
      ],
    ]);
  },
});
