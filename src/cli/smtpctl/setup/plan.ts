/** The files that smtpctl setup writes, from what was chosen. Pure: keys and certificates are made by the caller. */

import { keyFileName } from "../../../dkim_keys/mod.ts";
import { type Answers, LETS_ENCRYPT } from "./answers.ts";

/** A file that is to be made. */
export interface PlannedFile {
  /** Absolute, where it is to be written. */
  readonly path: string;
  /** What it is for. */
  readonly about: string;
  readonly mode: number;
  readonly text: string;
  /** It is shown to nobody. */
  readonly secret: boolean;
  /** Where it is there already, it stays. */
  readonly optional?: true;
}

/** Where the files are, each with the prefix of a trial. */
export interface Places {
  readonly config: string;
  readonly aliases: string;
  readonly mailname: string;
  readonly dkim: string;
  readonly zone: string;
  readonly cert: string;
  readonly key: string;
}

/** `root` is "" for the machine itself. `dkim` is the folder of the keys. */
export function placesOf(
  { domain, hostname, root, dkim }: {
    readonly domain: string;
    readonly hostname: string;
    readonly root: string;
    readonly dkim: string;
  },
): Places {
  const folder = `${root}/etc/vaultpost`;
  return {
    config: `${folder}/smtpd.conf`,
    aliases: `${folder}/aliases`,
    mailname: `${root}/etc/mailname`,
    dkim,
    zone: `${folder}/${domain}.zone`,
    cert: `${folder}/tls/${hostname}.crt`,
    key: `${folder}/tls/${hostname}.key`,
  };
}

/** A key of DKIM: its selector, its record, and the text of its file. */
export interface PlannedKey {
  readonly selector: string;
  readonly record: string;
  readonly text: string;
}

export interface PlanInput {
  readonly answers: Answers;
  readonly places: Places;
  readonly keys: readonly PlannedKey[];
  /** Of a self-signed certificate; null for another. */
  readonly pair: { readonly cert: string; readonly key: string } | null;
  /** The records, as a zone. */
  readonly zone: string;
  /** The machine has IPv6. */
  readonly ipv6: boolean;
  /** As in 2026-11-30. */
  readonly date: string;
}

/** All files, the configuration last: as long as it is not there, nothing is set up. */
export function planFiles(input: PlanInput): readonly PlannedFile[] {
  const { answers: { domain, reader, hostname }, places, keys, pair, zone } = input;
  return [
    ...keys.map(({ selector, text }): PlannedFile => ({
      path: `${places.dkim}/${keyFileName(domain, selector)}`,
      about: "a key of DKIM, for root alone",
      mode: 0o600,
      text,
      secret: true,
    })),
    ...pair === null ? [] : [
      { path: places.cert, about: "a self-signed certificate", mode: 0o644, text: pair.cert, secret: false },
      { path: places.key, about: "its key, for root alone", mode: 0o600, text: pair.key, secret: true },
    ],
    {
      path: places.aliases,
      about: "who gets mail for names that are no account",
      mode: 0o644,
      text: aliasesText(reader),
      secret: false,
    },
    {
      path: places.mailname,
      about: "the domain of what programs of this machine send",
      mode: 0o644,
      text: `${domain}\n`,
      secret: false,
      optional: true,
    },
    { path: places.zone, about: `the records of ${domain} for the DNS`, mode: 0o644, text: zone, secret: false },
    {
      path: places.config,
      about: `the configuration of ${hostname}`,
      mode: 0o644,
      text: configText(input),
      secret: false,
    },
  ];
}

/** aliases(5). RFC 2142 §4 and §5 name the addresses that each domain has. */
function aliasesText(reader: string): string {
  return `# Who gets mail for names that are no account of this machine, see aliases(5). After a change: smtpctl update table aliases
# Every domain has these two (RFC 2142): notices and complaints go there.
postmaster: ${reader}
abuse: ${reader}
# What the system and its timers write to root.
root: ${reader}
hostmaster: ${reader}
webmaster: ${reader}
`;
}

