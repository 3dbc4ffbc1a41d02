/** When certificates are obtained, renewed and tried again, by a clock that the test moves. */

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { AcmeFailure } from "../../src/acme/failure.ts";
import { Keeper, type KeeperDeps, type Line } from "../../src/acme/keeper.ts";
import { validityOf } from "../../src/acme/renewal.ts";
import { implicit, selfSignedCertificate, sequence } from "../../src/tls/mod.ts";
import { FakeClock } from "../fake_clock.ts";

const START = Date.UTC(2026, 0, 1), MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const LINE: Line = {
  name: "mx.example.org",
  directory: "https://ca.example/dir",
  contact: [],
  challenge: "http-01",
  names: ["mx.example.org"],
  keyType: "ecdsa",
  ca: null,
  account: null,
  chain: null,
  putOff: { until: 0, failures: 0 },
};
const chain = (now: number, name = "mx.example.org", days = 90) => selfSignedCertificate({ name, now, days });

/** A keeper whose authority does as `answer` says; what it did is kept. */
function setUp(
  lines: readonly Line[],
  answer: (now: number) => Error | null = () => null,
  info: KeeperDeps["renewalInfo"] = () => Promise.resolve(null),
) {
  const clock = new FakeClock(START);
  const asked: number[] = [], putOff: unknown[] = [], log: string[] = [], counted: string[] = [];
  let expires: number | null = null;
  const keeper = new Keeper(lines, {
    clock,
    random: () => 0,
    obtain: () => {
      asked.push(clock.now());
      const failure = answer(clock.now());
      return failure === null ? Promise.resolve(chain(clock.now())) : Promise.reject(failure);
    },
    store: () => Promise.resolve(null),
    renewalInfo: info,
    putOff: (_line, { until, failures }) => putOff.push([until - START, failures]),
    log: (_level, text) => log.push(text),
    count: (key) => counted.push(key),
    expires: (at) => expires = at,
  });
  /** Lets time pass in steps, so that promises settle between them. */
  const pass = async (ms: number, step = HOUR) => {
    for (let left = ms; left > 0; left -= step) {
      clock.advance(Math.min(step, left));
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    }
  };
  const settle = () => pass(1, 1);
  return { clock, keeper, asked, putOff, log, counted, pass, settle, expires: () => expires };
}

Deno.test("a certificate that is missing is obtained at once, and renewed after two thirds of its life", async () => {
  const { keeper, asked, counted, pass, settle, expires, log } = setUp([LINE]);
  keeper.start();
  await settle();
  assert.deepEqual([asked.length, counted], [1, ["acme.certificate"]]);
  assert.equal(expires(), START + 90 * DAY);
  assert.match(
    log[0]!,
    /the certificate for mx\.example\.org was obtained: it ends on 2026-04-01, and is renewed about 2026-03-0\d$/,
  );
  await pass(59 * DAY);
  assert.equal(asked.length, 1);
  await pass(5 * DAY);
  assert.equal(asked.length, 2);
  keeper.stop();
});

Deno.test("a stored certificate is left alone; one that lacks a name, has ended or cannot be read is obtained anew", async () => {
  const rows: readonly (readonly [chain: string, asked: number])[] = [
    [chain(START).cert, 0],
    [chain(START, "other.example.org").cert, 1],
    [chain(START - 100 * DAY).cert, 1],
    ["nonsense", 1],
  ];
  for (const [text, want] of rows) {
    const { keeper, asked, settle } = setUp([{ ...LINE, chain: text }]);
    keeper.start();
    await settle();
    assert.equal(asked.length, want, text);
    keeper.stop();
  }
});

Deno.test("failures in a row are tried again later and later, a day apart at most, and are remembered", async () => {
  const { keeper, asked, putOff, pass, settle, log } = setUp([LINE], () => new AcmeFailure("refused", "no"));
  keeper.start();
  await settle();
  await pass(3 * DAY, 10 * MINUTE);
  const waits = asked.slice(1).map((at, index) => Math.round((at - asked[index]!) / MINUTE));
  assert.deepEqual(waits, [10, 20, 40, 80, 160, 320, 640, 1280, 1440].slice(0, waits.length));
  assert.ok(waits.length >= 8);
  assert.deepEqual(putOff[1], [asked[1]! - START + 20 * MINUTE, 2]);
  assert.match(
    log[0]!,
    /^warn: acme: pki "mx.example.org": no certificate: no: it is tried again in 10 min \(failures in a row: 1\)$/,
  );
  keeper.stop();
});

Deno.test("what was put off while the clock was ahead is tried at once", async () => {
  const { keeper, asked, settle } = setUp([{ ...LINE, putOff: { until: START + 3650 * DAY, failures: 9 } }]);
  keeper.start();
  await settle();
  assert.equal(asked.length, 1);
  keeper.stop();
});

