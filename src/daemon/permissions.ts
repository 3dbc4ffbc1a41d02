/**
 * The permission table: what each isolate may do, derived from its settings, with the reason for each grant. What is not granted here is
 * refused by the runtime. `smtpd -n -v` prints it; test/isolate/permissions_test.ts tries the opposite in the real runtime.
 */

import { hostPort } from "../net/mod.ts";
import type { Grants } from "../protocol/mod.ts";
import type { ResolverSettings, Role, Settings } from "../protocol/mod.ts";
import { lookupFiles } from "../lookup/mod.ts";
import {
  type DeliveryNeeds,
  deliveryNeeds,
  fileNeeds,
  forwardNeeds,
  libcPath,
  mailboxNeeds,
  privilegedNeeds,
} from "../delivery/mod.ts";

type Table = { readonly [R in Role]: (settings: Settings[R], all: Settings) => Grants };

const TABLE: Table = {
  /** Talks to the public with the sockets that were handed to it. It can reach nothing else, so a parser bug here opens no door. */
  smtp: () => ({}),
  /** Reads the table files that the config names and the accounts; asks the resolvers. */
  lookup: (settings) => ({ read: lookupFiles(settings), net: resolverGrants(settings.resolver) }),
  /** Reads and writes the spool only, and sees how full its disk is. No net: what is in it cannot be sent anywhere from here. */
  queue: (settings) => ({ read: [settings.spool], write: [settings.spool], sys: ["statfs"] }),
  /** Reads and writes the files of the history only, and sees how full their disk is: room is left to the queue. */
  history: ({ folder }) => ({ read: [folder], write: [folder], sys: ["statfs"] }),
  /** Decides when; touches nothing. */
  scheduler: () => ({}),
  /** Must reach any host that mail is for but this one, whose addresses it may know. Sees no disk: bodies come from the queue. */
  relay: () => ({ net: true, sys: ["networkInterfaces"] }),
  /** Reaches the LMTP servers that the actions name. It runs nothing and writes nothing. */
  delivery: (settings) => deliveryGrants(deliveryNeeds(settings)),
  /** What users may name in their `.forward` is not known before it is read: any command, as the user. */
  privileged: (settings) => deliveryGrants(privilegedNeeds(settings)),
  /** Writes the mail folders that the actions name, as the recipient. */
  mailbox: (_settings, { delivery }) => deliveryGrants(mailboxNeeds(delivery)),
  /** Any file that a user names, as the user. */
  file: (_settings, { delivery }) => deliveryGrants(fileNeeds(delivery)),
  /** The `.forward` of any home, as the user. */
  forward: (_settings, { delivery }) => deliveryGrants(forwardNeeds(delivery)),
  /** Starts the programs that the config names, and no others. It reads no file and reaches no host: what they need is theirs to get. */
  filter: ({ tables, filters = [] }) => ({ run: [...new Set([...tables, ...filters].map(({ program }) => program))] }),
  /** Computes hashes of passwords. What gets out of it by a bug in a library finds nothing to hold on to. */
  login: () => ({}),
  /**
   * Signs hashes with the keys of DKIM. What gets out of it by a bug finds no way to send them anywhere. It loads OpenSSL's RSA before it has a key, and
   * gives the permission up.
   */
  signer: ({ libcrypto }) => libcrypto === null ? {} : { ffi: [libcrypto] },
  /** Obtains certificates: main connects it to the authority, and to no other host, and stores what it obtained. */
  acme: () => ({}),
  /** Keeps the log and answers smtpctl and the admin page, whose connections are handed over by main. */
  control: () => ({}),
};

/** Grants of every role. */
export function grantsFor(settings: Settings): Record<Role, Grants> {
  const roles = Object.keys(TABLE) as Role[];
  return Object.fromEntries(roles.map((role) => [role, TABLE[role](settings[role] as never, settings)])) as Record<
    Role,
    Grants
  >;
}

/** The table as text, one role a line: `queue      read=/var/spool/vaultpost write=/var/spool/vaultpost`. */
export function describeGrants(grants: Readonly<Record<Role, Grants>>): string[] {
  return Object.entries(grants).map(([role, granted]) => `${role.padEnd(10)} ${describeGrant(granted)}`);
}

/** The grants of one isolate: `read=/var/spool/vaultpost write=/var/spool/vaultpost`, or `nothing`. */
export function describeGrant(granted: Grants): string {
  return Object.entries(granted)
    .filter(([, grant]) => grant === true || grant.length > 0)
    .map(([kind, grant]) => `${kind}=${grant === true ? "any" : grant.join(",")}`)
    .join(" ") || "nothing";
}

function deliveryGrants(needs: DeliveryNeeds): Grants {
  // As root it acts as the recipient: setfsuid(2) and its kin are calls of the C library.
  return { ...needs, ffi: needs.ffi ? [libcPath()] : [] };
}

/** What lookup may reach: the name servers. */
export function resolverGrants({ servers }: ResolverSettings): string[] {
  // node:dgram binds the wildcard address before it sends; it asks for that by name.
  return servers.length === 0
    ? []
    : ["0.0.0.0:0", "[::]:0", ...servers.map(({ address, port }) => hostPort({ host: address, port }))];
}
