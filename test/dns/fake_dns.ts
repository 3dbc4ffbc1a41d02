/** A name server on loopback (UDP and TCP on one port) that answers from a zone written in the test. */

import { createSocket } from "node:dgram";
import net from "node:net";
import { Buffer } from "node:buffer";
import packet from "dns-packet";
import { freePort } from "../ports.ts";

export interface ZoneRecord {
  readonly type: "A" | "AAAA" | "MX" | "PTR" | "CNAME" | "TXT" | "CAA" | "TLSA";
  readonly data: unknown;
  readonly ttl?: number;
  /** Another owner than the name that was asked for. */
  readonly name?: string;
}
/** A name with an error for every question. referral: other servers are named (RFC 2308 §2.2); cut: truncated over TCP too. */
type Failing =
  | "SERVFAIL"
  | "REFUSED"
  | "NOTIMP"
  | "FORMERR"
  | "BADVERS"
  | "RCODE_19"
  | "YXDOMAIN"
  | "NOTAUTH"
  | "referral"
  | "cut"
  | "silent";
/** Records by lower-case name, or what is answered to every question about it; by `TYPE name` for one type alone. */
export type Zone = Record<string, readonly ZoneRecord[] | Failing>;

export interface FakeDns {
  readonly port: number;
  /** `udp MX example.net`, in the order in which they came. */
  readonly queries: string[];
  close(): Promise<void>;
}

export interface FakeDnsOptions {
  /** Answers in full over TCP only. */
  readonly truncate?: boolean;
  /** How it answers a query with EDNS, which it does not know: an error with the question, or of the header's 12 octets alone, or not. */
  readonly noEdns?:
    | "FORMERR"
    | "NOTIMP"
    | "SERVFAIL"
    | "BADVERS"
    | "FORMERR header"
    | "NOTIMP header"
    | "FORMERR torn"
    | "BADVERS header"
    | "silent";
  /** Sends these before the real answer: what a forger would try. */
  readonly forge?: (query: { id: number }) => Uint8Array[];
  /** Seconds that a negative answer may be kept; none without it. */
  readonly negativeTtl?: number;
}

interface Query {
  readonly id: number;
  readonly questions: readonly { readonly name: string; readonly type: string }[];
  readonly additionals: readonly { readonly type: string }[];
}

export async function fakeDns(zone: Zone, options: FakeDnsOptions = {}): Promise<FakeDns> {
  const queries: string[] = [];
  const respond = (over: "udp" | "tcp", bytes: Uint8Array): Uint8Array | null => {
    const query = packet.decode(Buffer.from(bytes)) as unknown as Query;
    const { name, type } = query.questions[0]!;
    queries.push(`${over} ${type} ${name}`);
    return answer(zone, options, over, query);
  };
  const tcp = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      const response = respond("tcp", (bytes as Uint8Array).subarray(2));
      if (response === null) return;
      // In two parts, to see that the length is respected.
      socket.write(Uint8Array.from([response.length >> 8]));
      setTimeout(() => socket.write(Uint8Array.from([response.length & 255, ...response])), 1);
    });
  });
  // The kernel gives a port of its own choice for TCP to somebody else for UDP.
  const port = freePort();
  await new Promise<void>((resolve) => tcp.listen(port, "127.0.0.1", resolve));
  const udp = createSocket("udp4");
  udp.on("message", (bytes, from) => {
    for (const forged of options.forge?.(packet.decode(bytes) as unknown as Query) ?? []) {
      udp.send(forged, from.port, from.address);
    }
    const response = respond("udp", bytes);
    if (response !== null) udp.send(response, from.port, from.address);
  });
  await new Promise<void>((resolve) => udp.bind(port, "127.0.0.1", resolve));
  return {
    port,
    queries,
    close: () => new Promise((resolve) => udp.close(() => tcp.close(() => resolve()))),
  };
}

const RCODES: Record<string, number> = {
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  NOTAUTH: 9,
  // RFC 6891 §6.1.3: the upper bits stand in an OPT record.
  BADVERS: 16,
  RCODE_19: 19,
};

function answer(zone: Zone, options: FakeDnsOptions, over: "udp" | "tcp", query: Query): Uint8Array | null {
  const { name, type } = query.questions[0]!;
  const respond = (rcode: string, answers: unknown[] = [], truncated = false, authorities: unknown[] = []) => {
    const code = RCODES[rcode] ?? 0;
    return packet.encode(
      {
        type: "response",
        id: query.id,
        flags: (code & 15) | packet.RECURSION_DESIRED | (truncated ? packet.TRUNCATED_RESPONSE : 0),
        questions: query.questions,
        answers,
        authorities: options.negativeTtl === undefined || answers.length > 0 ? authorities : [soa(options.negativeTtl)],
        additionals: code < 16 ? [] : [{ type: "OPT", name: ".", udpPayloadSize: 1232, extendedRcode: code >> 4 }],
      } as never,
    ) as Uint8Array;
  };
  if (options.noEdns !== undefined && query.additionals.some((record) => record.type === "OPT")) {
    const [rcode, part] = options.noEdns.split(" ");
    if (rcode === "silent") return null;
    const error = respond(rcode!);
    if (part === undefined) return error;
    if (rcode === "BADVERS") {
      return Uint8Array.from([...error.slice(0, 4), 0, 0, 0, 0, 0, 0, 0, 1, ...error.slice(-11)]);
    }
    const header = error.slice(0, 12);
    // The header of the query, with its counts, or one that counts nothing.
    header.set(part === "torn" ? [0, 1, 0, 0, 0, 0, 0, 1] : new Uint8Array(8), 4);
    return header;
  }
  const entry = zone[`${type} ${name.toLowerCase()}`] ?? zone[name.toLowerCase()];
  if (entry === "silent") return null;
  const ns = { type: "NS", name: "test", ttl: 60, class: "IN", data: "ns.test" };
  if (entry === "referral") return respond("NOERROR", [], false, [ns]);
  if (entry === "cut") return respond("NOERROR", [], true);
  if (typeof entry === "string") return respond(entry);
  if (entry === undefined) return respond("NXDOMAIN");
  if (options.truncate && over === "udp") return respond("NOERROR", [], true);
  const answers: unknown[] = [];
  let current = name;
  for (let hops = 0; hops < 8; hops++) {
    const records = zone[current.toLowerCase()];
    if (!Array.isArray(records)) break;
    const own = (records as ZoneRecord[]).filter((record) => record.type === type || record.type === "CNAME");
    answers.push(...own.map((record) => ({ ttl: 60, class: "IN", name: current, ...record })));
    const alias = own.find((record) => record.type === "CNAME");
    if (alias === undefined) break;
    current = String(alias.data);
  }
  return respond("NOERROR", answers);
}

function soa(ttl: number): unknown {
  const data = { mname: "ns.test", rname: "root.test", serial: 1, refresh: 1, retry: 1, expire: 1, minimum: ttl };
  return { type: "SOA", name: "test", ttl, class: "IN", data };
}

export const a = (data: string, ttl = 60): ZoneRecord => ({ type: "A", data, ttl });
export const aaaa = (data: string): ZoneRecord => ({ type: "AAAA", data });
export const mx = (preference: number, exchange: string): ZoneRecord => ({
  type: "MX",
  data: { preference, exchange },
});
export const ptr = (data: string): ZoneRecord => ({ type: "PTR", data });
/** The strings of one record. */
export const txt = (...strings: string[]): ZoneRecord => ({
  type: "TXT",
  data: strings.map((text) => Buffer.from(text, "latin1")),
});
export const cname = (data: string): ZoneRecord => ({ type: "CNAME", data });
