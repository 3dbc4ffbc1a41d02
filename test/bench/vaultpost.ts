/** Vaultpost itself, started by its own script, delivering as nobody when root starts it and as its user otherwise. */

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { userInfo } from "node:os";
import { systemUsers } from "../e2e/harness.ts";
import { LOCAL_DOMAIN, type Place, RELAY_DOMAIN, type Server, startDaemon } from "./server.ts";

const PROJECT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const NOBODY = 65534;

/** The name of the daemon in one process. */
export const ONE_PROCESS = "Vaultpost, one process";

/** Starts the daemon of this working tree in one process, also as root, to compare with what `startVaultpost` starts. */
export async function startInOneProcess(place: Place): Promise<Server> {
  return { ...await startVaultpost(place, undefined, "", "one-process"), name: ONE_PROCESS };
}

/** Starts the daemon of this working tree, as root with two users of the system, offering STARTTLS where it gets a certificate; `limits` are further lines of its config, `relayOptions` further words of its relay action. */
export async function startVaultpost(
  place: Place,
  pair?: { cert: string; key: string },
  limits = "",
  processes: "of-two-users" | "one-process" = "of-two-users",
  relayOptions = "",
): Promise<Server> {
  const [smtpd, smtpq] = Deno.uid() === 0 && processes === "of-two-users" ? systemUsers() : [];
  const user = Deno.uid() === 0 ? "nobody" : userInfo().username;
  const mail = join(place.folder, "mail"), maildir = join(mail, "box");
  await Deno.mkdir(mail, { recursive: true });
  if (Deno.uid() === 0) await Deno.chown(mail, NOBODY, NOBODY);
  const config = join(place.folder, "smtpd.conf");
  let tls = "", pki = "";
  if (pair !== undefined) {
    // A key that others may read would be refused.
    await Deno.writeTextFile(join(place.folder, "key.pem"), await Deno.readTextFile(pair.key), { mode: 0o600 });
    pki = `pki bench cert "${pair.cert}"\npki bench key "${place.folder}/key.pem"\n`;
    tls = " tls pki bench";
  }
  await Deno.writeTextFile(
    config,
    `${pki}${limits}smtp limit max-mails 100000
listen on 127.0.0.1 port ${place.port}${tls} hostname bench.example.org
action "in" maildir "${maildir}" virtual { "@" = "${user}" } user ${user}
action "out" relay host "smtp://127.0.0.1:${place.sinkPort}"${relayOptions}
match from any for domain "${LOCAL_DOMAIN}" action "in"
match from any for domain "${RELAY_DOMAIN}" action "out"
`,
  );
  const daemon = await startDaemon(place, join(PROJECT, "scripts/smtpd"), [
    "-d",
    ...smtpd === undefined ? ["--one-user"] : [],
    "-f",
    config,
  ], {
    ...smtpd !== undefined && { SMTPD_USER: smtpd, SMTPD_QUEUE_USER: smtpq! },
    SMTPD_SPOOL: join(place.folder, "spool"),
    SMTPD_SOCKET: join(place.folder, "smtpd.sock"),
  });
  return {
    name: "Vaultpost",
    syncs: "body and envelopes | Maildir file and folder",
    port: place.port,
    maildir,
    ...daemon,
  };
}
