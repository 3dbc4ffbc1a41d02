/** Commands: `action … mda` and pipes of aliases, run for real through /bin/sh. */

import assert from "node:assert/strict";
import { envelopeOf, ROOT, settingsOf, withWorld } from "./harness.ts";
import { FakeClock } from "../fake_clock.ts";

const BODY = "Subject: hello\n\nHi there\n";
const mda = (command: string) => ({ method: { type: "mda", command } } as const);
/** More than a pipe holds, so that a command that does not read is found out. */
const LARGE = [new TextEncoder().encode("A: b\n\n"), new Uint8Array(300_000).fill(120)];

Deno.test("A command gets the message with the two lines in front on its standard input", () =>
  withWorld((home) => mda(`cat > ${home}/out`), async (world, home) => {
    const { outcome, event } = await world.send(envelopeOf(), BODY);
    assert.deepEqual(outcome, { result: "ok", text: "Delivered" });
    assert.equal(event.stat, "Delivered");
    assert.equal(
      Deno.readTextFileSync(`${home}/out`),
      `Return-Path: <alice@example.net>\nDelivered-To: Bob@Example.org\n${BODY}`,
    );
  }));

Deno.test("A large message is fed as fast as the command reads it", () =>
  withWorld((home) => mda(`wc -c > ${home}/out`), async (world, home) => {
    const chunks = [LARGE[0]!, ...Array.from({ length: 20 }, () => new Uint8Array(256 << 10))];
    await world.send(envelopeOf({ sender: null }), chunks);
    const size = "Return-Path: <>\nDelivered-To: Bob@Example.org\nA: b\n\n".length + 20 * (256 << 10);
    assert.equal(Number(Deno.readTextFileSync(`${home}/out`)), size);
  }));

const codes: { command: string; result: string; stat: string; because: string }[] = [
  { command: "cat >/dev/null; exit 0", result: "ok", stat: "Delivered", because: "0 is success" },
  {
    command: "cat >/dev/null; exit 71",
    result: "tempfail",
    stat: "Error (system resource problem: exited abnormally)",
    because: "71 is temporary",
  },
  {
    command: "cat >/dev/null; echo first; echo try later >&2; exit 75",
    result: "tempfail",
    stat: 'Error (temporary failure: "try later")',
    because: "75 is temporary and the last line says why",
  },
  {
    command: "cat >/dev/null; echo no such user; exit 67",
    result: "permfail",
    stat: 'Error (user unknown: "no such user")',
    because: "67 is final",
  },
  {
    command: "cat >/dev/null; exit 1",
    result: "permfail",
    stat: "Error (exited abnormally)",
    because: "any other code is final",
  },
  {
    command: "cat >/dev/null; printf 'a\\tb\\033[1m\\n\\n'; exit 1",
    result: "permfail",
    stat: 'Error ("a\\tb\\033[1m")',
    because: "control characters are shown",
  },
  {
    command: "/nonexistent/program",
    result: "permfail",
    stat: 'Error ("/bin/sh: 1: /nonexistent/program: not found")',
    because: "the shell says 127",
  },
  {
    command: "cat >/dev/null; kill -9 $$",
    result: "tempfail",
    stat: "Error (terminated; signal 9)",
    because: "a signal is temporary",
  },
];
for (const { command, result, stat, because } of codes) {
  Deno.test(`A command \`${command}\` ends as ${result}: ${because}`, () =>
    withWorld(mda(command), async (world) => {
      const { outcome, event } = await world.send(envelopeOf(), BODY);
      assert.equal(outcome.result, result);
      assert.equal(event.stat, stat);
      if (outcome.result !== "ok") {
        const code = command.endsWith("exit 67") ? "1.1" : "3.0";
        assert.deepEqual(outcome.status, { class: result === "tempfail" ? 4 : 5, code });
        assert.equal(`Error (${outcome.text})`, stat, "a notice says what the log says");
      }
    }));
}

Deno.test("A command that succeeds before it read everything is tried again", () =>
  withWorld(mda("head -c 10 >/dev/null; exit 0"), async (world) => {
    const { outcome, event } = await world.send(envelopeOf(), LARGE);
    assert.equal(outcome.result, "tempfail");
    assert.equal(event.stat, "Error (mda exited prematurely)");
  }));

