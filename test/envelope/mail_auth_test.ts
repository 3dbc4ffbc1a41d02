import { deepStrictEqual, strictEqual } from "node:assert";
import {
  copyMailAuth,
  formatMailAuth,
  isMailAuthKey,
  type MailAuth,
  mailAuthKeys,
  parseMailAuth,
} from "../../src/envelope/mod.ts";

const FAILED: MailAuth = { spf: "pass", dkim: "none", arc: "fail", dmarc: "fail", policy: "reject" };
const TEXT = "spf=pass dkim=none arc=fail dmarc=fail policy=reject";

Deno.test("results of mail authentication are one line, and are read from it", () => {
  strictEqual(formatMailAuth(FAILED), TEXT);
  deepStrictEqual(parseMailAuth(TEXT), FAILED);
  const { policy: _, ...passed } = { ...FAILED, dmarc: "pass" } as const;
  deepStrictEqual(parseMailAuth(formatMailAuth(passed)), passed);
});

Deno.test("conditions know a result by its method, and a failure of DMARC by what its domain asks for as well", () => {
  deepStrictEqual(mailAuthKeys(FAILED), ["spf=pass", "dkim=none", "arc=fail", "dmarc=reject", "dmarc=fail"]);
  for (const key of mailAuthKeys(FAILED)) strictEqual(isMailAuthKey(key), true, key);
  for (const key of ["", "dmarc", "dmarc=", "dmarc=soft", "spf=reject", "policy=reject", "dmarc=fail=", "x=pass"]) {
    strictEqual(isMailAuthKey(key), false, key);
  }
});

const UNSOUND: readonly unknown[] = [
  null,
  TEXT,
  {},
  { ...FAILED, spf: "reject" },
  { ...FAILED, arc: undefined },
  { ...FAILED, dkim: ["none"] },
  { ...FAILED, policy: "none" },
  { ...FAILED, policy: null },
];

Deno.test("of a value that is stored only what results can be is taken", () => {
  deepStrictEqual(copyMailAuth({ ...FAILED, more: 1 }), FAILED);
  for (const value of UNSOUND) strictEqual(copyMailAuth(value), null, JSON.stringify(value));
  for (
    const text of [
      "",
      "spf=pass",
      TEXT.replace("=reject", ""),
      TEXT.replace("arc=fail ", ""),
      `${TEXT} x=y`,
      `${TEXT}=`,
    ]
  ) {
    strictEqual(parseMailAuth(text), null, text);
  }
});
