/** Datagrams for journald, and a journald that is busy or away. */

import assert from "node:assert/strict";
import { Journal, journalDatagram } from "../../src/daemon/journal.ts";
import { FakeClock } from "../fake_clock.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("a datagram has a field per line; a value of several lines has its length in front", () => {
  const bytes = journalDatagram({
    level: "warn",
    text: "warn: fire",
    fields: [{ name: "VAULTPOST_EVENT", value: "log" }, { name: "VAULTPOST_STAT", value: "a\nb" }],
  });
  assert.equal(
    text(bytes),
    "MESSAGE=warn: fire\nPRIORITY=4\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=smtpd\nVAULTPOST_EVENT=log\n" +
      "VAULTPOST_STAT\n\x03\0\0\0\0\0\0\0a\nb\n",
  );
});

Deno.test("a long value is cut, not within a character, and a datagram has a bound", () => {
  const bytes = journalDatagram({ level: "info", text: "x" + "é".repeat(20_000) });
  const message = text(bytes).split("\n")[0]!;
  assert.equal(message, `MESSAGE=x${"é".repeat(8191)}`);
  const fields = Array.from({ length: 20 }, (_, at) => ({ name: `VAULTPOST_${at}`, value: "y".repeat(10_000) }));
  assert.ok(journalDatagram({ level: "info", text: "t", fields }).length <= 64 * 1024);
});

Deno.test("what journald does not take is sent again in order; what does not fit is counted and told", () => {
  const clock = new FakeClock(0), sent: string[] = [];
  let open = true;
  const native = {
    datagramSocket: () => 3,
    sendDatagram: (_descriptor: number, _path: string, bytes: Uint8Array) => {
      if (open) sent.push(/^MESSAGE=(.*)/.exec(text(bytes))![1]!);
      return open;
    },
    close: () => {},
  };
  const journal = new Journal({ native, socket: "/socket", after: clock.after });
  const write = (name: string) => journal.write([{ level: "info", text: name }]);
  write("a");
  open = false;
  for (let line = 0; line < 4_010; line++) write(String(line));
  clock.advance(60_000);
  assert.deepEqual(sent, ["a"]);
  open = true;
  clock.advance(2_000);
  assert.equal(sent.length, 4_002);
  assert.deepEqual(sent.slice(0, 3), ["a", "0", "1"]);
  assert.deepEqual(sent.slice(-2), ["3999", "warn: log: 10 lines were left out: journald did not take them"]);
  write("b");
  assert.equal(sent.at(-1), "b");
  journal.close();
});