Deno.test("A command that fails before it read everything has its own reason", () =>
  withWorld(mda("echo over quota; exit 77"), async (world) => {
    const { event } = await world.send(envelopeOf(), LARGE);
    assert.equal(event.stat, 'Error (permission denied: "over quota")');
  }));

Deno.test("A command sees the environment of the manual and nothing else", () =>
  withWorld(mda("cat >/dev/null; env | sort > out; pwd >> out"), async (world, home) => {
    const envelope = envelopeOf({ subAddress: "tag", rcpt: { local: "Bob+tag", domain: "Example.org" } });
    assert.equal((await world.send(envelope, BODY)).outcome.result, "ok");
    assert.deepEqual(Deno.readTextFileSync(`${home}/out`).trimEnd().split("\n"), [
      "DOMAIN=Example.org",
      "EXTENSION=tag",
      `HOME=${home}`,
      "LOCAL=Bob+tag",
      "LOGNAME=bob",
      "ORIGINAL_RECIPIENT=Bob+tag@Example.org",
      "PATH=/usr/bin:/bin",
      `PWD=${home}`,
      "RECIPIENT=bob@example.org",
      "SENDER=alice@example.net",
      "SHELL=/bin/sh",
      "USER=bob",
      home,
    ]);
  }));

Deno.test("The null sender is an empty SENDER, and without a sub-address there is no EXTENSION", () =>
  withWorld(mda('cat >/dev/null; echo "[$SENDER][${EXTENSION-none}]" > out'), async (world, home) => {
    await world.send(envelopeOf({ sender: null }), BODY);
    assert.equal(Deno.readTextFileSync(`${home}/out`), "[][none]\n");
  }));

Deno.test("With `user`, USER is the recipient's account and HOME that of the user", () =>
  withWorld(mda('cat >/dev/null; echo "$USER $LOGNAME $HOME" > out'), async (world, home) => {
    world.accounts = () => ({
      ok: true,
      account: { name: "virtual-bob", uid: 4242, gid: 4242, home: "/nonexistent" },
      identity: world.account,
    });
    const { event } = await world.send(envelopeOf(), BODY);
    assert.equal(Deno.readTextFileSync(`${home}/out`), `virtual-bob virtual-bob ${home}\n`);
    assert.equal(event.user, "virtual-bob");
  }));

Deno.test("Specifiers are expanded and made harmless before the shell sees them", () =>
  withWorld(mda("cat >/dev/null; echo %{sender.user} %{rcpt.domain[0:-4]} 100%% > out"), async (world, home) => {
    await world.send(envelopeOf({ sender: { local: "`id`$(id)|x", domain: "y" } }), BODY);
    assert.equal(Deno.readTextFileSync(`${home}/out`), ":id:::id::x Example 100%\n");
  }));

Deno.test("Quotes in a command mean what they say: there is one shell", () =>
  withWorld(mda(`cat >/dev/null; A=1; printf '%s' "\\"$A\\" \\$A" > out`), async (world, home) => {
    await world.send(envelopeOf(), BODY);
    assert.equal(Deno.readTextFileSync(`${home}/out`), '"1" $A');
  }));

Deno.test("A pipe of an alias runs in place of the action's own method", () =>
  withWorld({ method: { type: "maildir", path: null, junk: false } }, async (world, home) => {
    const envelope = envelopeOf({ exec: `cat > ${home}/%{dest.user}` });
    assert.equal((await world.send(envelope, BODY)).outcome.result, "ok");
    assert.match(Deno.readTextFileSync(`${home}/bob`), /^Return-Path/);
    assert.deepEqual([...Deno.readDirSync(home)].map(({ name }) => name), ["bob"]);
  }));

Deno.test("A home that is not there is no hindrance: the command starts in /", () =>
  withWorld((home) => mda(`cat >/dev/null; pwd > ${home}/out`), async (world, home) => {
    world.accounts = () => {
      const account = { ...world.account, home: "/nonexistent/home" };
      return { ok: true, account, identity: account };
    };
    assert.equal((await world.send(envelopeOf(), BODY)).outcome.result, "ok");
    assert.equal(Deno.readTextFileSync(`${home}/out`), "/\n");
  }));

Deno.test("A command that leaves something in the background ends when it ends itself", () =>
  withWorld(mda("cat >/dev/null; sleep 30 & echo $! > pid; exit 0"), async (world, home) => {
    assert.equal((await world.send(envelopeOf(), BODY)).outcome.result, "ok");
    end(Number(Deno.readTextFileSync(`${home}/pid`)));
  }));

