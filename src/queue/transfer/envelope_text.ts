/** An envelope as the lines of `smtpctl show envelope`: `key: value`, in the order of the envelope files of old. Pure. */

import { type Envelope, formatMailAuth, NOTIFY } from "../../envelope/mod.ts";

/** The version of this text form. */
const VERSION = 3;

/** `ttlSeconds`: how long it is kept. */
export function formatEnvelope(envelope: Envelope, ttlSeconds: number): string {
  const { origin, dsn, status } = envelope;
  const lines: (readonly [string, string | number])[] = [
    ["version", VERSION],
    ["dispatcher", envelope.action],
    ["tag", origin.tag],
    ["type", envelope.agent],
    ["smtpname", origin.smtpname],
    ["helo", origin.helo],
    ["hostname", origin.hostname],
    ["username", origin.username],
    ["errorline", envelope.errorLine],
    ["sockaddr", origin.address],
    ["sender", envelope.sender === null ? "@" : `${envelope.sender.local}@${envelope.sender.domain}`],
    ["rcpt", `${envelope.rcpt.local}@${envelope.rcpt.domain}`],
    ["dest", `${envelope.dest.local}@${envelope.dest.domain}`],
    ["ctime", seconds(envelope.createdAt)],
    ["last-try", seconds(envelope.lastTryAt)],
    ["last-bounce", seconds(envelope.lastBounceAt)],
    ["ttl", ttlSeconds],
    ["retry", envelope.tries],
    ["flags", flagsOf(envelope).join(" ")],
    ["dsn-notify", dsn.notify & (NOTIFY.SUCCESS | NOTIFY.FAILURE | NOTIFY.DELAY | NOTIFY.NEVER)],
    ["dsn-ret", dsn.ret],
    ["dsn-envid", dsn.envid],
    ["dsn-orcpt", dsn.orcpt],
    ["esc-class", status?.class ?? 0],
    ["esc-code", status === null ? 0 : statusNumber(status.code)],
    ["mail-auth", envelope.mailAuth === undefined ? "" : formatMailAuth(envelope.mailAuth)],
    ...agentLines(envelope),
  ];
  return lines.filter(([, value]) => value !== "").map(([key, value]) => `${key}: ${value}\n`).join("");
}

function agentLines(envelope: Envelope): (readonly [string, string | number])[] {
  if (envelope.agent === "mda") {
    return [
      ["mda-exec", envelope.exec ?? ""],
      ["mda-subaddress", envelope.subAddress ?? ""],
      ["mda-user", envelope.user ?? ""],
    ];
  }
  const { bounce } = envelope;
  if (bounce === undefined) return [];
  return [
    ["bounce-ttl", bounce.ttlSeconds],
    ["bounce-delay", bounce.kind === "delayed" ? bounce.delaySeconds ?? 0 : ""],
    ["bounce-type", bounce.kind === "relayed" ? "delivered" : bounce.kind],
  ];
}

/** The daemon's own DSNs have a null sender and come from inside. */
function flagsOf(envelope: Envelope): string[] {
  const flags = [];
  if (envelope.origin.authenticated) flags.push("authenticated");
  if (envelope.agent === "bounce" || (envelope.sender === null && envelope.internal)) flags.push("bounce");
  if (envelope.internal) flags.push("internal");
  if (envelope.handling?.smtpUtf8) flags.push("smtputf8");
  if (envelope.handling?.requireTls) flags.push("require-tls");
  if (envelope.handling?.tlsOptional) flags.push("tls-optional");
  return flags;
}

/** "4.7" is 47: subject and detail of RFC 3463 as one number. */
function statusNumber(code: string): number {
  const [subject, detail] = code.split(".");
  return Number(subject) * 10 + Number(detail);
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}
