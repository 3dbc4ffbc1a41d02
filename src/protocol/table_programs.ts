/** What lookup says to the filter isolate, where the programs of tables run. Types, words and checks only. */

import { type Check, type MessageTable, oneOf, optional, type Replies, tagged, text } from "./check.ts";
import { door } from "./door.ts";
import { call, longText } from "./shapes.ts";

/** What a table can be asked for; the names are those of the protocol of table programs. */
export const TABLE_SERVICES = [
  "alias",
  "domain",
  "credentials",
  "netaddr",
  "userinfo",
  "source",
  "mailaddr",
  "addrname",
  "mailaddrmap",
  "relayhost",
  "string",
  "regex",
  "auth",
] as const;
export type TableService = typeof TABLE_SERVICES[number];

export type TableRequest =
  | { readonly op: "update" }
  | { readonly op: "check" | "lookup"; readonly service: TableService; readonly key: string }
  | { readonly op: "fetch"; readonly service: TableService };

export type TableAnswer =
  /** Of an update. */
  | { readonly result: "ok" }
  /** `value` is "" for a check. */
  | { readonly result: "found"; readonly value: string }
  | { readonly result: "not-found" }
  /** The mail operation that needed it fails temporarily; `reason` is for the operator. `unserved`: the program has no such service. */
  | { readonly result: "error"; readonly reason: string; readonly unserved?: true };

export type ToFilter = {
  readonly type: "table";
  readonly call: number;
  readonly table: string;
  readonly request: TableRequest;
};
export type FromFilter = { readonly type: "table"; readonly call: number; readonly answer: TableAnswer };

const service = oneOf(...TABLE_SERVICES);
const ABOUT_KEY = { service, key: text() };
const tableRequest: Check<TableRequest> = tagged<TableRequest, "op">("op", {
  update: {},
  check: ABOUT_KEY,
  lookup: ABOUT_KEY,
  fetch: { service },
});
const tableAnswer: Check<TableAnswer> = tagged<TableAnswer, "result">("result", {
  ok: {},
  found: { value: longText },
  "not-found": {},
  error: { reason: longText, unserved: optional(oneOf(true)) },
});

const TO_FILTER: MessageTable<ToFilter> = { table: { call, table: text(), request: tableRequest } };
const FROM_FILTER: MessageTable<FromFilter> = { table: { call, answer: tableAnswer } };
const FILTER_REPLIES: Replies<ToFilter, FromFilter> = { table: ["table"] };

export const LOOKUP_FILTER = door<ToFilter, FromFilter>(TO_FILTER, FROM_FILTER, FILTER_REPLIES);
