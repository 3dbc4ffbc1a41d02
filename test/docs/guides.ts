/**
 * Runs a guide as its reader would, word by word: the files that it shows are written where it says, the commands are run in their order, as root, in
 * namespaces of their own: a network that is a loopback, copies of /etc and other folders, so that nothing of this machine is touched. The port numbers are the real ones.
 */

import { fileURLToPath } from "node:url";
import { join } from "node:path";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
export const GUIDES = join(PROJECT, "docs/guides");

/** A piece of a guide that does something. */
export type Piece =
  | { readonly kind: "file"; readonly path: string; readonly text: string }
  | { readonly kind: "commands"; readonly text: string };

/** The pieces of a guide in their order: `conf` blocks begin with their path as a comment, `sh` blocks are commands. */
export function piecesOf(page: string): Piece[] {
  return [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)].flatMap(([, kind, text]): Piece[] => {
    if (kind === "sh") return [{ kind: "commands", text: text! }];
    if (kind !== "conf") return [];
    const path = /^# (\/\S+)\n/.exec(text!)?.[1];
    if (path === undefined) throw new Error(`A file does not begin with its path: ${text}`);
    return [{ kind: "file", path, text: text! }];
  });
}

/** Programs of the project, as they are once installed. */
const PROGRAMS = ["smtpd", "smtpctl", "sendmail", "mailq", "newaliases", "makemap", "smtp"];
/** What belongs to the server before: it is not here, and has nothing to do with what is tested. */
const OTHERS = ["postconf", "postfix", "postqueue"];

/** Starts and stops what the guides name, as the service manager would. */
const SYSTEMCTL = `#!/bin/sh
for service; do :; done
case $service in
  dovecot) exec dovecot ;;
  vaultpost) ;;
  *) exit 0 ;;
esac
case $1 in disable | restart) smtpctl stop >/dev/null 2>&1 && while [ -S /run/vaultpost/smtpd.sock ]; do /bin/sleep 0.05; done ;; esac
[ "$1" = disable ] && exit
# In one process: three less to start, for time.
smtpd -d --one-user >>/run/log 2>&1 &
until grep -q '^info: Vaultpost .* starting' /run/log; do
  kill -0 $! 2>/dev/null || { cat /run/log >&2; exit 1; }
  /bin/sleep 0.05
done
`;

/** A busy machine needs longer than a guide says: what was accepted has been tried, or half a minute has passed. */
const SLEEP = `#!/bin/sh
/bin/sleep "$1"
tried() {
  for id in $(sed -n 's/.* smtp envelope evpid=\\([0-9a-f]*\\).*/\\1/p' /run/log); do
    grep -q "delivery evpid=$id" /run/log || return 1
  done
}
tries=0
until tried || [ $tries = 300 ]; do /bin/sleep 0.1; tries=$((tries + 1)); done
`;

/** Users that a machine has where Vaultpost is installed, and people. */
const USERS = ["smtpd:2001", "smtpq:2002", "dovecot:2003", "dovenull:2004", "alice:2005", "bob:2006"];

function prepare(folder: string): string {
  const bin = join(folder, "bin");
  Deno.mkdirSync(bin);
  const program = (name: string, text: string) => Deno.writeTextFileSync(join(bin, name), text, { mode: 0o755 });
  for (const name of PROGRAMS) program(name, `#!/bin/sh\nexec ${PROJECT}scripts/${name} "$@"\n`);
  for (const name of OTHERS) program(name, "#!/bin/sh\n");
  program("sudo", '#!/bin/sh\nexec "$@"\n');
  program("journalctl", "#!/bin/sh\nexec cat /run/log\n");
  program("systemctl", SYSTEMCTL);
  program("sleep", SLEEP);
  program("outside", '#!/bin/sh\nexec ip netns exec outside "$@"\n');
  return bin;
}

/** What stands before the commands: the machine. */
function machine(folder: string, bin: string): string {
  const tools = join(PROJECT, ".deno/tools");
  const users = USERS.map((user) => {
    const [name, id] = user.split(":");
    const [home, shell] = name === "alice" || name === "bob"
      ? [`/home/${name}`, "/bin/sh"]
      : ["/nonexistent", "/usr/sbin/nologin"];
    return `echo '${name}:x:${id}:${id}::${home}:${shell}' >>/etc/passwd; echo '${name}:x:${id}:' >>/etc/group`;
  });
  return `set -e
ip link set lo up
hostname mail.example.org
cp -a /etc ${folder}/etc
for place in etc home srv var/mail var/spool var/lib run; do
  mkdir -p ${folder}/$place
  mount --bind ${folder}/$place /$place
done
chmod 1777 /var/mail
rm -rf /etc/vaultpost /etc/aliases /etc/mail /etc/smtpd.conf
mkdir -p /etc/vaultpost /etc/mail /etc/dovecot /etc/letsencrypt/live/mail.example.org /var/spool/smtpd/queue
sed -i -E '/^(${USERS.map((user) => user.split(":")[0]).join("|")}|vmail):/d' /etc/passwd /etc/group
${users.join("\n")}
for user in alice bob; do mkdir -m 755 /home/$user; chown $user:$user /home/$user; done
# Another host.
ip netns add outside
ip link add inner type veth peer name outer netns outside
ip address add 192.0.2.1/24 dev inner
ip link set inner up
ip netns exec outside ip address add 192.0.2.2/24 dev outer
ip netns exec outside ip link set outer up
echo '127.0.0.1 localhost mail.example.org' >/etc/hosts
printf 'nameserver 127.0.0.1\\noptions timeout:1 attempts:1\\n' >/etc/resolv.conf
echo mail.example.org >/etc/mailname
: >/etc/aliases
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=mail.example.org -days 30 \\
  -keyout /etc/letsencrypt/live/mail.example.org/privkey.pem -out /etc/letsencrypt/live/mail.example.org/fullchain.pem 2>/dev/null
lower=
for tool in dovecot-imapd dovecot-lmtpd; do
  [ ! -d ${tools}/$tool/usr ] || lower=$lower${tools}/$tool/usr:
done
[ -z "$lower" ] || mount -t overlay overlay -o lowerdir=$lower/usr /usr
export PATH=${bin}:/usr/sbin:/usr/bin:/sbin:/bin
unset SMTPD_SPOOL SMTPD_SOCKET SMTPD_STATE
cd /
`;
}

function commandsOf(pieces: readonly Piece[]): string {
  return pieces.map((piece) => {
    if (piece.kind === "commands") return `set -x\n${piece.text}{ set +x; } 2>/dev/null\n`;
    return `mkdir -p "$(dirname ${piece.path})"\ncat >${piece.path} <<'END OF FILE'\n${piece.text}END OF FILE\n`;
  }).join("\n");
}

export interface GuideRun {
  readonly code: number;
  readonly output: string;
}

/** Runs the pieces of a guide, and then `check`, in shell. */
export async function runGuide(pieces: readonly Piece[], check: string): Promise<GuideRun> {
  const folder = await Deno.makeTempDir({ prefix: "guide-" });
  try {
    await Deno.chmod(folder, 0o755);
    const script = `${machine(folder, prepare(folder))}\n${commandsOf(pieces)}\nset -x\n${check}\n`;
    await Deno.writeTextFile(join(folder, "script"), script);
    const { code, stdout, stderr } = await new Deno.Command("unshare", {
      args: [
        "--net",
        "--mount",
        "--uts",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        join(folder, "script"),
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    const log = await Deno.readTextFile(join(folder, "run/log")).catch(() => "");
    return { code, output: `${text(stdout)}\n--- errors\n${text(stderr)}\n--- log\n${log}` };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
