/** Lists of recipients in alias values and include files. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type ListTarget,
  parseIncludeFile,
  parseTargets,
  sortTargets,
  targetFault,
  targetText,
} from "../../src/tables/mod.ts";

function brief(targets: readonly ListTarget[]): string[] {
  return targets.map((target) => `${target.type} ${targetText(target)}`);
}

const rows: { value: string; want: string[] | null; because: string }[] = [
  { value: "bob", want: ["user bob"], because: "a plain name is a user" },
  {
    value: " Bob , eve.smith_2-x+tag ",
    want: ["user Bob", "user eve.smith_2-x+tag"],
    because: "items are trimmed, case stays",
  },
  { value: "", want: [], because: "an empty value names nobody" },
  { value: "a,, ,b,", want: ["user a", "user b"], because: "empty items are skipped" },
  { value: "bob@example.org", want: ["address bob@example.org"], because: "an @ makes an address" },
  {
    value: "b!#$%*/?|^{}`~&+-=_.@x",
    want: ["address b!#$%*/?|^{}`~&+-=_.@x"],
    because: "all of atext may stand in it",
  },
  {
    value: "j\u00FCrgen@b\u00FCcher.example",
    want: ["address j\u00FCrgen@xn--bcher-kva.example"],
    because: "UTF-8 may, RFC 6531",
  },
  { value: "a@b@c", want: null, because: "the first @ splits, the second is no part of a domain" },
  { value: "@b", want: null, because: "an address needs a user" },
  { value: "a@", want: null, because: "an address needs a domain" },
  { value: "a@b_c", want: null, because: "an underscore is no part of a domain" },
  { value: "/var/mail/list", want: ["file /var/mail/list"], because: "an absolute path is a file" },
  { value: "/a@b", want: ["file /a@b"], because: "a path comes before an address" },
  { value: "/home/bob/Mail/", want: ["file /home/bob/Mail/"], because: "a slash at the end makes a Maildir of it" },
  { value: "/Mail///", want: ["file /Mail/"], because: "however many there are" },
  { value: "maildir:/home/bob/Mail", want: ["file /home/bob/Mail/"], because: "so does the word in front" },
  { value: "Maildir:~/Mail/, bob", want: ["file ~/Mail/", "user bob"], because: "in any case, and in the home" },
  {
    value: '"maildir:/My Mail, all/", "/My, file"',
    want: ["file /My Mail, all/", "file /My, file"],
    because: "quotes keep commas in paths",
  },
  { value: "maildir:Mail/", want: null, because: "a Maildir needs an absolute path" },
  { value: "maildir:", want: null, because: "and a path at all" },
  { value: "maildir:~bob/Mail", want: null, because: "nobody else's home" },
  { value: "//", want: null, because: "the root is no file" },
  { value: "maildir:/", want: null, because: "and no Maildir" },
  { value: '"/x', want: null, because: "a path whose quote is not closed" },
  { value: "~/Mail", want: null, because: "a file is named from the root on" },
  { value: "|/bin/cat -n", want: ["pipe /bin/cat -n"], because: "a bar starts a command" },
  { value: '"|/bin/echo a, b"', want: ["pipe /bin/echo a, b"], because: "quotes keep a comma in a command" },
  { value: '"|/bin/cat', want: null, because: "a quote that is not closed" },
  { value: "|", want: null, because: "a command needs a word" },
  { value: "|echo a\\, b", want: ["pipe echo a, b"], because: "a backslash keeps a comma" },
  { value: "bob\\", want: null, because: "a backslash at the end escapes nothing" },
  { value: "\\bob", want: ["user bob"], because: "a backslash in front of a name is dropped" },
  { value: "'a,b'", want: null, because: "single quotes keep a comma, and what they hold is no name" },
  { value: "o'brien@example.org", want: null, because: "a single quote is a quote that hangs" },
  { value: ":include:/etc/list", want: ["include /etc/list"], because: "an include with colons" },
  { value: "Include:/etc/list", want: ["include /etc/list"], because: "an include without, in any case" },
  { value: ":include:list", want: null, because: "an include needs an absolute path" },
  { value: "error:550 gone", want: ["error 550 gone"], because: "an error with its text" },
  { value: ":ERROR:451 4.2.1 later", want: ["error 451 4.2.1 later"], because: "an error in the other form" },
  { value: "error:250 fine", want: null, because: "an error cannot succeed" },
  { value: "error:550 -gone", want: null, because: "the text starts with a letter or digit" },
  { value: "error:550", want: null, because: "an error needs a text" },
  { value: "error:550 a\tb", want: null, because: "control characters would break the reply" },
  { value: "error:550 f\u00FCr", want: null, because: "replies are ASCII" },
  { value: "bob, not valid", want: null, because: "one bad item spoils the value" },
  { value: "b\u00F6b", want: null, because: "users are ASCII" },
  { value: "x".repeat(256), want: null, because: "a user has at most 255 characters" },
  { value: "/" + "x".repeat(1023), want: null, because: "an item has at most 1023 characters" },
  { value: "abc,".repeat(262_145), want: null, because: "a list has at most 1048576 characters" },
  { value: Array(600).fill("abc").join(), want: Array(600).fill("user abc"), because: "a long list is a list" },
];
for (const { value, want, because } of rows) {
  const shown = value.length > 60 ? `${value.slice(0, 20)}… (${value.length})` : value;
  Deno.test(`parseTargets() ${want === null ? "refuses" : "reads"} ${JSON.stringify(shown)}: ${because}`, () => {
    const list = parseTargets(value);
    assert.equal(list.valid, want !== null);
    if (want !== null) assert.deepEqual(brief(list.targets), want);
  });
}

