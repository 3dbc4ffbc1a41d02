/** Tables that a program answers for, as the config names them. */

import assert from "node:assert/strict";
import { complaints, configOf, RULE } from "./helper.ts";

const FILES = { "/libexec/table-ldap": "" };

Deno.test("a back-end of any other name is a program, with what stands after the colon as its argument", () => {
  const { programs, tables } = configOf(`table users ldap:/etc/ldap.conf\ntable "bare" ldap${RULE}`, { files: FILES });
  assert.deepEqual(programs, {
    users: { name: "users", program: "/libexec/table-ldap", argument: "/etc/ldap.conf" },
    bare: { name: "bare", program: "/libexec/table-ldap", argument: null },
  });
  assert.deepEqual(tables, {});
});

Deno.test("a program's table may be used for every lookup", () => {
  const text = `table t ldap:/x
action a maildir virtual <t> userbase <t>
action b mbox alias <t>
action c relay host <t>
action d relay domain <t>
match from src <t> for domain <t> mail-from <t> rcpt-to <t> tag <t> action a
match for any action b`;
  assert.deepEqual(complaints(text, { files: FILES }), []);
});

const wrong = [
  {
    text: "table t mysql:/x",
    want: 'c:1: table <t>: no program for back-end "mysql": /libexec/table-mysql: No such file or directory',
  },
  {
    text: "table t fil:/x",
    want:
      'c:1: table <t>: no program for back-end "fil": /libexec/table-fil: No such file or directory, did you mean "file"?',
  },
  {
    text: 'table "a|b" ldap:/x',
    want: 'c:1: table <a|b>: the name of a program\'s table holds no "|" and no control characters',
  },
  { text: 'table t "../ldap:/x"', want: 'c:1: invalid table back-end "../ldap"' },
  { text: "table t ldap:x", want: 'c:1: invalid path for table <t>: "x" does not start with a slash' },
];
for (const { text, want } of wrong) {
  Deno.test(`parseConfig() says ${want}`, () => assert.deepEqual(complaints(text + RULE, { files: FILES }), [want]));
}
