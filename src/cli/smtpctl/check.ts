/** `smtpctl check`: what the running daemon finds, or without one what can be seen from here; a line per finding, the worst first. */

import type { Config, Environment } from "../../config/mod.ts";
import { systemClock } from "../../clock.ts";
import { Progress } from "../progress.ts";
import { controlSocketPath, credentialsPath, statePath } from "../../config/paths.ts";
import { findConfig, findProgram } from "../../config/search.ts";
import { askControl, NotRunning } from "../../control/mod.ts";
import { about, exitStatus, formatFinding, summaryOf } from "../../findings/mod.ts";
import { safeLine, systemReasonAt } from "../../events/mod.ts";
import { normalName } from "../../net/mod.ts";
import type { Finding, FindingLevel } from "../../protocol/mod.ts";
import { MAX_BLOCKLISTS } from "../../protocol/checkup.ts";
import type { Terminal } from "../terminal.ts";
import { BLOCKLISTS, type CheckOrder } from "./check_options.ts";

/** It could not be checked at all. */
const EX_UNKNOWN = 3;

/** Checks, prints, and returns the exit status: 0 ok, 1 warnings, 2 errors, 3 not checked. */
export async function checkMain(order: CheckOrder, env: Environment, terminal: Terminal): Promise<number> {
  const lists = blocklistsOf(order.blocklists);
  if (typeof lists === "string") return fail(terminal, lists);
  let findings: readonly Finding[] | string;
  // Whoever watches a service by it sees nothing of this.
  using progress = new Progress({
    label: "check",
    unit: "findings",
    clock: systemClock,
    terminal: { err: (text) => isScreen(terminal) && terminal.err(text), screen: () => terminal.screen?.() ?? null },
    summary: "none",
  });
  try {
    const found = () => progress.add();
    findings = order.file === null ? await askDaemon(lists, env, found) : await checkHere(order.file, lists, env);
    progress.end();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return fail(terminal, code === "EACCES" || code === "EPERM" ? "need root privileges" : systemReasonAt(error));
  }
  if (typeof findings === "string") return fail(terminal, findings);
  const sorted = SHOWN.flatMap((level) => (findings as readonly Finding[]).filter((one) => one.level === level));
  const status = exitStatus(sorted);
  if (order.json) {
    const document = {
      exitStatus: status,
      summary: summaryOf(sorted),
      checkedAt: new Date().toISOString(),
      findings: sorted,
    };
    terminal.out(`${JSON.stringify(document, null, 2)}\n`);
  } else for (const one of sorted) terminal.out(`${safeLine(formatFinding(one))}\n`);
  return status;
}

function isScreen(terminal: Terminal): boolean {
  return (terminal.screen?.() ?? null) !== null;
}

/** The worst first. */
const SHOWN: readonly FindingLevel[] = ["error", "warning", "unknown", "info", "ok"];

/** A text says why it cannot be checked. */
async function askDaemon(
  blocklists: readonly string[],
  env: Environment,
  found: () => void,
): Promise<readonly Finding[] | string> {
  const findings: Finding[] = [];
  try {
    for await (const answer of askControl(controlSocketPath(env), { do: "check", blocklists })) {
      if ("finding" in answer) {
        findings.push(answer.finding);
        found();
      } else if ("ok" in answer && !answer.ok) return answer.error;
    }
    return findings;
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    const here = await checkHere(null, blocklists, env);
    if (typeof here === "string") return here;
    const down = about("smtpd", "").error(
      "it does not run: neither the queue nor the rules can be asked, the rest is checked from here",
      "start it",
    );
    return [down, ...here];
  }
}

/** Without a daemon. `named`: what -f says. */
async function checkHere(
  named: string | null,
  blocklists: readonly string[],
  env: Environment,
): Promise<readonly Finding[] | string> {
  const { file } = findConfig(named);
  const { checkWithoutDaemon, FileGuard, interfaceList } = await import("../../daemon/mod.ts");
  const { formatDiagnostic, parseConfig } = await import("../../smtpd_conf/mod.ts");
  const { inspectTableFile, openMachine, readTableBytes } = await import("../../lookup/mod.ts");
  const guard = new FileGuard(Deno.uid() ?? 0);
  const parsed = parseConfig(file, {
    defines: [],
    credentials: credentialsPath(env),
    files: {
      state: statePath(env),
      readText: (path) => (guard.note(path), Deno.readTextFileSync(path)),
      readBytes: (path) => (guard.note(path), readTableBytes(path)),
      inspectTable: (backend, path) => inspectTableFile(backend, path, openMachine()),
      programPath: (name) => findProgram(name, env),
      interfaceList,
    },
  });
  if (!parsed.ok) {
    if (parsed.fatal !== null) return `${parsed.fatal}: nothing can be checked without a configuration`;
    const findings = parsed.diagnostics.map((one) => {
      const [, place = file, text = ""] = /^(.*?:\d+): (.*)$/s.exec(formatDiagnostic(one)) ?? [];
      return about("config", place).error(text, "mend it: smtpd does not start with it");
    });
    return findings;
  }
  const config: Config = parsed.config;
  const { refused, warnings } = guard.faults(config);
  const faults = refused.map((text) => about("permissions", file).error(text));
  return [
    ...faults,
    ...await checkWithoutDaemon(config, env, { blocklists, warnings: [...parsed.warnings, ...warnings] }),
  ];
}

/** A text says which is none. */
function blocklistsOf(given: string | null): readonly string[] | string {
  if (given === null) return [];
  if (given === "") return BLOCKLISTS;
  const lists = given.split(",").map((one) => normalName(one.trim()));
  const wrong = lists.indexOf(null);
  if (wrong >= 0) return `"${given.split(",")[wrong]}" is no name of a blocklist: write names as in zen.spamhaus.org`;
  return lists.length > MAX_BLOCKLISTS ? `more than ${MAX_BLOCKLISTS} blocklists` : lists.map((one) => one!);
}

function fail(terminal: Terminal, text: string): number {
  terminal.err(`smtpctl: ${safeLine(text)}\n`);
  return EX_UNKNOWN;
}
