/** Debian's Postfix from an unpacked package, with a configuration, queue and users of its own choosing. Needs root, as Postfix does. */

import { join } from "node:path";
import { CannotRun, LOCAL_DOMAIN, type Place, RELAY_DOMAIN, type Server, startDaemon } from "./server.ts";

/** Accounts that every Debian has: Postfix wants an owner who is neither root nor the one that delivers. */
const OWNER = { user: "mail", uid: 8, gid: 8 };
const DROP_GROUP = { name: "daemon", gid: 1 };
const NOBODY = 65534;

const QUEUE_FOLDERS = "active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace"
  .split(" ");

function mainCf(place: Place): string {
  const root = join(place.tools, "postfix");
  return `compatibility_level = 3.6
queue_directory = ${place.folder}/queue
data_directory = ${place.folder}/data
daemon_directory = ${root}/usr/lib/postfix/sbin
command_directory = ${root}/usr/sbin
shlib_directory = ${root}/usr/lib/postfix
meta_directory = ${place.folder}/conf
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME LD_LIBRARY_PATH
mail_owner = ${OWNER.user}
setgid_group = ${DROP_GROUP.name}
myhostname = bench.example.org
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
maillog_file = ${place.folder}/maillog
maillog_file_prefixes = ${place.folder}
# Without this, accepting waits for delivering: off in Postfix's favour.
in_flow_delay = 0
virtual_mailbox_domains = ${LOCAL_DOMAIN}
virtual_mailbox_maps = static:box/
virtual_mailbox_base = ${place.folder}/mail
virtual_uid_maps = static:${NOBODY}
virtual_gid_maps = static:${NOBODY}
transport_maps = inline:{${RELAY_DOMAIN}=smtp:[127.0.0.1]:${place.sinkPort}}
smtp_host_lookup = native
`;
}

const MASTER_CF = `pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`;

async function layOut(folder: string): Promise<void> {
  const make = async (name: string, mode: number, uid: number, gid: number) => {
    await Deno.mkdir(join(folder, name), { recursive: true });
    await Deno.chmod(join(folder, name), mode);
    await Deno.chown(join(folder, name), uid, gid);
  };
  await make("conf", 0o755, 0, 0);
  await make("queue", 0o755, 0, 0);
  await make("data", 0o755, OWNER.uid, OWNER.gid);
  await make("mail", 0o755, NOBODY, NOBODY);
  for (const name of QUEUE_FOLDERS) {
    if (name === "pid") await make(`queue/${name}`, 0o755, 0, 0);
    else if (name === "maildrop") await make(`queue/${name}`, 0o1730, OWNER.uid, DROP_GROUP.gid);
    else if (name === "public") await make(`queue/${name}`, 0o2710, OWNER.uid, DROP_GROUP.gid);
    else await make(`queue/${name}`, 0o700, OWNER.uid, OWNER.gid);
  }
}

/** Starts Postfix, with further `lines` of main.cf. Throws CannotRun where it cannot take part. */
export async function startPostfix(place: Place, lines = ""): Promise<Server> {
  if (Deno.uid() !== 0) throw new CannotRun("Postfix starts as root only");
  await layOut(place.folder);
  await Deno.writeTextFile(join(place.folder, "conf/main.cf"), mainCf(place) + lines);
  await Deno.writeTextFile(
    join(place.folder, "conf/master.cf"),
    `127.0.0.1:${place.port} inet n - n - - smtpd\n${MASTER_CF}`,
  );
  const root = join(place.tools, "postfix");
  const daemon = await startDaemon(
    place,
    join(root, "usr/lib/postfix/sbin/master"),
    ["-c", join(place.folder, "conf"), "-d"],
    { LD_LIBRARY_PATH: `${root}/usr/lib/postfix:${root}/usr/lib/${Deno.build.arch}-linux-gnu` },
  );
  return {
    name: "Postfix",
    syncs: "queue file | Maildir file (twice)",
    port: place.port,
    maildir: join(place.folder, "mail/box"),
    ...daemon,
  };
}