Deno.test("a time that the authority names is kept to, by whoever asks for a look as well; other failures are looked at at once", async () => {
  for (
    const [failure, minutes, looked] of [
      [new AcmeFailure("refused", "slow", { type: "rateLimited", retryAfterMs: 5 * HOUR }), 300, 1],
      [new AcmeFailure("refused", "slow", { type: "rateLimited" }), 60, 1],
      [new AcmeFailure("refused", "slow", { retryAfterMs: 30 * DAY }), 7 * 24 * 60, 1],
      [new AcmeFailure("unreached", "nobody"), 1, 2],
      [new Error("of ours"), 10, 2],
    ] as const
  ) {
    const { keeper, asked, pass, settle, putOff } = setUp([LINE], () => failure);
    keeper.start();
    await settle();
    assert.equal(Math.round((putOff[0] as number[])[0]! / MINUTE), minutes, failure.message);
    keeper.look();
    await settle();
    assert.equal(asked.length, looked, failure.message);
    if (looked === 1) {
      await pass((minutes - 1) * MINUTE, 30 * MINUTE);
      assert.equal(asked.length, 1);
      await pass(2 * MINUTE, MINUTE);
      assert.equal(asked.length, 2);
    }
    keeper.stop();
  }
});

Deno.test("a failure before the restart is waited for after it", async () => {
  const { keeper, asked, pass, settle } = setUp([{ ...LINE, putOff: { until: START + HOUR, failures: 3 } }]);
  keeper.start();
  await settle();
  assert.equal(asked.length, 0);
  await pass(HOUR, MINUTE);
  assert.equal(asked.length, 1);
  keeper.stop();
});

/** A certificate that names the key of its authority: that of RFC 9773, appendix A. */
function withAuthority(now: number): string {
  const key = Uint8Array.fromHex("69885b6b87464041e1b37b847ba0ae2cde01c8d4");
  const extensions = [{ oid: "2.5.29.35", critical: false, value: sequence(implicit(0, key)) }];
  return selfSignedCertificate({ name: "mx.example.org", now, days: 90, extensions }).cert;
}

Deno.test("the id of a certificate for its authority is that of RFC 9773 §4.1", () => {
  const cert = withAuthority(START);
  const [key, serial] = validityOf(cert).id!.split(".");
  assert.equal(key, "aYhba4dGQEHhs3uEe6CuLN4ByNQ");
  const hex = Uint8Array.fromBase64(serial!, { alphabet: "base64url" }).toHex().replace(/^00/, "");
  assert.equal(hex, new X509Certificate(cert).serialNumber.toLowerCase());
  assert.equal(validityOf(chain(START).cert).id, null);
});

Deno.test("the window of the authority (ARI) is asked for as it says, and moves the renewal forward", async () => {
  let window = { start: START + 70 * DAY, end: START + 71 * DAY };
  const asks: number[] = [];
  const { keeper, asked, pass, clock } = setUp([{ ...LINE, chain: withAuthority(START) }], () => null, () => {
    asks.push(clock.now());
    return Promise.resolve({ ...window, retryAfterMs: 12 * HOUR });
  });
  keeper.start();
  await pass(3 * DAY);
  assert.ok(asks.length >= 5 && asks.length <= 7, `${asks.length}`);
  assert.equal(asked.length, 0);
  window = { start: START, end: START + HOUR };
  await pass(DAY);
  assert.equal(asked.length, 1);
  keeper.stop();
});

Deno.test("an authority that does not say when to renew changes nothing", async () => {
  let asks = 0;
  const { keeper, asked, pass } = setUp([{ ...LINE, chain: withAuthority(START) }], () => null, () => {
    asks++;
    return Promise.reject(new AcmeFailure("unreached", "nobody"));
  });
  keeper.start();
  await pass(59 * DAY);
  assert.deepEqual([asked.length, asks > 100], [0, true]);
  await pass(5 * DAY);
  assert.equal(asked.length, 1);
  keeper.stop();
});

Deno.test("settings that come while an order is under way do not lose what it brings", async () => {
  const { keeper, asked, settle } = setUp([LINE]);
  keeper.start();
  keeper.renew([{ ...LINE, account: { key: "k", url: "u", contact: "" } }]);
  await settle();
  await settle();
  assert.equal(asked.length, 1);
  keeper.stop();
});

Deno.test("other settings: what is new is obtained, what stays is left alone", async () => {
  const { keeper, asked, settle } = setUp([LINE]);
  keeper.start();
  await settle();
  keeper.renew([LINE, { ...LINE, name: "b.example.org" }]);
  await settle();
  assert.equal(asked.length, 2);
  keeper.renew([{ ...LINE, directory: "https://other.example/dir" }]);
  await settle();
  assert.equal(asked.length, 3);
  keeper.stop();
});