Deno.test("A command that runs for 300 seconds is ended, with all that it started", async () => {
  const clock = new FakeClock();
  await withWorld(mda("cat >/dev/null; exec 3>life; sleep 1000 & echo $! >&3; wait"), async (world, home) => {
    const life = new Life(home);
    const sent = world.send(envelopeOf(), BODY);
    const pid = Number(await life.line());
    clock.advance(299_999);
    assert.ok(alive(pid));
    clock.advance(1);
    const { outcome, event } = await sent;
    assert.equal(outcome.result, "tempfail");
    assert.equal(event.stat, "Error (terminated; timeout)");
    await life.ended();
  }, { tools: { clock } });
});

Deno.test("A command that does not care about SIGTERM is killed", async () => {
  const clock = new FakeClock();
  await withWorld(
    mda("trap '' TERM; cat >/dev/null; exec 3>life; echo ready >&3; while :; do sleep 0.05; done"),
    async (world, home) => {
      const life = new Life(home);
      const sent = world.send(envelopeOf(), BODY);
      await life.line();
      clock.advance(300_000);
      clock.advance(5_000);
      assert.equal((await sent).event.stat, "Error (terminated; timeout)");
      await life.ended();
    },
    { tools: { clock } },
  );
});

Deno.test("What a command started in the background ends with it, even if it does not care about SIGTERM", async () => {
  const clock = new FakeClock();
  const stubborn = "exec 3>life; (trap '' TERM; echo ready >&3; while :; do sleep 0.05; done) & wait";
  await withWorld(mda(`cat >/dev/null; ${stubborn}`), async (world, home) => {
    const life = new Life(home);
    const sent = world.send(envelopeOf(), BODY);
    await life.line();
    clock.advance(300_000);
    assert.equal((await sent).event.stat, "Error (terminated; timeout)");
    await life.ended();
  }, { tools: { clock } });
});

Deno.test("When the isolate stops its commands are ended and their mail is kept", async () => {
  const clock = new FakeClock();
  await withWorld(mda("cat >/dev/null; exec 3>life; echo ready >&3; exec sleep 1000"), async (world, home) => {
    const life = new Life(home);
    const sent = world.send(envelopeOf(), BODY);
    await life.line();
    const stopped = world.stop();
    clock.advance(2_000);
    await stopped;
    const { outcome } = await sent;
    assert.deepEqual(outcome, { result: "tempfail", text: "shutting down", status: { class: 4, code: "3.0" } });
    await life.ended();
  }, { tools: { clock } });
});

Deno.test("A body that cannot be read to its end stops the command", () =>
  withWorld(mda("cat >/dev/null; exit 0"), async (world) => {
    world.onqueue = (message) => {
      if (message.type !== "read") return true;
      queueMicrotask(() =>
        world.privilegedQueue.onmessage({ type: "unreadable", call: message.call, text: "Disk on fire" })
      );
      return false;
    };
    const { outcome, event } = await world.send(envelopeOf(), LARGE);
    assert.equal(outcome.result, "tempfail");
    assert.equal(event.stat, "Error (Disk on fire)");
  }));

Deno.test("Not more than seven commands of one user, and not more than the total, run at once", async () => {
  for (const { settings, most } of [{ settings: {}, most: 7 }, { settings: { maxSession: 3 }, most: 3 }]) {
    // The first commands wait for each other, however slow the machine is; then each stays for a moment, so that one too many would be seen.
    const meet =
      `for try in $(seq 2000); do [ -e met ] && break; [ $(ls -d run.* | wc -l) -ge ${most} ] && : >met; sleep 0.01; done`;
    const count = `cat >/dev/null; mkdir run.$$; ls -d run.* | wc -l >> most; ${meet}; sleep 0.15; rmdir run.$$`;
    await withWorld(mda(count), async (world, home) => {
      const sent = Array.from({ length: 15 }, () => world.send(envelopeOf(), BODY));
      for (const { outcome } of await Promise.all(sent)) assert.equal(outcome.result, "ok");
      const seen = Deno.readTextFileSync(`${home}/most`).trim().split("\n").map(Number);
      assert.equal(seen.length, 15);
      assert.equal(Math.max(...seen), most);
    }, { settings: () => settings });
  }
});

