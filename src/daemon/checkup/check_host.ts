/**
 * The check of this host: gathers what the DNS, files, disks, the clock and the rules say, and has src/checkup judge it. What cannot be asked is a
 * finding, too.
 */

import type { Config, Environment } from "../../config/mod.ts";
import {
  blocklistFinding,
  blocklistName,
  certificateFindings,
  clockFinding,
  configFindings,
  diskFinding,
  dkimFindings,
  domainFindings,
  fileFinding,
  hostFindings,
  isReached,
  issuerOf,
  plainListenerFindings,
  ptrFinding,
  queueFindings,
  relayFinding,
  type Subjects,
  subjectsOf,
  tlsaFits,
  unsignedFinding,
} from "../../checkup/mod.ts";
import { about, worstOf } from "../../findings/mod.ts";
import { publishedAs, recordName } from "../../dkim_keys/mod.ts";
import type { DnsAnswer, DnsMx } from "../../mail_auth/dns.ts";
import { checkDmarc } from "../../mail_auth/dmarc/mod.ts";
import { checkSpf } from "../../mail_auth/spf/mod.ts";
import { familyOf, hostPort, isPublicAddress } from "../../net/mod.ts";
import type { AskedKind, Finding, QueueFacts, TriedRcpt } from "../../protocol/mod.ts";
import { MAX_FINDINGS, sentenceOf } from "../../protocol/checkup.ts";
import type { LookupRequests } from "../lookup_requests.ts";
import { certificateFacts } from "./certificate_facts.ts";
import { diskFacts, filesOf, lookAt, timesyncdHasSet } from "./machine_facts.ts";
import { dnsOf } from "./records.ts";

/** What the check asks, of others. */
export interface CheckDeps {
  readonly config: Config;
  readonly env: Environment;
  /** Names the host where the configuration does not. */
  readonly serverName: string;
  /** All addresses of the interfaces. */
  readonly addresses: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Asks the DNS. Never rejects. */
  readonly records: (kind: AskedKind, name: string) => Promise<DnsAnswer<string>>;
  /** Asks the rules of the running daemon; null where there is none. */
  readonly tryRcpt: LookupRequests["tryRcpt"] | null;
  /** Keys that sign, and that wait for their records. Throws Fatal. */
  readonly keys: () => readonly CheckedKey[];
  /** Warnings of `smtpd -n`. */
  readonly warnings: () => Promise<readonly string[]>;
  /** Is the kernel's clock kept right? Null where it does not say. */
  readonly clockKept: () => boolean | null;
  /** The newest time that this host wrote down before. */
  readonly lastSeen: number | null;
  /** What the queue says; null where no daemon runs. */
  readonly queue: QueueFacts | null;
  readonly blocklists: readonly string[];
  /** Users that files of the daemon may belong to, beside root. */
  readonly users: readonly number[];
}

/** A key of DKIM and its record. */
export interface CheckedKey {
  readonly domain: string;
  readonly selector: string;
  readonly record: string;
  readonly waits: boolean;
}

/** A client and a place that are nobody's (RFC 5737, RFC 2606): whoever takes mail from the one to the other takes it from anybody. */
const STRANGER = { 4: "203.0.113.77", 6: "2001:db8:7:7::7" } as const;
const FOREIGN = "a-stranger-of-vaultpost.example";

