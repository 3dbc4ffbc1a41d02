/** The sentences about a refusal that people read: what happened, and what to do. Plain English, of one meaning per class; pure. */

import type { ReplyClass, ReplyDetail } from "./classes.ts";

/** What the sentences are about. */
export interface About {
  /** The address that the message was for, or words for several such as "the recipients below". */
  readonly recipient: string;
  /** `recipient` are words for several. */
  readonly several?: boolean;
  /** The host that refused or was not reached; "" or absent when there was none. */
  readonly host?: string;
  /** It was to be delivered on this server: no other host has refused it. */
  readonly here?: boolean;
  /** Who reads them: the sender of the message, or who runs this server. */
  readonly reader: "sender" | "operator";
  /** `failed`: it is over. `waiting`: it is tried again. */
  readonly state: "failed" | "waiting";
  readonly detail?: ReplyDetail;
}

/** Two sentences. */
export interface Description {
  readonly what: string;
  readonly todo: string;
}

/** What the texts below are made with. */
interface Names {
  readonly rcpt: string;
  readonly several: boolean;
  /** "The mail server mx.example.org", at the start of a sentence. */
  readonly Host: string;
  /** The same within one. */
  readonly host: string;
}

interface Texts {
  readonly what: (names: Names) => string;
  /** For the sender of a message that failed. */
  readonly sender: string;
  readonly operator: string;
}

const AGAIN_SENDER = "You need not do anything: this server tries again by itself, and reports to you if it gives up.";
const ASK_POSTMASTER =
  "Forward this report to the people who run your mail server, and send the message again when they have solved it.";

