/** Whole dialogues of the client against a scripted server on loopback. */

import assert from "node:assert/strict";
import type { Handling } from "../../src/envelope/mod.ts";
import { bodyOf, ClientError, connectClient, uniformTimeouts } from "../../src/smtp_client/mod.ts";
import { fakeServer, type Script, until } from "./fake_server.ts";
import { bytesOf } from "../smtp/support.ts";
import { message, text, withClient } from "./with_client.ts";

for (const keywords of [["PIPELINING"], []]) {
  const how = keywords.length > 0 ? "with PIPELINING" : "without PIPELINING";

  Deno.test(`transaction delivers to several recipients ${how}`, () =>
    withClient({ keywords }, async (client, server) => {
      await client.hello("me.example.org");
      const result = await client.transaction(message(["a@x.net", "b@x.net"]));
      assert.deepEqual(result.recipients.map(({ outcome, text }) => `${outcome} ${text}`), [
        "ok 250 2.0.0 queued",
        "ok 250 2.0.0 queued",
      ]);
      assert.equal(result.error, null);
      await client.quit();
      assert.deepEqual(server.lines(), [
        "EHLO me.example.org",
        "MAIL FROM:<s@example.org>",
        "RCPT TO:<a@x.net>",
        "RCPT TO:<b@x.net>",
        "DATA",
        "QUIT",
      ]);
      assert.deepEqual(server.messages(), ["Subject: x\r\n\r\nhello\r\n..\r\n"]);
    }));

  Deno.test(`transaction settles each recipient by its own reply ${how}`, () =>
    withClient(
      {
        keywords,
        reply: (line) => line.includes("<b@") ? "450 4.2.0 later" : line.includes("<c@") ? "550 5.1.1 no" : undefined,
      },
      async (client, server) => {
        await client.hello("me");
        const result = await client.transaction(message(["a@x.net", "b@x.net", "c@x.net"]));
        assert.deepEqual(result.recipients.map(({ outcome, text }) => `${outcome} ${text}`), [
          "ok 250 2.0.0 queued",
          "tempfail 450 4.2.0 later",
          "permfail 550 5.1.1 no",
        ]);
        assert.equal(result.accepted, 1);
        assert.equal(server.messages().length, 1);
      },
    ));

  Deno.test(`a refused MAIL settles all and the session goes on after RSET ${how}`, () => {
    let first = true;
    const reply = (line: string) => {
      if (!line.startsWith("MAIL")) return first && line.startsWith("RCPT") ? "503 5.5.1 MAIL first" : undefined;
      if (!first) return undefined;
      return "451 4.3.0 not now";
    };
    return withClient(
      { keywords, reply: (line) => line === "RSET" ? (first = false, undefined) : reply(line) },
      async (client, server) => {
        await client.hello("me");
        const refused = await client.transaction(message(["a@x.net", "b@x.net"]));
        assert.deepEqual(refused.recipients.map(({ text }) => text), ["451 4.3.0 not now", "451 4.3.0 not now"]);
        assert.equal(server.lines().at(-1), "RSET");
        assert.equal((await client.transaction(message(["a@x.net"]))).recipients[0]!.outcome, "ok");
      },
    );
  });

  Deno.test(`all recipients refused: no data is sent, RSET follows ${how}`, () =>
    withClient(
      { keywords, reply: (line) => line.startsWith("RCPT") ? "550 5.1.1 no" : undefined },
      async (client, server) => {
        await client.hello("me");
        const result = await client.transaction(message(["a@x.net", "b@x.net"]));
        assert.deepEqual(result.recipients.map(({ outcome }) => outcome), ["permfail", "permfail"]);
        assert.equal(result.error, null);
        assert.equal(server.lines().at(-1), "RSET");
        assert.equal(server.messages().length, 0);
      },
    ));

  for (const [code, outcome] of [["452 4.3.1 full", "tempfail"], ["554 5.7.1 no", "permfail"]] as const) {
    Deno.test(`DATA refused with ${code}: ${outcome} for all ${how}`, () =>
      withClient({ keywords, reply: (line) => line === "DATA" ? code : undefined }, async (client, server) => {
        await client.hello("me");
        const result = await client.transaction(message(["a@x.net", "b@x.net"]));
        assert.deepEqual(result.recipients.map((one) => `${one.outcome} ${one.text}`), [
          `${outcome} ${code}`,
          `${outcome} ${code}`,
        ]);
        assert.equal(server.lines().at(-1), "RSET");
      }));

    Deno.test(`the data refused with ${code}: ${outcome} for all ${how}`, () =>
      withClient({ keywords, dataReply: () => code }, async (client) => {
        await client.hello("me");
        const result = await client.transaction(message(["a@x.net", "b@x.net"]));
        assert.deepEqual(result.recipients.map((one) => `${one.outcome} ${one.text}`), [
          `${outcome} ${code}`,
          `${outcome} ${code}`,
        ]);
        assert.equal(result.error, null);
      }));
  }

  Deno.test(`a hang-up after a refused recipient keeps that refusal and retries the rest ${how}`, () =>
    withClient(
      { keywords, reply: (line) => line.includes("<a@") ? "550 5.1.1 no" : line.includes("<b@") ? null : undefined },
      async (client) => {
        await client.hello("me");
        const result = await client.transaction(message(["a@x.net", "b@x.net", "c@x.net"]));
        assert.deepEqual(result.recipients.map((one) => `${one.outcome} ${one.text}`), [
          "permfail 550 5.1.1 no",
          "tempfail Connection closed unexpectedly",
          "tempfail Connection closed unexpectedly",
        ]);
        assert.equal(result.error?.kind, "closed");
        assert.equal(client.usable, false);
      },
    ));
}

