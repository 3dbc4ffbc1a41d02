/** Lines of the control socket: what is a request, and what is not. */

import { deepEqual } from "node:assert/strict";
import { parseRequest } from "../../src/control/parse.ts";

const message = "7b23f1c8", envelope = "7b23f1c8a1b2c3d4";

const rows: readonly { readonly line: unknown; readonly request: unknown; readonly because: string }[] = [
  { line: { do: "stop" }, request: { do: "stop" }, because: "a request may have no fields" },
  { line: { do: "stop", more: 1 }, request: { do: "stop" }, because: "fields that are not asked for are left out" },
  { line: { do: "show-queue", message: null }, request: { do: "show-queue", message: null }, because: "all messages" },
  { line: { do: "show-queue" }, request: null, because: "a field is missing" },
  { line: { do: "show-message", message: "00000000" }, request: null, because: "no id is all zero" },
  { line: { do: "show-envelope", envelope: message }, request: null, because: "an id is of the wrong length" },
  { line: { do: "show-relay", what: "all" }, request: null, because: "a word is not known" },
  { line: { do: "discover", envelope }, request: { do: "discover", envelope }, because: "one of two lists of fields" },
  {
    line: { do: "discover", messages: [message] },
    request: { do: "discover", messages: [message] },
    because: "the other of two lists of fields",
  },
  { line: { do: "discover", messages: Array(51).fill(message) }, request: null, because: "a list is too long" },
  { line: { do: "remove", target: "all" }, request: { do: "remove", target: "all" }, because: "every envelope" },
  {
    line: { do: "schedule", target: { domain: "example.org" } },
    request: { do: "schedule", target: { domain: "example.org" } },
    because: "those of a domain",
  },
  { line: { do: "remove", target: { domain: "example.org", message } }, request: null, because: "two targets" },
  { line: { do: "remove", target: null }, request: null, because: "no target" },
  { line: { do: "trace", what: "all" }, request: { do: "trace", what: "all" }, because: "all subsystems" },
  { line: { do: "resume-route", route: 0.5 }, request: null, because: "a fraction" },
  { line: { do: "constructor" }, request: null, because: "a name that every object has" },
  { line: [], request: null, because: "a list" },
  { line: null, request: null, because: "null" },
];
for (const { line, request, because } of rows) {
  Deno.test(`parseRequest() of ${JSON.stringify(line).slice(0, 60)}: ${because}`, () => {
    deepEqual(parseRequest(JSON.stringify(line)), request);
  });
}

Deno.test("parseRequest() of what is no JSON is null", () => deepEqual(parseRequest("{"), null));
