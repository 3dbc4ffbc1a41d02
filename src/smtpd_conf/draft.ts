/** The configuration while it is being read: what is declared so far, and what is checked only at the end. */

import type { Named } from "./cursor.ts";
import type {
  AcmeOrder,
  Action,
  AdminListener,
  Config,
  DkimLine,
  FilterProcess,
  FilterStep,
  ListenSpec,
  LogSink,
  Rule,
  SourceLine,
  StaticTable,
  TableFile,
  TableProgram,
} from "../config/mod.ts";
import { acmePairFile } from "../config/acme.ts";
import { BUILTIN_TABLES, DEFAULTS } from "../config/defaults.ts";
import { SET_PLACES } from "../config/source_line.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/**
 * `dynamic` stands for tables whose back-end reports its type only at run time: they pass every type check. `accounts` are the system's: good
 * for a userbase and for nothing else.
 */
export interface DeclaredTable {
  readonly kind: "list" | "map" | "dynamic" | "accounts";
  /** Null for tables that are not written in smtpd.conf. */
  readonly table: StaticTable | null;
}

export interface PkiDraft {
  readonly at: SourceLine;
  cert: string | null;
  key: string | null;
  acme: AcmeOrder | null;
}

export interface FilterDraft {
  readonly chain: boolean;
  /** What it consists of: one step, or those of a chain. */
  readonly steps: readonly FilterStep[];
}

export interface Draft {
  readonly tables: Map<string, DeclaredTable>;
  readonly tableFiles: Map<string, TableFile>;
  readonly programs: Map<string, TableProgram>;
  readonly actions: Map<string, Action>;
  readonly rules: Rule[];
  readonly listen: ListenSpec[];
  readonly pki: Map<string, PkiDraft>;
  readonly ca: Map<string, string>;
  readonly dkim: DkimLine[];
  /** Lines of the actions that sign: whether there are keys is known at the end. */
  readonly signing: SourceLine[];
  /** Relay actions may name a pki or ca that comes later: checked at the end, at these lines. */
  readonly relayNames: { readonly at: SourceLine; readonly kind: "pki" | "ca"; readonly name: string }[];
  readonly processes: Map<string, FilterProcess>;
  /** Commands by name. */
  readonly wrappers: Map<string, string>;
  readonly filters: Map<string, FilterDraft>;
  admd: string | null;
  readonly srs: {
    key: string | null;
    backupKey: string | null;
    ttlDays: number;
    /** Where `backup` or `ttl` was written, which mean nothing without a key. */
    extra: SourceLine | null;
  };
  readonly smtp: Mutable<Config["smtp"]>;
  readonly queue: Mutable<Config["queue"]>;
  readonly bounce: { warnIntervalsSeconds: readonly number[] };
  readonly mda: Mutable<Config["mda"]>;
  readonly mta: { maxDeferred: number; limits: Config["mta"]["limits"] };
  readonly domainLimits: Map<string, Config["mta"]["limits"]>;
  readonly scheduler: Mutable<Config["scheduler"]>;
  readonly admin: AdminListener[];
  dmarcReports: Config["dmarcReports"];
  history: Config["history"];
  readonly log: LogSink[];
  /** Where things that have names were declared first, by `declaredKey`. */
  readonly declared: Map<string, SourceLine>;
  /** What of it was named by something that is used, by the same keys. */
  readonly used: Set<string>;
  readonly warnings: string[];
  /** Counts the tables that have no name of their own. */
  anonymousTables: number;
}

/** Remembers where a thing was declared, for messages. */
export function declare(draft: Draft, name: Named, at: SourceLine): void {
  const key = declaredKey(name);
  if (!draft.declared.has(key)) draft.declared.set(key, at);
}

/** Remembers that something names a thing. */
export function use(draft: Draft, name: Named): void {
  draft.used.add(declaredKey(name));
}

/** What the keys of the admin lines in `declared` begin with. */
const ADMIN_PLACE = "admin listen";

/** The key of the line of reports of DMARC in `declared`. */
export const DMARC_REPORTS_PLACE = "dmarc reports";

/** The same for the line of the history. */
export const HISTORY_PLACE = "history";

/** Tells whether a key of `declared` is of something that needs no other line to name it. */
export function needsNoName(key: string): boolean {
  const places: readonly string[] = [DMARC_REPORTS_PLACE, HISTORY_PLACE, ...Object.values(SET_PLACES)];
  return places.includes(key) || key.startsWith(SET_PLACES.mtaLimitFor) || key.startsWith(`${ADMIN_PLACE} `);
}