/** All findings, as far as they fit into one message. Never rejects: what fails is a finding. */
export async function checkHost(deps: CheckDeps): Promise<readonly Finding[]> {
  const subjects = subjectsOf(deps.config, deps.serverName);
  const parts: readonly (readonly [string, () => Promise<readonly Finding[]> | readonly Finding[]])[] = [
    ["dns", () => new NameChecks(deps, subjects).run()],
    ["certificate", () => certificates(deps)],
    ["open-relay", () => relays(deps)],
    ["config", async () => configFindings(deps.config.file, await deps.warnings())],
    ["clock", () => [clock(deps)]],
    ["disk", () => diskFacts(deps.config, deps.env).map(diskFinding)],
    ["permissions", () => filesOf(deps.config, deps.env, deps.users).map((file) => fileFinding(lookAt(file)))],
    ["queue", () => deps.queue === null ? [] : queueFindings(deps.queue, deps.now())],
  ];
  const found = await Promise.all(parts.map(async ([name, part]) => {
    try {
      return await part();
    } catch (error) {
      return [about(name, "").unknown(`it could not be checked: ${(error as Error).message}`)];
    }
  }));
  return worstOf(found.flat(), MAX_FINDINGS).map((one) => ({
    ...one,
    text: sentenceOf(one.text),
    advice: one.advice && sentenceOf(one.advice),
  }));
}

function clock({ clockKept, now, lastSeen }: CheckDeps): Finding {
  return clockFinding({ kernel: clockKept(), timesyncd: timesyncdHasSet(), now: now(), lastSeen });
}

function certificates(deps: CheckDeps): readonly Finding[] {
  const { config, serverName, now } = deps;
  const open = config.listen.filter(({ on, socket, port, submission, tls }) =>
    !socket && port === 25 && !submission && tls === "none" && !/^(?:lo|lo0|localhost|127\..*|::1)$/.test(on)
  );
  return [
    ...certificateFacts(config, serverName, now()).flatMap(certificateFindings),
    ...plainListenerFindings(open.map(({ on, port }) => hostPort({ host: on, port }))),
  ];
}

/** A stranger tries each listener that others reach and that wants neither a login nor a certificate of an authority of ours. */
async function relays({ config, tryRcpt, serverName }: CheckDeps): Promise<readonly Finding[]> {
  if (tryRcpt === null) return [];
  const places = new Map<string, { readonly tag: string; readonly family: 4 | 6; readonly smtpname: string }>();
  for (const { on, port, tag, hostname, family, auth, tls, verify, ca } of config.listen.filter(isReached)) {
    if (auth?.required === true || (tls !== "none" && verify && ca !== null)) continue;
    const version = on.includes(":") || family === 6 ? 6 : 4;
    places.set(hostPort({ host: on, port }), { tag, family: version, smtpname: hostname ?? serverName });
  }
  return await Promise.all([...places].map(async ([place, { tag, family, smtpname }]) => {
    const client = STRANGER[family];
    const origin = {
      address: family === 4 ? client : `[${client}]`,
      hostname: "<unknown>",
      helo: FOREIGN,
      smtpname,
      tag,
      username: "",
      authenticated: false,
    };
    const result: TriedRcpt = await tryRcpt({
      origin,
      sender: { local: "sender", domain: FOREIGN },
      rcpt: { local: "recipient", domain: `other-${FOREIGN}` },
    });
    return relayFinding({ place, client, result });
  }));
}

/** What is asked of the DNS. */
class NameChecks {
  readonly #deps: CheckDeps;
  readonly #subjects: Subjects;
  readonly #dns;

  constructor(deps: CheckDeps, subjects: Subjects) {
    this.#deps = deps;
    this.#subjects = subjects;
    this.#dns = dnsOf(deps.records);
  }

