/** The guides are right: their configurations are taken and their commands run, word by word, and what they promise comes about. Links lead somewhere. */

import assert from "node:assert/strict";
import { join, normalize } from "node:path";
import { COMMANDS } from "../../src/cli/smtpctl/commands.ts";
import { commandsWith } from "../../src/cli/smtpctl/words.ts";
import { GUIDES, piecesOf, runGuide } from "./guides.ts";

/** Only root can have namespaces with its own network and its own /etc. */
const ignore = Deno.build.os !== "linux" || Deno.uid() !== 0;

/** What another host sends is refused for good, or taken. */
const OUTSIDE = `
outside_to() {
  printf 'Subject: from outside\\n\\nx\\n' | outside smtp -C -s smtp://192.0.2.1 -F a@example.net "$1" >/run/said 2>&1
}
refused() {
  ! outside_to "$1"
  cat /run/said
  grep -q '550 5' /run/said
}
taken() {
  outside_to "$1" || { cat /run/said; false; }
}
`;

/** Debian's, which scripts/tools.sh unpacks. */
function hasDovecot(): boolean {
  try {
    return ["dovecot-imapd", "dovecot-lmtpd"].every((name) =>
      Deno.statSync(join(GUIDES, "../../.deno/tools", name, "usr")).isDirectory
    );
  } catch {
    return false;
  }
}

const SUBMIT = `
printf 'Subject: submitted\\r\\n\\r\\nx\\r\\n' >/run/message
submit() {
  curl -sS --insecure --ssl-reqd smtp://mail.example.org:587 --user "$1:$2" --mail-from "$1" --mail-rcpt "$3" -T /run/message
}
`;

/** What must be so at the end of each guide, in shell. */
const CHECKS: Readonly<Record<string, string>> = {
  "send-only.md": `
grep -q '^Subject: test' /var/mail/alice
printf 'Subject: x\\n\\nx\\n' | smtp -s smtp://127.0.0.1 -F a@example.org you@example.net
mailq | grep -q '|you@example.net|'
refused you@example.net`,
  "small-office.md": `${SUBMIT}
test "$(ls /home/alice/Maildir/new /home/bob/Maildir/new | grep -c mail.example.org)" = 2
submit alice "$password" you@example.net
mailq | grep -q '|you@example.net|'
! submit alice wrong you@example.net
! submit bob "$password" you@example.net
taken office@example.org
refused stranger@example.org
refused you@example.net`,
  "dovecot.md": `${SUBMIT}
doveadm fetch -u alice@example.org hdr.subject all | grep -q 'test$'
submit alice@example.org "$password" postmaster@example.org
until doveadm fetch -u alice@example.org hdr.subject all | grep -q 'submitted$'; do sleep 0.1; done
curl -sS --insecure --ssl-reqd imap://mail.example.org/ --user "alice@example.org:$password" -X 'STATUS INBOX (MESSAGES)' | grep -q 'MESSAGES 2'
! submit alice@example.org wrong postmaster@example.org
refused stranger@example.org
taken postmaster@example.org`,
  "backup-mx.md": `
mailq | grep -q '|alice@example.org|'
refused stranger@example.org
refused you@example.net
taken postmaster@example.org`,
  "smarthost.md": "mailq | grep -q '|you@example.net|'",
  "from-opensmtpd.md": "test ! -e /run/vaultpost/smtpd.sock",
  "from-postfix.md": `
test "$(ls /home/alice/Maildir/new /home/bob/Maildir/new | grep -c mail.example.org)" = 2
taken alice@example.org
refused alice@example.net
refused you@elsewhere.example`,
  "from-sendmail.md": `grep -q '^Subject: test' /var/mail/bob
refused you@elsewhere.example
refused stranger@example.org`,
  "testing-a-configuration.md": `
smtpctl explain -f you@example.net -t sales@example.org --peer 192.0.2.2 --peer-name mx.example.net /root/offer >/run/said
grep -q '^sales@example.org: deliver to alice by mbox .*; deliver to bob by mbox' /run/said
grep -q 'X-Expect-To: <you@example.net> 550 5.7.1 Relaying denied' no-relay.eml
smtpd -n --expect /etc/vaultpost/letters | grep -q '^3 as expected, 0 changed, 0 cannot be read'
smtpd -n -f /root/new.conf --expect /etc/vaultpost/letters >/run/said && exit 1
test $? = 1
grep -q 'no-relay.eml: you@example.net: was 550 .*, is relay to mx1.example.net .*/root/new.conf:12' /run/said
test ! -e /run/vaultpost/smtpd.sock`,
  "troubleshooting.md": `test "$(journalctl | grep -c "$id")" -gt 1`,
};

/** Where a guide shows no configuration of its own: one that it would be read for. */
const HOST = `# /etc/vaultpost/smtpd.conf
listen on socket
listen on 0.0.0.0 hostname mail.example.org
action "local" mbox
action "outbound" relay
match from any for domain "example.org" action "local"
match from local for any action "local"
`;
const BEFORE: Readonly<Record<string, string>> = {
  "troubleshooting.md":
    `\`\`\`conf\n${HOST}\`\`\`\n\`\`\`sh\necho 'root: alice' >/etc/aliases\nsystemctl enable --now vaultpost\n\`\`\`\n`,
};

const pages = [...Deno.readDirSync(GUIDES)].map(({ name }) => name).sort();

Deno.test("each guide has a check of what it promises, and each link and command in it exists", () => {
  assert.deepEqual(pages, Object.keys(CHECKS).sort());
  for (const name of pages) {
    const page = Deno.readTextFileSync(join(GUIDES, name));
    for (const [, target] of page.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
      assert.ok(Deno.statSync(normalize(join(GUIDES, target!))).isFile, `${name}: ${target}`);
    }
    for (const [, words] of page.matchAll(/smtpctl ([a-z]+(?: [a-z]+)?)/g)) {
      const found = [words!.split(" "), words!.split(" ").slice(0, 1)].some((some) => commandsWith(COMMANDS, some).ok);
      assert.ok(found || words!.startsWith("says"), `${name}: smtpctl ${words}`);
    }
  }
});

/** They wait more than they work: as many at once. */
const AT_ONCE = 3;

Deno.test("docs/guides: every file and every command, word by word", { ignore }, async (t) => {
  const waiting = [...pages];
  const runNext = async (): Promise<void> => {
    const name = waiting.shift();
    if (name === undefined) return;
    await t.step({
      name,
      ignore: name === "dovecot.md" && !hasDovecot(),
      sanitizeOps: false,
      sanitizeResources: false,
      sanitizeExit: false,
      fn: async () => {
        const pieces = piecesOf((BEFORE[name] ?? "") + Deno.readTextFileSync(join(GUIDES, name)));
        const { code, output } = await runGuide(pieces, OUTSIDE + CHECKS[name]!);
        assert.equal(code, 0, output);
      },
    });
    await runNext();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, runNext));
});
