/** Connections as hostile clients use them: many, blunt, without rules. */

export interface Line {
  /** First word of the last reply that was read, "nothing" for none. */
  last: string;
  write(bytes: Uint8Array): Promise<void>;
  /** The next reply, which is expected to fit one read. */
  reply(): Promise<string>;
  /** Reads and forgets until the server closes. */
  drain(): Promise<void>;
  closeWrite(): Promise<void>;
  close(): void;
}

const decoder = new TextDecoder();
/** What is read by those who forget it. */
const waste = new Uint8Array(64 * 1024);

/** Connects; the banner is not read. */
export async function connect(port: number): Promise<Line> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  connection.setNoDelay(true);
  const line: Line = {
    last: "nothing",
    async write(bytes) {
      for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    },
    async reply() {
      const bytes = new Uint8Array(2048);
      const size = await connection.read(bytes);
      if (size === null) throw new Error("Closed");
      const text = decoder.decode(bytes.subarray(0, size));
      line.last = text.slice(0, 3);
      return text;
    },
    async drain() {
      for (;;) {
        const size = await connection.read(waste);
        if (size === null) return;
        // The code stands at the start of the last line.
        const start = waste.lastIndexOf(0x0a, size - 2) + 1;
        if (size - start > 3) line.last = decoder.decode(waste.subarray(start, start + 3));
      }
    },
    closeWrite: () => connection.closeWrite(),
    close: () => connection.close(),
  };
  return line;
}

export function shut(line: Line): void {
  try {
    line.close();
  } catch {
    // Closed already.
  }
}

/** Waits `ms`, or until the attack is over. */
export function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = ms === Infinity ? undefined : setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}

/** Opens `count` lines, `atOnce` at a time, reads their banners and does `each` with them. */
export async function openMany(port: number, count: number, each: (line: Line) => Promise<void>, atOnce = count) {
  const lines: Line[] = [];
  const codes = new Map<string, number>();
  let slowestMs = 0;
  let failed = 0;
  const one = async () => {
    const started = performance.now();
    try {
      const line = await connect(port);
      lines.push(line);
      const code = (await line.reply()).slice(0, 3);
      slowestMs = Math.max(slowestMs, performance.now() - started);
      codes.set(code, (codes.get(code) ?? 0) + 1);
      if (code === "220") await each(line);
    } catch {
      failed++;
    }
  };
  let begun = 0;
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (begun++ < count) await one();
  }));
  return { lines, codes, slowestMs, failed };
}

/** `count` TLS 1.2 clients of openssl's that ask for a new handshake twenty times a second; one that was thrown out comes back. */
export async function startTls(count: number, port: number, signal: AbortSignal, ready: () => void): Promise<string> {
  let sessions = 0, asked = 0;
  const client = async () => {
    while (!signal.aborted) {
      const child = new Deno.Command("openssl", {
        args: ["s_client", "-tls1_2", "-starttls", "smtp", "-connect", `127.0.0.1:${port}`],
        stdin: "piped",
        stdout: "null",
        stderr: "null",
      }).spawn();
      if (++sessions === count) ready();
      const writer = child.stdin.getWriter();
      let ended = false;
      const end = child.status.then(() => ended = true);
      while (!signal.aborted && !ended) {
        await writer.write(new TextEncoder().encode("R\n")).then(() => asked++, () => ended = true);
        await rest(50, signal);
      }
      await writer.close().catch(() => {});
      if (!ended) child.kill("SIGTERM");
      await end;
      await rest(500, signal);
    }
  };
  await Promise.all(Array.from({ length: count }, client));
  return `${sessions} sessions, ${asked} times asked for`;
}