const faults: readonly (readonly [value: string, want: string | null])[] = [
  ["bob, carol@example.org", null],
  ["alice # the boss", '"alice # the boss": a comment stands on a line of its own'],
  ["alice bob", '"alice bob": targets are parted by commas'],
  ['"alice', 'a quote is not closed, or "\\" stands at the end'],
  ["alice\\", 'a quote is not closed, or "\\" stands at the end'],
  [" , ,", "it names nobody"],
  ["a@b c@d", '"a@b c@d": targets are parted by commas'],
  ["a@@b", '"a@@b" is no user, address, /file, |command, :include:/file or error:CODE TEXT'],
  [":include:list", '":include:list": the path of an include file begins with a slash'],
  ["error:550", '"error:550": write error:550 and a text in ASCII behind it'],
  ['"|', 'a quote is not closed, or "\\" stands at the end'],
  ["|", '"|": a command is |command or "|command with arguments"'],
  [`/${"x".repeat(1023)}`, `"/${"x".repeat(76)}..." has more than 1023 characters`],
];
for (const [value, want] of faults) {
  Deno.test(`targetFault("${value.slice(0, 20)}") says ${want?.slice(0, 60) ?? "nothing"}`, () => {
    assert.equal(targetFault(value), want);
    const { valid, targets } = parseTargets(value);
    assert.equal(want === null, valid && targets.length > 0, "it is what the expansion goes by");
  });
}

Deno.test("parseTargets() returns or refuses whatever it is given", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 100 }), (text) => {
    for (const target of parseTargets(text).targets) assert.ok(targetText(target).length > 0);
  }));
});

Deno.test("sortTargets() orders by type, then by text", () => {
  const { targets } = parseTargets("b@x, error:550 no, :include:/i, |cmd, /file, zoe, ann");
  assert.deepEqual(brief(sortTargets(targets)), [
    "user ann",
    "user zoe",
    "file /file",
    "pipe cmd",
    "include /i",
    "address b@x",
    "error 550 no",
  ]);
});

Deno.test("parseIncludeFile() knows comments, continued lines, and stops a line at its first bad item", () => {
  const text = "# staff\nzoe, ann # the boss\n\nbob,\\\n eve\r\nmax, not valid, kim\n:include:/other\nlee\n";
  assert.deepEqual(brief([...parseIncludeFile(text)]), [
    "user zoe",
    "user ann",
    "user bob",
    "user eve",
    "user max",
    "user lee",
  ]);
});