Deno.test("a pipelined DATA that is accepted without a recipient gets an empty message and then RSET", () =>
  withClient(
    {
      keywords: ["PIPELINING"],
      reply: (line) => line.startsWith("RCPT") ? "550 5.1.1 no" : line === "DATA" ? "354 go on" : undefined,
      dataReply: () => "554 5.5.1 no recipients",
    },
    async (client, server) => {
      await client.hello("me");
      const result = await client.transaction(message(["a@x.net"]));
      assert.equal(result.recipients[0]!.text, "550 5.1.1 no");
      assert.deepEqual(server.messages(), [""]);
      assert.equal(server.lines().at(-1), "RSET");
    },
  ));

Deno.test("LMTP: one reply for each accepted recipient, in order", () =>
  withClient(
    {
      lmtp: true,
      keywords: ["PIPELINING"],
      reply: (line) => line.includes("<b@") ? "550 5.1.1 no" : undefined,
      dataReply: () => "250 2.0.0 one\r\n452 4.2.2 full",
    },
    async (client, server) => {
      await client.hello("me");
      const result = await client.transaction(message(["a@x.net", "b@x.net", "c@x.net"]));
      assert.deepEqual(result.recipients.map((one) => `${one.outcome} ${one.text}`), [
        "ok 250 2.0.0 one",
        "permfail 550 5.1.1 no",
        "tempfail 452 4.2.2 full",
      ]);
      assert.equal(server.lines()[0], "LHLO me");
    },
  ));

