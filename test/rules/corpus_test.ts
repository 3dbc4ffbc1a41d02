/** Every right configuration of the corpus routes as its comments say: parsed as the daemon parses it, expanded as lookup expands. */

import assert from "node:assert/strict";
import type { StaticTable, TableFile } from "../../src/config/mod.ts";
import { BUILTIN_TABLES } from "../../src/config/defaults.ts";
import type { Deliverable } from "../../src/envelope/mod.ts";
import { expand, type ExpansionLookups } from "../../src/rules/mod.ts";
import { parseUserInfo } from "../../src/tables/mod.ts";
import { configOf, entries, type Entry, FILES, type Route, routeOf } from "../config/corpus.ts";
import { readTableFile } from "../config/helper.ts";
import { mailbox, worldOf } from "./support.ts";

/** Accounts of the machine. */
const users = ["root", "alice", "bob", "carol", "dave", "vmail"];

/** `ACTION:USER[+TAG]`, `ACTION:|COMMAND`, `ACTION:>FILE`, `ACTION->ADDRESS`, or the code of the reply. */
function brief(target: Deliverable): string {
  if (target.agent === "mta") return `${target.action}->${target.dest.local}@${target.dest.domain}`;
  if (target.exec !== "") return `${target.action}:${target.exec.startsWith(">") ? "" : "|"}${target.exec}`;
  return `${target.action}:${target.user}${target.subAddress === "" ? "" : `+${target.subAddress}`}`;
}

function contentOf({ name, path }: TableFile): StaticTable {
  const content = readTableFile(Deno.readTextFileSync(new URL(`.${path}`, FILES)));
  assert.ok(content.ok);
  return { name, kind: content.kind, entries: content.entries };
}

/** The world of a configuration; accounts of its userbases are those of its tables. */
function worldFor(entry: Entry): ExpansionLookups {
  const config = configOf(entry);
  const tables: StaticTable[] = [...Object.values(config.tables), ...Object.values(config.tableFiles).map(contentOf)];
  const actions = Object.values(config.actions);
  const world = worldOf({ rules: config.rules, actions, tables, users, delimiter: config.smtp.subAddressDelimiter });
  return {
    ...world,
    account(action, name) {
      if (action.userbase === null || action.userbase === BUILTIN_TABLES.accounts) return world.account(action, name);
      const people = tables.find((table) => table.name === action.userbase);
      const found = people?.entries.find(([key]) => key === name);
      return found === undefined ? null : parseUserInfo(...found);
    },
  };
}

for (const entry of entries("valid")) {
  const routes = entry.notes.map(routeOf).filter((route) => route !== null);
  if (routes.length === 0) continue;
  Deno.test(`corpus/valid/${entry.name}.conf routes as its comments say`, () => {
    const world = worldFor(entry);
    const found = ({ origin, tls, sender, rcpt }: Route) => {
      const result = expand(world, {
        origin,
        tls,
        sender: sender === "" ? null : mailbox(sender),
        rcpt: mailbox(rcpt),
      });
      return result.ok ? result.targets.map(brief).join("; ") : String(result.code);
    };
    const actual = routes.map((route) => `${route.note.split(" => ")[0]} => ${found(route)}`);
    assert.deepEqual(actual, routes.map(({ note }) => note));
  });
}

Deno.test("most right configurations of the corpus say how they route", () => {
  const routed = entries("valid").filter(({ notes }) => notes.some((note) => routeOf(note) !== null));
  assert.ok(routed.length >= 40);
});
