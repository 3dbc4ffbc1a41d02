/** What a session that says nothing costs in memory: Vaultpost, and Postfix and OpenSMTPD where they run. */

import { join } from "node:path";
import { memoryBytes } from "../processes.ts";
import { startOpenSmtpd } from "../opensmtpd.ts";
import { startPostfix } from "../postfix.ts";
import { CannotRun, type Place, type Server } from "../server.ts";
import { freePort } from "../../ports.ts";
import { startVaultpost } from "../vaultpost.ts";
import { openMany, shut } from "./line.ts";

/** Kilobytes that an idle session of ours may cost. */
const BOUND_KB = 15;

/** Postfix serves 100 clients at a time unless set otherwise: a process each. OpenSMTPD's descriptors end before 1,000. */
const SERVERS: readonly { start(place: Place): Promise<Server>; sessions: number }[] = [
  { start: startVaultpost, sessions: 4000 },
  { start: startPostfix, sessions: 80 },
  { start: startOpenSmtpd, sessions: 300 },
];

/** OpenSMTPD listens with a backlog of 5. */
const AT_ONCE = 4;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Kilobytes a session, after as many were opened and closed once: what is loaded or grown once is not a session's. */
async function costOf(server: Server, sessions: number): Promise<{ kilobytes: number; sessions: number }> {
  const greet = async (line: { write(bytes: Uint8Array): Promise<void>; reply(): Promise<string> }) => {
    await line.write(new TextEncoder().encode("EHLO idle.example\r\n"));
    await line.reply();
  };
  const warm = await openMany(server.port, Math.ceil(sessions / 10), greet, 1);
  for (const line of warm.lines) shut(line);
  await pause(2000);
  const before = memoryBytes(server.pid);
  const { lines, codes } = await openMany(server.port, sessions, greet, AT_ONCE);
  await pause(2000);
  const after = memoryBytes(server.pid);
  for (const line of lines) shut(line);
  const served = codes.get("220") ?? 0;
  return { kilobytes: (after - before) / 1024 / served, sessions: served };
}

/** A table of all servers that run here. */
export async function idleCosts(folder: string): Promise<string> {
  const rows = ["| idle sessions | number | KB each |", "| --- | --- | --- |"];
  for (const [index, { start, sessions }] of SERVERS.entries()) {
    const place = {
      folder: join(folder, `idle${index}`),
      port: freePort(),
      sinkPort: 1,
      tools: Deno.env.get("VAULTPOST_TOOLS") ?? "",
    };
    await Deno.mkdir(place.folder, { mode: 0o755 });
    try {
      const server = await start(place);
      console.error(`idle sessions: ${server.name}`);
      try {
        const cost = await costOf(server, sessions);
        const bound = server.name === "Vaultpost" ? ` (bound ${BOUND_KB})` : "";
        rows.push(`| ${server.name} | ${cost.sessions} | ${cost.kilobytes.toFixed(1)}${bound} |`);
      } finally {
        await server.stop();
      }
    } catch (error) {
      if (!(error instanceof CannotRun)) throw error;
      console.error(`One server takes no part: ${error.message}`);
    }
  }
  return rows.join("\n");
}