Deno.test("Pipes under a maildir action keep to the limit of the user, too", () =>
  withWorld({ method: { type: "maildir", path: null, junk: false } }, async (world, home) => {
    const exec = "cat >/dev/null; mkdir run.$$; ls -d run.* | wc -l >> most; sleep 0.15; rmdir run.$$";
    const sent = Array.from({ length: 10 }, () => world.send(envelopeOf({ exec }), BODY));
    for (const { outcome } of await Promise.all(sent)) assert.equal(outcome.result, "ok");
    const seen = Deno.readTextFileSync(`${home}/most`).trim().split("\n").map(Number);
    assert.ok(Math.max(...seen) <= 7, `${seen}`);
    assert.equal(seen.length, 10);
  }));

Deno.test({
  name: "As root, a command runs with the user's ids, its group alone, a session of its own and three descriptors",
  ignore: !ROOT,
  fn: () =>
    withWorld(
      mda(
        "cat >/dev/null; id -u > out; id -g >> out; id -G >> out; ps -o sid= -p $$ >> out; echo $$ >> out; ls -l /proc/self/fd | grep -v /fd$ > fds",
      ),
      async (world, home) => {
        assert.equal((await world.send(envelopeOf(), BODY)).outcome.result, "ok");
        const [uid, gid, groups, session, pid] = Deno.readTextFileSync(`${home}/out`).trim().split(/\s+/);
        assert.deepEqual([uid, gid, groups], ["65534", "65534", "65534"]);
        assert.equal(session, pid);
        // What this test run itself inherited is inherited further.
        const descriptors = [...Deno.readTextFileSync(`${home}/fds`).matchAll(/(\d+) ->/g)].map(([, number]) =>
          number!
        );
        const inherited = new Set(inheritable());
        assert.deepEqual(descriptors.filter((one) => Number(one) > 2 && !inherited.has(one)), []);
        assert.ok(descriptors.includes("0"));
      },
    ),
});
Deno.test({
  name: "As root, commands for root are refused",
  ignore: !ROOT,
  fn: () =>
    withWorld({ ...mda("cat >/dev/null"), user: "root" }, async (world) => {
      const { outcome, event } = await world.send(envelopeOf(), BODY);
      assert.deepEqual(outcome, {
        result: "permfail",
        text: "permission denied: MDA not allowed to deliver to: root",
        status: { class: 5, code: "7.1" },
      });
      assert.equal(event.stat, "Error (permission denied: MDA not allowed to deliver to: root)");
    }, { account: (home) => ({ name: "root", uid: 0, gid: 0, home }) }),
});
Deno.test("Without root a command runs as the daemon itself", () =>
  withWorld((home) => mda(`cat >/dev/null; id -u > ${home}/out`), async (world, home) => {
    assert.equal((await world.send(envelopeOf(), BODY)).outcome.result, "ok");
    assert.equal(Number(Deno.readTextFileSync(`${home}/out`)), Deno.uid());
  }, {
    settings: () => ({ shared: { ...settingsOf().shared, root: false } }),
    account: (home) => ({ name: "me", uid: Deno.uid() ?? -1, gid: Deno.gid() ?? -1, home }),
  }));

/** Descriptors of this process that any child gets, whatever we do: those without close-on-exec. */
function inheritable(): string[] {
  return [...Deno.readDirSync("/proc/self/fdinfo")].map(({ name }) => name).filter((name) => {
    try {
      const flags = /flags:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/self/fdinfo/${name}`))?.[1] ?? "0";
      return (parseInt(flags, 8) & 0o2000000) === 0;
    } catch {
      return false;
    }
  });
}

/** The FIFO `life` of a home: what a command writes there is received, and so is that it and all that it started are gone. */
class Life {
  readonly #reader: Promise<ReadableStreamDefaultReader<Uint8Array>>;

  constructor(home: string) {
    const path = `${home}/life`;
    new Deno.Command("mkfifo", { args: [path] }).outputSync();
    Deno.chmodSync(path, 0o666);
    // Opening waits for the one who writes.
    this.#reader = Deno.open(path, { read: true }).then((file) => file.readable.getReader());
  }

  /** The first line, short enough to come in one piece. */
  async line(): Promise<string> {
    const { value } = await (await this.#reader).read();
    return new TextDecoder().decode(value).trim();
  }

  /** Resolves when nobody holds the other end any more. */
  async ended(): Promise<void> {
    assert.equal((await (await this.#reader).read()).done, true);
  }
}
function alive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
function end(pid: number): void {
  Deno.kill(pid, "SIGKILL");
}
