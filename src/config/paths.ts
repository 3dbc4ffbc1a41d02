/** Where things are on a machine, and the product's name and version. The environment overrides what tests and demos need to move. */

import { builtin } from "../builtin.ts";

export const PRODUCT = "Vaultpost";
export const VERSION = "0.1.0";

/** What these functions need of the environment, so that tests pass a plain object. */
export interface Environment {
  get(name: string): string | undefined;
}

/** Where the configuration is looked for, in this order: ours, then where OpenSMTPD has its own, on Linux and on BSD. */
export const CONFIG_PLACES = ["/etc/vaultpost/smtpd.conf", "/etc/smtpd.conf", "/etc/mail/smtpd.conf"] as const;
/** First line: the name of this server, if the host name is not it. */
export const MAILNAME = "/etc/mailname";
export const DEFAULT_ALIASES = "/etc/aliases";

export const MACHINE_STATE = "/var/lib/vaultpost";
const MACHINE_SPOOL = "/var/spool/vaultpost";

/** Folder of the queue. `SMTPD_SPOOL` overrides it. */
export function spoolPath(env: Environment): string {
  return env.get("SMTPD_SPOOL") || MACHINE_SPOOL;
}

/** Folder of the history, in that of the queue. */
export function historyPath(env: Environment): string {
  return `${spoolPath(env)}/history`;
}

/** Returns whether the queue is this machine's own: no `SMTPD_SPOOL` names another folder, as trials and tests do. */
export function isMachineSpool(env: Environment): boolean {
  return builtin("node:path").resolve(spoolPath(env)) === MACHINE_SPOOL;
}

/** Folder of what the daemon keeps that is no mail, such as certificates that it obtained. `SMTPD_STATE` overrides it. */
export function statePath(env: Environment): string {
  return env.get("SMTPD_STATE") || MACHINE_STATE;
}

/** Socket that smtpctl speaks to. `SMTPD_SOCKET` overrides it. */
export function controlSocketPath(env: Environment): string {
  return env.get("SMTPD_SOCKET") || "/run/vaultpost/smtpd.sock";
}

/** Where journald listens. `SMTPD_JOURNAL` overrides it. */
export function journalSocketPath(env: Environment): string {
  return env.get("SMTPD_JOURNAL") || "/run/systemd/journal/socket";
}

/** Socket for local submissions (sendmail): an SMTP listener beside the control socket. */
export function submissionSocketPath(controlSocket: string): string {
  return controlSocket.replace(/\.sock$/, "") + ".smtp.sock";
}

/** Resolver configuration. `ASR_CONFIG` overrides it, as in OpenSMTPD's resolver. */
export function resolvConfPath(env: Environment): string {
  return env.get("ASR_CONFIG") || "/etc/resolv.conf";
}

/** Our own folders of filter and table programs, and then those where packages for OpenSMTPD put theirs. */
const OWN_LIBEXEC = ["/usr/local/libexec/vaultpost", "/usr/libexec/vaultpost"];
const OTHERS_LIBEXEC = [
  // Debian, Gentoo, Fedora; older versions of Debian and Ubuntu.
  "/usr/libexec/opensmtpd",
  "/usr/lib/x86_64-linux-gnu/opensmtpd",
  "/usr/lib/aarch64-linux-gnu/opensmtpd",
  // Alpine; Arch.
  "/usr/lib/opensmtpd",
  "/usr/lib/smtpd/opensmtpd",
  // FreeBSD; OpenBSD: packages, then what comes with the system.
  "/usr/local/libexec/opensmtpd",
  "/usr/local/libexec/smtpd",
  "/usr/libexec/smtpd",
];

/** Folders where filter programs and `table-NAME` programs are looked for, in this order. `SMTPD_LIBEXEC` stands for our own. */
export function libexecFolders(env: Environment): readonly string[] {
  const own = env.get("SMTPD_LIBEXEC");
  return [...own ? [own] : OWN_LIBEXEC, ...OTHERS_LIBEXEC];
}

/** Folder in which `smtpctl dkim generate` makes keys. `SMTPD_DKIM` overrides it. */
export function dkimFolder(env: Environment): string {
  return env.get("SMTPD_DKIM") || "/etc/vaultpost/dkim";
}

/** Folder in which systemd puts the credentials of the unit vaultpost.service. */
export const UNIT_CREDENTIALS = "/run/credentials/vaultpost.service";

/** Folder of the keys that the service manager hands over: `credential:NAME` in smtpd.conf. `CREDENTIALS_DIRECTORY` names it. */
export function credentialsPath(env: Environment): string {
  return env.get("CREDENTIALS_DIRECTORY") || UNIT_CREDENTIALS;
}

/** User of the processes that speak to the network. `SMTPD_USER` overrides it. */
export function smtpdUserName(env: Environment): string {
  return env.get("SMTPD_USER") || "smtpd";
}

/** User of the process that keeps the queue, and owner of the spool. `SMTPD_QUEUE_USER` overrides it. */
export function queueUserName(env: Environment): string {
  return env.get("SMTPD_QUEUE_USER") || "smtpq";
}

/** Folder of system mailboxes. `SMTPD_MAIL` overrides it. */
export function mailDirectory(env: Environment): string {
  return env.get("SMTPD_MAIL") || "/var/mail";
}
