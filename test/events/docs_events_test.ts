/** docs/events.md says of each event that is kept, and of each detail, which fields it has: programs read them. */

import assert from "node:assert/strict";
import { EVENT_FIELDS, EVENT_SCHEMA_VERSION } from "../../src/events/mod.ts";
import { DETAIL_FIELDS } from "../../src/protocol/event_details.ts";
import { EVENTS, type Reporter, REPORTERS } from "../../src/protocol/events.ts";
import { REPLY_CLASSES } from "../../src/reply_class/mod.ts";

/** What no story has. */
const LEFT_OUT = ["count", "gauge", "histogram", "log", "trace", "smtp-committed"];
const TEXT = await Deno.readTextFile(new URL("../../docs/events.md", import.meta.url));

/** Sections by their headings, with the names of the fields of their tables, `?` behind those that may be absent. */
const SECTIONS = new Map(
  TEXT.split(/^#{2,3} /m).slice(1).map((section) => {
    const fields = [...section.matchAll(/^\| `(\w+\??)` +\|/gm)].map(([, field]) => field!);
    return [section.split("\n", 1)[0]!.replaceAll("`", ""), { section, fields }];
  }),
);

/** The same from a table of checks. */
function fieldsOf(checks: object): string[] {
  return Object.entries(checks).map(([name, check]) => (check as { optional?: true }).optional ? `${name}?` : name);
}

const kept = REPORTERS.flatMap((role) => Object.keys(EVENTS[role]).filter((type) => !LEFT_OUT.includes(type)));
for (const type of new Set(kept)) {
  Deno.test(`docs/events.md has the fields of ${type}, and who reports it`, () => {
    const reporters = REPORTERS.filter((role) => Object.hasOwn(EVENTS[role], type));
    const found = SECTIONS.get(type);
    assert.ok(found !== undefined, `no section of ${type}`);
    const fields = fieldsOf(EVENTS[reporters[0]!][type as keyof typeof EVENTS[Reporter]]);
    assert.deepEqual(found.fields.toSorted(), fields.toSorted());
    const [, by = ""] = /^By ([a-z, ]+?)(?:, while the history records)?\./m.exec(found.section) ?? [];
    assert.deepEqual(by.split(/, | and /).sort(), reporters.toSorted());
  });
}

Deno.test("docs/events.md has the fields of every detail, all classes, and the version", () => {
  for (const [name, checks] of Object.entries(DETAIL_FIELDS)) {
    assert.deepEqual(SECTIONS.get(name)?.fields.toSorted(), fieldsOf(checks).toSorted(), name);
  }
  const classes = SECTIONS.get("Classes")!.section;
  assert.deepEqual([...classes.matchAll(/`([a-z-]+)`/g)].map(([, word]) => word!), [...REPLY_CLASSES]);
  assert.match(TEXT, new RegExp(`\\*\\*version ${EVENT_SCHEMA_VERSION}\\*\\*`));
});

Deno.test("docs/events.md has admin-act, which passes no door, and nothing that there is not", () => {
  const fields = SECTIONS.get("admin-act")!.fields.map((field) => field.replace("?", ""));
  assert.deepEqual(fields.toSorted(), [...EVENT_FIELDS["admin-act"]].sort());
  const known = new Set([...kept, "admin-act", ...Object.keys(DETAIL_FIELDS)]);
  for (const [name, { fields }] of SECTIONS) assert.ok(known.has(name) || fields.length === 0, name);
});