  async run(): Promise<readonly Finding[]> {
    const { hosts, receives, sends, leftOut, relays } = this.#subjects;
    const own = this.#deps.addresses.filter(isPublicAddress);
    const named = (await Promise.all(hosts.map((host) => this.#addressesOf(host)))).flat();
    const addresses = sendingAddresses({ own, named, family: this.#deps.config.mta.limits.family });
    const domains = [...new Set([...receives, ...sends])];
    const parts = await Promise.all([
      ...domains.map((domain) => this.#domain(domain, addresses)),
      this.#dkim(),
      ...hosts.map((host) => this.#host(host, { own, addresses })),
      ...hosts.length === 0 ? [] : addresses.map((address) => this.#ptr(address)),
      ...addresses.flatMap((address) => this.#deps.blocklists.map((list) => this.#blocklist(address, list))),
    ]);
    return [
      ...parts.flat(),
      ...relays
        ? unsignedFinding(receives.filter((one) => !sends.some((domain) => isBelow(one, domain))), {
          signs: sends.length > 0,
        })
        : [],
      ...hosts.length === 0
        ? [
          about("dns", "").info(
            "this host is not reached from elsewhere and sends nothing by itself: its name and addresses are not checked",
          ),
        ]
        : [],
      ...leftOut.map((what) => about("dns", what).info("not looked at")),
      ...addresses.length === 0 && hosts.length > 0
        ? [
          about("ptr", "").unknown(
            "this host has no public address, and the DNS none of its name: SPF and PTR are not checked",
          ),
        ]
        : [],
    ];
  }

  async #addressesOf(name: string): Promise<readonly string[]> {
    const answers = await Promise.all([this.#dns.addresses(name, 4), this.#dns.addresses(name, 6)]);
    return answers.flatMap((answer) => answer.kind === "records" ? answer.records : []);
  }

  async #domain(domain: string, addresses: readonly string[]): Promise<readonly Finding[]> {
    const { hosts, receives, sends, relays } = this.#subjects, { serverName } = this.#deps;
    const [host = serverName] = hosts;
    // At once: name servers that do not answer take their time for each question.
    const [[mx, ours], spf, dmarc, [mtaSts, mtaStsHost], tlsRpt] = await Promise.all([
      this.#exchangers(domain, addresses),
      this.#spf(relays ? addresses : [], { helo: host, sender: `postmaster@${domain}` }),
      checkDmarc({ from: { kind: "one", domain }, spf: { result: "pass", domain }, dkim: [] }, this.#dns),
      this.#mtaSts(domain),
      this.#dns.txt(`_smtp._tls.${domain}`),
    ]);
    return domainFindings({
      domain,
      receives: receives.includes(domain),
      sends: sends.includes(domain),
      mx,
      ours,
      host,
      spf,
      dmarc: {
        result: dmarc.result,
        reason: dmarc.reason,
        record: dmarc.record === null
          ? null
          : { policy: dmarc.policy ?? dmarc.record.p, reports: dmarc.record.rua.length > 0 },
      },
      mtaSts,
      mtaStsHost,
      tlsRpt,
    });
  }

  /** MX records, and which of the exchangers have one of our addresses. */
  async #exchangers(
    domain: string,
    addresses: readonly string[],
  ): Promise<readonly [DnsAnswer<DnsMx>, readonly string[]]> {
    const { hosts } = this.#subjects;
    const mx = await this.#dns.mx(domain);
    const exchangers = mx.kind === "records" ? mx.records.map((one) => one.host).filter((one) => one !== "") : [];
    const ours = await Promise.all(exchangers.map(async (one) => {
      const isOurs = hosts.includes(one) ||
        (await this.#addressesOf(one)).some((address) => addresses.includes(address));
      return isOurs ? [one] : [];
    }));
    return [mx, ours.flat()];
  }

  /** What SPF says of a sender from each address. */
  #spf(addresses: readonly string[], { helo, sender }: { readonly helo: string; readonly sender: string }) {
    const now = this.#deps.now();
    return Promise.all(addresses.map(async (address) => ({
      address,
      verdict: await checkSpf({ client: address, helo, sender, receiver: helo, now }, this.#dns),
    })));
  }

  /** The record of MTA-STS, and where its policy would be served; null where there is no record. */
  async #mtaSts(domain: string): Promise<readonly [DnsAnswer<string>, DnsAnswer<string> | null]> {
    const record = await this.#dns.txt(`_mta-sts.${domain}`);
    return [record, record.kind === "records" ? await this.#anyAddress(`mta-sts.${domain}`) : null];
  }

  /** Addresses of either family. */
  async #anyAddress(name: string): Promise<DnsAnswer<string>> {
    const [four, six] = await Promise.all([this.#dns.addresses(name, 4), this.#dns.addresses(name, 6)]);
    return four.kind === "none" || six.kind === "records" ? six : four;
  }

  async #dkim(): Promise<readonly Finding[]> {
    let loaded: readonly CheckedKey[];
    try {
      loaded = this.#deps.keys();
    } catch (error) {
      return [about("dkim", "").unknown(`the keys cannot be loaded: ${(error as Error).message}`)];
    }
    const keys = await Promise.all(
      loaded.map(async (key) => ({
        ...key,
        published: publishedAs(await this.#dns.txt(recordName(key.domain, key.selector)), key.record),
      })),
    );
    return dkimFindings(keys);
  }

  async #host(
    host: string,
    { own, addresses }: { readonly own: readonly string[]; readonly addresses: readonly string[] },
  ): Promise<readonly Finding[]> {
    const { config, serverName, now, records } = this.#deps, { listens, relays } = this.#subjects;
    const shown = certificateFacts(config, serverName, now()).filter(({ hosts }) => hosts.includes(host)).flatMap((
      { pem },
    ) => typeof pem === "string" ? [pem] : []);
    const [four, six, spf, tlsa, caa] = await Promise.all([
      this.#dns.addresses(host, 4),
      this.#dns.addresses(host, 6),
      this.#spf(relays ? addresses : [], { helo: host, sender: "" }),
      records("tlsa", `_25._tcp.${host}`),
      this.#caa(host),
    ]);
    return hostFindings({
      host,
      four,
      six,
      own,
      spf: spf.map(({ address, verdict }) => ({ address, result: verdict.result })),
      tlsa,
      listens,
      fits: (record) => {
        const results = shown.map((pem) => tlsaFits(record, pem));
        return results.includes(true) ? true : results.includes(false) ? false : null;
      },
      caa,
      issuer: shown.map(issuerOf).find((one) => one !== null) ?? null,
    });
  }

  /** RFC 8659 §3: the records of the name, or of the nearest above it that has some. */
  async #caa(host: string): Promise<DnsAnswer<string>> {
    for (let name = host; name.includes("."); name = name.slice(name.indexOf(".") + 1)) {
      const answer = await this.#deps.records("caa", name);
      if (answer.kind !== "none") return answer;
    }
    return { kind: "none", exists: true };
  }

  async #ptr(address: string): Promise<readonly Finding[]> {
    const names = await this.#dns.names(address);
    const found = names.kind === "records" ? names.records : [];
    const back = await Promise.all(found.map(async (name) => ({
      name,
      addresses: await this.#dns.addresses(name, address.includes(":") ? 6 : 4),
    })));
    return [ptrFinding({ address, names, back, hosts: this.#subjects.hosts })];
  }

  async #blocklist(address: string, list: string): Promise<readonly Finding[]> {
    const answer = await this.#deps.records("a", blocklistName(address, list));
    return [blocklistFinding({ address, list, answer })];
  }
}

/**
 * Returns the addresses that others see us from: those of the interfaces that the DNS has for our names, per family, or all where it has none of them. Behind
 * a router that translates, those that the DNS has.
 */
export function sendingAddresses(
  { own, named, family }: {
    readonly own: readonly string[];
    readonly named: readonly string[];
    readonly family: 4 | 6 | null;
  },
): readonly string[] {
  const all = own.length > 0 ? own : named;
  const chosen = ([4, 6] as const).filter((one) => family === null || one === family).flatMap((version) => {
    const some = all.filter((address) => familyOf(address) === version);
    const known = some.filter((address) => named.includes(address));
    return known.length > 0 ? known : some;
  });
  return [...new Set(chosen)];
}

/** Is a name `domain`, or below it? */
function isBelow(name: string, domain: string): boolean {
  return name === domain || name.endsWith(`.${domain}`);
}