Deno.test("LMTP over a unix socket", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await withClient({ lmtp: true, path: `${folder}/lmtp` }, async (client, server) => {
      await client.hello("me");
      assert.equal((await client.transaction(message(["a@x.net"]))).recipients[0]!.outcome, "ok");
      assert.equal(server.messages().length, 1);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a message larger than SIZE is refused here, without a word to the server", () =>
  withClient({ keywords: ["SIZE 10"] }, async (client, server) => {
    await client.hello("me");
    const result = await client.transaction(message(["a@x.net"]));
    assert.deepEqual(result.recipients, [{
      outcome: "permfail",
      text: "message too large for peer",
      reply: null,
      enhanced: "5.3.4",
      stage: "MAIL",
    }]);
    assert.deepEqual(server.lines(), ["EHLO me"]);
  }));

// `Subject: x`, an empty line, `hello` and a dot: 10 + 0 + 5 + 1 octets and four times CRLF.
for (const { limit, want } of [{ limit: 24, want: "ok" }, { limit: 23, want: "permfail" }, { limit: 0, want: "ok" }]) {
  for (const chunks of [1, 2]) {
    Deno.test(`RFC 1870 §5: SIZE ${limit} for a message of 24 octets on the wire, in ${chunks} chunks: ${want}`, () =>
      withClient({ keywords: [`SIZE ${limit}`] }, async (client, server) => {
        await client.hello("me");
        const plain = message(["a@x.net"]);
        const parts = [text("Subject: x\n"), text("\nhello\n.\n")];
        const body = { bytes: 20, chunks: 2, chunk: (index: number) => parts[index]! };
        const result = await client.transaction(chunks === 1 ? plain : { ...plain, body });
        assert.equal(result.recipients[0]!.outcome, want);
        assert.equal(server.lines()[1], want === "ok" ? "MAIL FROM:<s@example.org> SIZE=24" : undefined);
        // The doubled dot is not counted.
        if (want === "ok") assert.equal(server.messages()[0]!.length, 25);
      }));
  }
}

Deno.test("parameters are sent only when the server offers their extension", async () => {
  const transaction = {
    sender: "s@example.org",
    ret: "HDRS" as const,
    envid: "id+3D1",
    recipients: [{ address: "a@x.net", notify: 3, orcpt: "rfc822;b@y.net" }, { address: "c@x.net", notify: 8 }],
    body: bodyOf(text("\xe4\n")),
  };
  await withClient({ keywords: ["DSN", "SIZE 1000", "8BITMIME"] }, async (client, server) => {
    await client.hello("me");
    await client.transaction(transaction);
    assert.deepEqual(server.lines().slice(1, 4), [
      "MAIL FROM:<s@example.org> SIZE=4 BODY=8BITMIME RET=HDRS ENVID=id+3D1",
      "RCPT TO:<a@x.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@y.net",
      "RCPT TO:<c@x.net> NOTIFY=NEVER",
    ]);
  });
  await withClient({}, async (client, server) => {
    await client.hello("me");
    await client.transaction(transaction);
    assert.deepEqual(server.lines().slice(1, 3), ["MAIL FROM:<s@example.org>", "RCPT TO:<a@x.net>"]);
  });
});

Deno.test("RFC 6152 §2: of a body in several chunks only the first is known when MAIL is said", () =>
  withClient({ keywords: ["8BITMIME"] }, async (client, server) => {
    await client.hello("me");
    const chunks = [text("Subject: x\n\n"), text("\xe4\n")];
    const body = { bytes: 15, chunks: 2, chunk: (index: number) => chunks[index]! };
    await client.transaction({ ...message(["a@x.net"]), body });
    assert.equal(server.lines()[1], "MAIL FROM:<s@example.org> BODY=8BITMIME");
  }));

Deno.test("an address beyond ASCII needs SMTPUTF8", async () => {
  await withClient({ keywords: ["SMTPUTF8", "8BITMIME"] }, async (client, server) => {
    await client.hello("me");
    assert.equal((await client.transaction(message(["ü@x.net"]))).recipients[0]!.outcome, "ok");
    assert.equal(server.lines()[1], "MAIL FROM:<s@example.org> BODY=8BITMIME SMTPUTF8");
  });
  await withClient({}, async (client, server) => {
    await client.hello("me");
    assert.equal((await client.transaction(message(["ü@x.net"]))).recipients[0]!.outcome, "permfail");
    assert.equal(server.lines().length, 1);
  });
});

const utf8Cases: {
  because: string;
  offered: boolean;
  sender?: string;
  rcpt?: string;
  orcpt?: string;
  handling: Handling;
  want: string;
}[] = [
  {
    because: "RFC 6531 §3.5: a header beyond ASCII needs SMTPUTF8",
    offered: false,
    handling: { smtpUtf8: true, utf8Header: true },
    want: "5.6.7",
  },
  {
    because: "RFC 6531 §3.5: so does a sender beyond ASCII",
    offered: false,
    sender: "jos\u00e9@y.net",
    handling: { smtpUtf8: true },
    want: "5.6.7",
  },
  {
    because: "RFC 6531 §3.4: what was given with SMTPUTF8 and is all ASCII goes without it",
    offered: false,
    handling: { smtpUtf8: true },
    want: "MAIL FROM:<s@example.org>|RCPT TO:<a@x.net>",
  },
  {
    because: "RFC 6531 §3.4: what was given with SMTPUTF8 goes on with it",
    offered: true,
    handling: { smtpUtf8: true },
    want: "MAIL FROM:<s@example.org> BODY=8BITMIME SMTPUTF8|RCPT TO:<a@x.net>",
  },
  {
    because: "RFC 6533 §3: the original recipient in UTF-8",
    offered: true,
    rcpt: "j\u00f6rg@x.net",
    orcpt: "utf-8;j\u00f6rg@x.net",
    handling: { smtpUtf8: true },
    want: "MAIL FROM:<s@example.org> BODY=8BITMIME SMTPUTF8|RCPT TO:<j\u00f6rg@x.net> ORCPT=utf-8;j\u00f6rg@x.net",
  },
  {
    because: "RFC 6533 §3: and in ASCII to a server that knows no other",
    offered: false,
    orcpt: "utf-8;j\u00f6rg@x.net",
    handling: { smtpUtf8: true },
    want: "MAIL FROM:<s@example.org>|RCPT TO:<a@x.net> ORCPT=utf-8;j\\x{F6}rg@x.net",
  },
];
for (const { because, offered, sender, rcpt = "a@x.net", orcpt = "", handling, want } of utf8Cases) {
  Deno.test(`transaction: ${because}`, () =>
    withClient({ keywords: offered ? ["SMTPUTF8", "8BITMIME", "DSN"] : ["DSN"] }, async (client, server) => {
      await client.hello("me");
      const plain = message([rcpt]);
      const recipients = [{ address: rcpt, orcpt }];
      const result = await client.transaction({ ...plain, sender: sender ?? plain.sender, recipients, handling });
      const [first] = result.recipients;
      const said = new TextDecoder().decode(bytesOf(server.lines().slice(1, 3).join("|")));
      assert.equal(first!.enhanced ?? said, want);
      assert.equal(first!.outcome, want.startsWith("5.") ? "permfail" : "ok");
    }));
}

Deno.test("transaction: REQUIRETLS in clear is refused here with 5.7.30 (RFC 8689 §4.2.1)", () =>
  withClient({ keywords: ["REQUIRETLS"] }, async (client, server) => {
    await client.hello("me");
    const result = await client.transaction({ ...message(["a@x.net"]), handling: { requireTls: true } });
    assert.equal(result.recipients[0]!.enhanced, "5.7.30");
    assert.equal(server.lines().length, 1);
  }));

Deno.test("an address that would end its line is refused and the others go", () =>
  withClient({}, async (client, server) => {
    await client.hello("me");
    const result = await client.transaction(message(["a@x.net>\r\nRCPT TO:<evil@x.net", '"a > b"@x.net', "c d@x.net"]));
    assert.deepEqual(result.recipients.map(({ outcome }) => outcome), ["permfail", "ok", "permfail"]);
    assert.equal(server.lines().filter((line) => line.startsWith("RCPT")).length, 1);
  }));

Deno.test("EHLO refused: HELO when allowed, an error when not", async () => {
  const script: Script = { reply: (line) => line.startsWith("EHLO") ? "502 5.5.1 what" : undefined };
  await withClient(script, async (client, server) => {
    assert.equal((await client.hello("me", { fallback: true })).pipelining, false);
    assert.deepEqual(server.lines(), ["EHLO me", "HELO me"]);
  });
  await withClient(script, async (client) => {
    await assert.rejects(client.hello("me"), { message: "502 5.5.1 what" });
  });
});

Deno.test("a banner that is not 2xx is an error with the server's words", () =>
  withClient({ banner: "554 5.7.1 go away" }, async (client) => {
    await assert.rejects(client.hello("me"), { kind: "refused", message: "554 5.7.1 go away" });
  }));

for (
  const [name, script, want] of [
    ["more replies than commands", { reply: () => "250 a\r\n250 b" }, "Remote host sent too much data"],
    ["half a reply too much", { reply: () => "250 a\r\n250-b" }, "Remote host sent too much data"],
    ["a malformed code", { reply: () => "abc" }, 'Invalid reply code: "abc"'],
    ["a refusal with words behind it", { reply: () => "550 a\r\nabc" }, "550 a"],
    ["an answer with words behind it", { reply: () => "250 a\r\nabc" }, 'Invalid reply code: "abc"'],
    ["silence", { reply: () => "" }, "Connection timeout"],
    ["a hang-up", { reply: () => null }, "Connection closed unexpectedly"],
  ] as const
) {
  Deno.test(`${name} ends the session with an error`, () =>
    withClient(script, async (client) => {
      await assert.rejects(client.hello("me"), { message: want });
      assert.equal(client.usable, false);
      await assert.rejects(client.hello("me"), ClientError);
    }, { timeoutMs: 200 }));
}

Deno.test("a server that leaves while nothing is asked of it is noticed", () =>
  withClient({}, async (client, server) => {
    await client.hello("me");
    const closed = new Promise<ClientError>((resolve) => client.onclosed = resolve);
    await server.close();
    assert.equal((await closed).kind, "closed");
    assert.equal(client.usable, false);
  }));

Deno.test("a refused connection and a missing unix socket are errors of kind connect", async () => {
  const server = await fakeServer();
  await server.close();
  await assert.rejects(
    connectClient({ to: { host: "127.0.0.1", port: server.port }, timeouts: uniformTimeouts(1_000) }),
    {
      kind: "connect",
      message: "Connection refused",
    },
  );
  await assert.rejects(connectClient({ to: { path: "/nonexistent/lmtp" }, timeouts: uniformTimeouts(1_000) }), {
    kind: "connect",
  });
});

Deno.test("refused recipients in a row end the session after maxRefusals, and no more are asked about", () =>
  withClient(
    { keywords: ["PIPELINING"], reply: (line) => line.startsWith("RCPT") ? "550 5.1.1 no" : undefined },
    async (client, server) => {
      await client.hello("me");
      const result = await client.transaction(message(Array.from({ length: 40 }, (_, at) => `u${at}@x.net`)));
      assert.equal(result.exhausted, true);
      assert.equal(server.lines().filter((line) => line.startsWith("RCPT")).length, 25);
      assert.deepEqual(result.recipients.map(({ outcome }) => outcome), [
        ...Array(25).fill("permfail"),
        ...Array(15).fill("tempfail"),
      ]);
    },
    { maxRefusals: 25 },
  ));

Deno.test("a large body streams in chunks with back-pressure and arrives whole", () =>
  withClient({ keywords: ["PIPELINING"] }, async (client, server) => {
    await client.hello("me");
    const line = text(".a line of thirty-two octets abc\n");
    const chunk = new Uint8Array(line.length * 1000);
    for (let at = 0; at < 1000; at++) chunk.set(line, at * line.length);
    let asked = 0;
    const body = {
      bytes: chunk.length * 20,
      chunks: 20,
      chunk: (index: number) => (assert.ok(index <= asked + 1), asked = index, Promise.resolve(chunk)),
    };
    const result = await client.transaction({ sender: "", recipients: [{ address: "a@x.net" }], body });
    assert.equal(result.recipients[0]!.outcome, "ok");
    assert.equal(server.messages()[0], "..a line of thirty-two octets abc\r\n".repeat(20_000));
    assert.equal(server.lines()[1], "MAIL FROM:<>");
  }));

Deno.test("a body that cannot be read to its end closes the connection before the end of data", () =>
  withClient({}, async (client, server) => {
    await client.hello("me");
    const body = {
      bytes: 4,
      chunks: 2,
      chunk: (index: number) => index === 0 ? text("a\n") : Promise.reject(new Error("Queue is gone")),
    };
    const result = await client.transaction({ sender: "", recipients: [{ address: "a@x.net" }], body });
    assert.deepEqual(result.recipients.map((one) => `${one.outcome} ${one.text}`), ["tempfail Queue is gone"]);
    await until(() => server.sessions[0]!.ended, "the server sees the end");
    assert.deepEqual(server.messages(), []);
  }));

for (const [early, outcome] of [["552 5.3.4 too big", "permfail"], ["250 2.0.0 fine", "tempfail"]] as const) {
  Deno.test(`a server that says ${early} in the middle of the data gets no more of it: ${outcome}`, () =>
    withClient({ early }, async (client, server) => {
      await client.hello("me");
      let asked = 0;
      const body = {
        bytes: 100_000_000,
        chunks: 1_000,
        chunk: (
          index: number,
        ) => (asked = index, new Promise<Uint8Array>((resolve) => setTimeout(resolve, 1, text("b\n")))),
      };
      const result = await client.transaction({ sender: "", recipients: [{ address: "a@x.net" }], body });
      assert.equal(result.recipients[0]!.outcome, outcome);
      assert.equal(result.error?.kind, "protocol");
      assert.equal(client.usable, false);
      assert.ok(asked < 999);
      assert.deepEqual(server.messages(), []);
    }));
}