/** The key of a declaration in `declared`. */
export function declaredKey({ kind, name }: Named): string {
  return `${kind} ${name}`;
}

/** Bounces come within days. */
const SRS_TTL_DAYS = 4;

/** A draft of an empty file: the defaults and the built-in tables. */
export function emptyDraft(): Draft {
  const { localNames, localHost, anyHost, anyDestination, accounts } = BUILTIN_TABLES;
  const tables = new Map<string, DeclaredTable>();
  for (const name of [localNames, localHost, anyHost, anyDestination]) tables.set(name, { kind: "list", table: null });
  tables.set(accounts, { kind: "accounts", table: null });
  return {
    tables,
    tableFiles: new Map(),
    programs: new Map(),
    actions: new Map(),
    rules: [],
    listen: [],
    pki: new Map(),
    ca: new Map(),
    dkim: [],
    signing: [],
    relayNames: [],
    processes: new Map(),
    wrappers: new Map(),
    filters: new Map(),
    admd: null,
    srs: { key: null, backupKey: null, ttlDays: SRS_TTL_DAYS, extra: null },
    smtp: { ...DEFAULTS.smtp },
    queue: { ...DEFAULTS.queue },
    bounce: { ...DEFAULTS.bounce },
    mda: { ...DEFAULTS.mda },
    mta: { maxDeferred: DEFAULTS.mta.maxDeferred, limits: DEFAULTS.mta.limits },
    domainLimits: new Map(),
    scheduler: { ...DEFAULTS.scheduler },
    admin: [],
    dmarcReports: null,
    history: null,
    log: [],
    declared: new Map(),
    used: new Set(),
    warnings: [],
    anonymousTables: 0,
  };
}

/** The finished configuration; when something was wrong, what there is of it. `state`: the folder of certificates that are obtained. */
export function finishDraft(file: string, draft: Draft, state: string): Config {
  const tables: Record<string, StaticTable> = {};
  const tableFiles: Record<string, TableFile> = {};
  const programs: Record<string, TableProgram> = {};
  const processes: Record<string, FilterProcess> = {};
  const filters: Record<string, readonly FilterStep[]> = {};
  const pki: Record<string, Config["pki"][string]> = {};
  for (const [name, process] of draft.processes) setOwn(processes, name, process);
  for (const [name, { steps }] of draft.filters) setOwn(filters, name, steps);
  for (const [name, { table }] of draft.tables) if (table !== null) setOwn(tables, name, table);
  for (const [name, file] of draft.tableFiles) setOwn(tableFiles, name, file);
  for (const [name, program] of draft.programs) setOwn(programs, name, program);
  for (const [name, { cert, key, acme }] of draft.pki) {
    if (acme !== null) {
      const path = acmePairFile(state, { name, directory: acme.directory });
      setOwn(pki, name, { name, certFile: path, keyFile: path, acme });
    } // Paths of lines that are wrong are empty.
    else if (cert && key) setOwn(pki, name, { name, certFile: cert, keyFile: key, acme });
  }
  return {
    file,
    listen: draft.listen,
    tables,
    tableFiles,
    programs,
    processes,
    filters,
    admd: draft.admd,
    actions: Object.fromEntries(draft.actions),
    rules: draft.rules,
    pki,
    ca: Object.fromEntries([...draft.ca].filter(([, path]) => path !== "")),
    dkim: draft.dkim,
    smtp: draft.smtp,
    queue: draft.queue,
    srs: finishSrs(draft.srs),
    bounce: draft.bounce,
    mda: draft.mda,
    mta: { ...draft.mta, domainLimits: Object.fromEntries(draft.domainLimits) },
    scheduler: draft.scheduler,
    admin: draft.admin,
    dmarcReports: draft.dmarcReports,
    history: draft.history,
    log: draft.log,
    declared: Object.fromEntries(draft.declared),
  };
}

/** An own property whatever the name is, `__proto__` included. */
function setOwn<T>(record: Record<string, T>, name: string, value: T): void {
  Object.defineProperty(record, name, { value, enumerable: true, writable: true, configurable: true });
}

function finishSrs({ key, backupKey, ttlDays }: Draft["srs"]): Config["srs"] {
  return key === null ? null : { key, backupKey, ttlDays };
}