function configText({ answers, places, keys, ipv6, date }: PlanInput): string {
  const { domain, hostname, certificate, mailbox } = answers;
  const everywhere = ipv6 ? ["0.0.0.0", "::"] : ["0.0.0.0"];
  const listen = (options: string) => everywhere.map((on) => `listen on ${on} ${options}`);
  const spoken = `pki ${hostname} hostname ${hostname}`;
  return [
    `# smtpd.conf(5) of ${hostname}, the mail host of ${domain}. Written by smtpctl setup on ${date}; change it as you like.`,
    "# Check it with: smtpd -n        Have it read again with: smtpctl reload        See whether all is well with: smtpctl check",
    "",
    ...certificateLines(certificate, hostname, places),
    "",
    "# Mail of this domain is signed with these keys. Their records are in the DNS: smtpctl dkim check compares them.",
    ...keys.map(({ selector }) =>
      `dkim "${domain}" selector "${selector}" key "${places.dkim}/${keyFileName(domain, selector)}"`
    ),
    "",
    "# postmaster, abuse and root, and whom else you write there.",
    `table aliases ${word(`file:${places.aliases}`)}`,
    "",
    "# What the domain in From wants refused (DMARC) is refused. What it wants kept apart, and what has no From of one domain, is marked",
    mailbox === "maildir" ? "# and goes to the folder Junk." : "# with the field X-Spam.",
    'filter "forged" phase commit match dmarc reject reject "550 5.7.1 The domain in From wants this refused (DMARC)"',
    'filter "doubtful" phase commit match dmarc { quarantine, permerror } junk',
    "",
    "# Programs of this machine send here, by sendmail(8).",
    "listen on socket",
    "# Other hosts bring mail to port 25: SPF, DKIM, ARC and DMARC of it are checked.",
    ...listen(`tls ${spoken} mail-auth filter { "forged", "doubtful" }`),
    "# Mail programs of your users send at port 587 (STARTTLS) and 465 (TLS), with the names and passwords of accounts of this machine.",
    ...listen(`port submission tls-require ${spoken} auth`),
    ...listen(`smtps ${spoken} auth`),
    "",
    mailbox === "maildir"
      ? "# Mail for accounts of this machine goes to their ~/Maildir, spam to the folder Junk in it."
      : "# Mail for accounts of this machine goes to their mailbox in /var/mail.",
    `action "local" ${mailbox === "maildir" ? "maildir junk" : "mbox"} alias <aliases>`,
    "# All else goes to the exchangers of its domain, signed.",
    `action "outbound" relay dkim helo ${hostname}`,
    "",
    "# The first rule that matches decides; what none matches is refused. So only users who have logged in, and this machine, send elsewhere.",
    `match from any for domain "${domain}" action "local"`,
    'match from local for local action "local"',
    'match from auth for any action "outbound"',
    'match from local for any action "outbound"',
    "",
    "# Worth a thought later: a report a day to each domain that asks for one (DMARC, rua).",
    `# dmarc reports from "postmaster@${domain}"`,
    "",
  ].join("\n");
}

/** A word of smtpd.conf, in quotes where it has blanks and the like. */
function word(text: string): string {
  return /^[A-Za-z0-9_:./-]+$/.test(text) ? text : `"${text}"`;
}

function certificateLines(certificate: Answers["certificate"], hostname: string, { cert, key }: Places): string[] {
  switch (certificate.kind) {
    case "acme":
      return [
        "# The certificate: smtpd gets it and renews it (ACME). Port 80 of this machine must be reached from outside for that.",
        `pki ${hostname} acme "${certificate.directory}"`,
      ];
    case "self-signed":
      return [
        "# The certificate. Nobody vouches for it: mail is encrypted, and mail programs of users will warn. Replace the two files by",
        "# those of an authority, and no line changes; or put this line in place of the two, and smtpd gets one and renews it, if port 80",
        "# of this machine is reached from outside:",
        `# pki ${hostname} acme "${LETS_ENCRYPT}"`,
        `pki ${hostname} cert "${cert}"`,
        `pki ${hostname} key "${key}"`,
      ];
    case "files":
      return [
        "# The certificate. When the files change, they are loaded within a minute.",
        `pki ${hostname} cert "${certificate.cert}"`,
        `pki ${hostname} key "${certificate.key}"`,
      ];
  }
}
