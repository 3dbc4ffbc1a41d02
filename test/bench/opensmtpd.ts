/**
 * Debian's OpenSMTPD from an unpacked package. Its paths and users are compiled in, so it runs in a mount namespace of its own where they
 * exist; the machine itself is left as it is. Needs root.
 */

import { join } from "node:path";
import { CannotRun, LOCAL_DOMAIN, type Place, RELAY_DOMAIN, type Server, startDaemon } from "./server.ts";

const DELIVERER = { name: "bench", uid: 64103 };
const ACCOUNTS = [
  { name: "opensmtpd", uid: 64101, home: "/var/lib/opensmtpd/empty", shell: "/usr/sbin/nologin" },
  { name: "opensmtpq", uid: 64102, home: "/var/lib/opensmtpd/empty", shell: "/usr/sbin/nologin" },
  { ...DELIVERER, home: "/", shell: "/bin/sh" },
];

const smtpdConf = (place: Place) =>
  `table users { "@" = "${DELIVERER.name}" }
smtp limit max-mails 100000
listen on 127.0.0.1 port ${place.port} hostname bench.example.org
action "in" maildir "${place.folder}/mail/box" virtual <users>
action "out" relay host smtp://127.0.0.1:${place.sinkPort}
match from any for domain "${LOCAL_DOMAIN}" action "in"
match from any for domain "${RELAY_DOMAIN}" action "out"
`;

const ENTER = `set -eu
tools=$1 folder=$2
mount --make-rprivate /
mkdir -p /usr/libexec
mount -t overlay overlay -o "lowerdir=$tools/usr/libexec:/usr/libexec" /usr/libexec
for file in passwd group resolv.conf; do mount --bind "$folder/$file" "/etc/$file"; done
for name in lib spool; do mount --bind "$folder/$name" "/var/$name"; done
mount --bind "$folder/run" /run
export LD_LIBRARY_PATH="$tools/usr/lib/$(uname -m)-linux-gnu"
exec "$tools/usr/sbin/smtpd" -d -f "$folder/smtpd.conf"
`;

async function layOut(place: Place): Promise<void> {
  const { folder } = place;
  for (const name of ["lib/opensmtpd/empty", "spool/smtpd", "run", "mail"]) {
    await Deno.mkdir(join(folder, name), { recursive: true });
  }
  await Deno.chmod(join(folder, "spool/smtpd"), 0o711);
  await Deno.chown(join(folder, "mail"), DELIVERER.uid, DELIVERER.uid);
  const users = ACCOUNTS.map(({ name, uid, home, shell }) => `${name}:x:${uid}:${uid}::${home}:${shell}\n`);
  const groups = ACCOUNTS.map(({ name, uid }) => `${name}:x:${uid}:\n`);
  await Deno.writeTextFile(join(folder, "passwd"), await Deno.readTextFile("/etc/passwd") + users.join(""));
  await Deno.writeTextFile(join(folder, "group"), await Deno.readTextFile("/etc/group") + groups.join(""));
  // It looks up every client's name before its banner: from the hosts file, not from a network that may lose the question.
  await Deno.writeTextFile(join(folder, "resolv.conf"), "lookup file\n");
  await Deno.writeTextFile(join(folder, "smtpd.conf"), smtpdConf(place));
}

/** Starts OpenSMTPD. Throws CannotRun where it cannot take part. */
export async function startOpenSmtpd(place: Place): Promise<Server> {
  if (Deno.uid() !== 0) throw new CannotRun("OpenSMTPD starts as root only");
  await layOut(place);
  const daemon = await startDaemon(
    place,
    "unshare",
    ["--mount", "sh", "-c", ENTER, "sh", join(place.tools, "opensmtpd"), place.folder],
  );
  return {
    name: "OpenSMTPD",
    syncs: "nothing | Maildir file",
    note: "listens with a backlog of 5: of 20 clients that connect at once, some wait a second for TCP to try again",
    port: place.port,
    maildir: join(place.folder, "mail/box"),
    ...daemon,
  };
}
