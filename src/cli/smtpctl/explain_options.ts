/** What `smtpctl explain` may be told. */

import type { GivenOptions } from "./command_options.ts";
import type { CommandOption, Operands } from "./words.ts";

export const EXPLAIN_OPTIONS: readonly CommandOption[] = [
  { name: "-f", value: "sender", about: "The sender; <> is the null sender. By default the address of From." },
  { name: "-t", value: "rcpt", repeated: true, about: "A recipient, at least one." },
  { name: "--peer", value: "address", about: "IP address of the client." },
  { name: "--peer-name", value: "name", about: "Name of the client, in the place of what the DNS says." },
  { name: "--helo", value: "name", about: "What the client calls itself." },
  { name: "--tls", about: "The client begins TLS." },
  { name: "--login", value: "user", about: "The client logs in as this user, with the right password." },
  {
    name: "--listener",
    value: "listener",
    about: "The listener that it comes to: a tag, an address and port, or socket.",
  },
  { name: "--programs", about: "Asks the programs of filters and tables, too." },
  { name: "--config", value: "file", about: "Explains by this configuration." },
  { name: "--record", value: "file", about: "Writes the message with what was decided, for smtpd -n --expect." },
  { name: "--json", about: "Prints one JSON document." },
  { name: "-v", about: "Also says why the rules before did not match." },
];

export const EXPLAIN_OPERANDS: Operands = { term: "message", least: 0, most: 1 };

export interface ExplainOrder {
  readonly sender: string | null;
  readonly recipients: readonly string[];
  readonly peer: string | null;
  readonly peerName: string | null;
  readonly helo: string | null;
  readonly tls: boolean;
  readonly login: string | null;
  readonly listener: string | null;
  readonly programs: boolean;
  readonly config: string | null;
  readonly record: string | null;
  readonly json: boolean;
  readonly verbose: boolean;
  /** A file, `-` for standard input, null for a message that is made up. */
  readonly message: string | null;
}

/** Reads what was given, without checking it. */
export function explainOrderOf(given: GivenOptions, [message = null]: readonly (string | null)[] = []): ExplainOrder {
  const value = (name: string) => given.get(name)?.[0] ?? null;
  return {
    sender: value("-f"),
    recipients: given.get("-t") ?? [],
    peer: value("--peer"),
    peerName: value("--peer-name"),
    helo: value("--helo"),
    tls: given.has("--tls"),
    login: value("--login"),
    listener: value("--listener"),
    programs: given.has("--programs"),
    config: value("--config"),
    record: value("--record"),
    json: given.has("--json"),
    verbose: given.has("-v"),
    message,
  };
}