const TEXTS: Readonly<Record<ReplyClass, Texts>> = {
  "no-such-user": {
    what: ({ rcpt, several, host }) =>
      several ? `The addresses of ${rcpt} are not known to ${host}.` : `The address ${rcpt} is not known to ${host}.`,
    sender: "Look for typing errors, or ask in another way for the right address.",
    operator:
      "The sender has to correct the address; if it stands in an alias, a list or a forward of yours, remove it there.",
  },
  "mailbox-full": {
    what: ({ rcpt, several }) => `The ${several ? "mailboxes" : "mailbox"} of ${rcpt} ${several ? "are" : "is"} full.`,
    sender: "Tell the recipient in another way, and send the message again when they have made room.",
    operator:
      "Only the recipient or their provider can make room; mail to this address is tried again until its time is over.",
  },
  policy: {
    what: ({ rcpt, Host }) => `${Host} has a rule that does not let this message through to ${rcpt}.`,
    sender:
      "Ask the recipient in another way whether they can allow your mail, and show them the answer of the server below.",
    operator:
      "Read the answer of the host: it often names the rule or a page about it; else write to the postmaster there.",
  },
  reputation: {
    what: ({ rcpt, Host }) =>
      `${Host} did not take the message to ${rcpt} because it has a bad opinion of the server or domain that sent it.`,
    sender: ASK_POSTMASTER,
    operator:
      "Find the address or domain of this server at the list that the answer names, stop what brought it there, and ask for its removal.",
  },
  rate: {
    what: ({ rcpt, Host }) =>
      `${Host} did not take the message to ${rcpt} because too much mail came to it in a short time.`,
    sender: "Send the message again later, and fewer messages at a time.",
    operator:
      "Send to this destination more slowly: lower its limits (mta limit), and spread large mailings over hours.",
  },
  greylisted: {
    what: ({ rcpt, Host }) =>
      `${Host} lets servers that it does not know wait before it takes mail to ${rcpt} (greylisting), and did not take the message later either.`,
    sender: "Send the message again: once a server is known there, its mail is taken at once.",
    operator:
      "Make sure that retries come from the same address; a host that greylists for hours has to be told by its postmaster.",
  },
  content: {
    what: ({ rcpt, Host }) =>
      `${Host} did not take the message to ${rcpt} because of what is in it: it looks like spam, or like a danger.`,
    sender: "Send it without attachments and links, or ask the recipient in another way to allow your mail.",
    operator:
      "See whether the account of the sender was abused; if it was not, the recipient's postmaster can allow the sender.",
  },
  authentication: {
    what: ({ rcpt, Host }) =>
      `${Host} did not take the message to ${rcpt} because it could not verify that it really comes from your domain (SPF, DKIM or DMARC).`,
    sender:
      "Send it through the mail server of your own domain, or forward this report to the people who run that server.",
    operator: "Run `smtpctl check`: it compares SPF, DKIM and DMARC records in the DNS with what this server does.",
  },
  temporary: {
    what: ({ rcpt, Host }) => `${Host} had a problem of its own and could not take the message to ${rcpt}.`,
    sender: "Send the message again later, or ask the recipient in another way whether their mail works.",
    operator: "Nothing is wrong here as far as is known; if it lasts for many messages, write to the postmaster there.",
  },
  unreachable: {
    what: ({ rcpt, host }) => `The message to ${rcpt} could not be brought to ${host} because no connection worked.`,
    sender: "Check the part of the address behind the @, or send the message again later.",
    operator:
      "See whether other destinations are reached; `smtpctl show hoststats` has the last answer of each, and port 25 may be blocked.",
  },
  tls: {
    what: ({ rcpt, host }) =>
      `No encrypted connection as it is required was possible to ${host}, so that the message to ${rcpt} was not sent.`,
    sender: ASK_POSTMASTER,
    operator:
      "Compare what the action asks for (tls in smtpd.conf) with what the host offers; its certificate may be out of date.",
  },
  "too-large": {
    what: ({ rcpt, Host }) => `${Host} does not take messages as large as the one to ${rcpt}.`,
    sender: "Send it without attachments or in smaller parts, or send a link to the files instead.",
    operator: "The limit is one of the receiving side; smaller messages are taken.",
  },
  protocol: {
    what: ({ rcpt, host }) => `This server and ${host} did not understand each other about the message to ${rcpt}.`,
    sender: ASK_POSTMASTER,
    operator:
      "Read the answer of the host; `smtpctl story --dialogue` has what was said before it, where the history is on.",
  },
  unknown: {
    what: ({ rcpt, Host }) =>
      `${Host} did not take the message to ${rcpt}, and did not say why in words that are known here.`,
    sender: "Read the answer of the server below, or forward this report to the people who run your mail server.",
    operator: "Read the answer of the host; write to the postmaster there if it does not help.",
  },
};

const DETAILS: Readonly<Partial<Record<ReplyClass, Readonly<Partial<Record<ReplyDetail, Partial<Texts>>>>>>> = {
  "no-such-user": {
    domain: {
      what: ({ rcpt, several }) =>
        several
          ? `The domains of ${rcpt} do not exist, or take no mail.`
          : `The domain of the address ${rcpt} does not exist, or takes no mail.`,
      sender:
        "Check the part behind the @ for typing errors, or ask the recipient in another way for the right address.",
    },
    closed: {
      what: ({ rcpt, several }) =>
        `The ${several ? "mailboxes of " : "mailbox "}${rcpt} ${several ? "were" : "was"} closed or switched off.`,
      sender: "Ask the recipient in another way for an address that works.",
    },
  },
  policy: {
    relay: {
      what: ({ rcpt, Host }) =>
        `${Host} does not take mail for ${rcpt} from this server: it says that it is not responsible for that address.`,
      sender:
        "Look for typing errors in the address, or tell the recipient in another way that their domain seems to be set up wrongly.",
      operator:
        "See that the MX records of the domain, or the relay host in smtpd.conf, name the right server, and whether it wants a login.",
    },
  },
  authentication: {
    login: {
      what: ({ rcpt, Host }) =>
        `${Host} wants this server to log in before it takes the message to ${rcpt}, and that did not work.`,
      sender: ASK_POSTMASTER,
      operator:
        "Check the label and its entry in the table of `auth` in smtpd.conf: the host refused the user name or the password.",
    },
    "reverse-dns": {
      what: ({ rcpt, Host }) =>
        `${Host} did not take the message to ${rcpt} because the address of the sending server has no matching name in the DNS.`,
      sender: ASK_POSTMASTER,
      operator:
        "Have the provider of the address set its PTR record to a name that leads back to the address, and use that name as `hostname`.",
    },
    sender: {
      what: ({ rcpt, Host }) =>
        `${Host} did not take the message to ${rcpt} because it could not verify your own address.`,
      sender: "Check the sender's address in the settings of your mail program.",
      operator: "The domain of the sender needs an MX or address record, and its mailbox must exist.",
    },
  },
  unreachable: {
    expired: {
      what: ({ rcpt }) => `The time for the message to ${rcpt} was over before it could be sent.`,
      sender: ASK_POSTMASTER,
      operator: "See why mail waits here: `smtpctl show status` says whether something is paused.",
    },
    loop: {
      what: ({ rcpt }) => `The message to ${rcpt} went in a circle between servers and was stopped.`,
      sender: "Tell the recipient in another way: a forward of theirs leads back to itself.",
      operator: "Look for an alias, a forward or an MX record that leads back; the Received lines show the circle.",
    },
  },
  rate: {
    recipients: {
      what: ({ rcpt, Host }) => `${Host} did not take the message to ${rcpt} because it had too many recipients.`,
      sender: "Send it to fewer recipients at once.",
      operator: "The host takes fewer recipients in one message or in a time than it was given.",
    },
  },
  content: {
    form: {
      what: ({ rcpt, Host }) =>
        `${Host} did not take the message to ${rcpt} because it is not of the form that mail has to be.`,
      sender: "Send it with another mail program, or tell those who made the program that wrote it.",
      operator: "The program that wrote the message has to be mended: the answer of the host says what is wrong.",
    },
  },
  protocol: {
    sender: {
      what: ({ rcpt, Host }) =>
        `${Host} did not take the message to ${rcpt} because it does not understand your own address.`,
      sender: "Check the sender's address in the settings of your mail program.",
    },
  },
};

/** Where a local delivery has failed: what to do is to be done here, and no other host has a name for it. */
const HERE_OPERATOR =
  "Mend the folder, its owner, the disk or the command that the failure names; `smtpctl schedule` tries again at once.";
const HERE: Readonly<Partial<Record<ReplyClass, Partial<Texts>>>> = {
  temporary: {
    what: ({ rcpt }) => `The message to ${rcpt} could not be stored on this server, or its command has failed.`,
  },
  "mailbox-full": {
    operator: "Make room or raise the quota of this user; `smtpctl schedule` tries again at once.",
  },
};

/**
 * Takes a class and what it is about, and returns what happened and what to do, a sentence or two each, of ASCII but for the names. Never throws.
 * Names stand as they are: control characters are the caller's business.
 */
export function describe(of: ReplyClass, about: About): Description {
  const { recipient, several = false, host = "", here = false, reader, state, detail } = about;
  const named = here ? "this server" : host === "" ? "the receiving mail server" : `the mail server ${host}`;
  const names = { rcpt: recipient, several, host: named, Host: named.replace(/^t/, "T") };
  const { what, sender, operator } = {
    ...TEXTS[of],
    ...(detail === undefined ? {} : DETAILS[of]?.[detail]),
    ...(here ? { operator: HERE_OPERATOR, ...HERE[of] } : {}),
  };
  if (state === "waiting") {
    return { what: waiting(of, what(names), names), todo: reader === "sender" ? AGAIN_SENDER : operator };
  }
  return { what: what(names), todo: reader === "sender" ? sender : operator };
}

/** Greylisting is no failure while it lasts. */
function waiting(of: ReplyClass, what: string, { rcpt, Host }: Names): string {
  return of === "greylisted"
    ? `${Host} lets servers that it does not know wait before it takes mail to ${rcpt} (greylisting).`
    : what;
}
