/** The queue isolate: opens the store, serves the doors, loads the scheduler. */

import type { EmitEvent } from "../events/mod.ts";
import { Caller, type Channel, type DoorPeer, type Isolate, Tally } from "../isolate/mod.ts";
import { prepareHashing } from "../mail_auth/dkim/mod.ts";
import type {
  FromLookup,
  QueueSettings,
  QueueToScheduler,
  QueueToSmtp,
  SchedulerToQueue,
  SmtpToQueue,
  ToLookup,
} from "../protocol/mod.ts";
import { serveAdmin } from "./admin.ts";
import { BackupHold } from "./backup.ts";
import { Discovery } from "./transfer/discover.ts";
import { serveAgent } from "./agents.ts";
import type { InHand } from "./in_hand.ts";
import { serveIncoming } from "./incoming.ts";
import { loadScheduler } from "./loading.ts";
import { ReportCollector } from "./dmarc/collector.ts";
import { ReportSender } from "./dmarc/report_sender.ts";
import { DsnWriter } from "./dsn/dsn_writer.ts";
import { NoticeSigner } from "./notice_signer.ts";
import { Notices } from "./notices.ts";
import { SignerClient } from "../signer_client/mod.ts";
import { recordExpired } from "./outcomes.ts";
import { Records } from "./store/records.ts";
import { finishRepair, isSuspect, keepTornLog, repair, type Repaired } from "./repair/repair.ts";
import { Store } from "./store/store.ts";
import { databaseFault } from "./store/disk_errors.ts";
import { QueueState } from "./queue_state.ts";
import { type Clock, systemClock } from "../clock.ts";

/** How often the free room on the disk is looked at. */
const MEASURE_MS = 1000;

/**
 * Runs the queue isolate. `end` ends the isolate for an error, so that another takes its place. Returns a
 * promise when the database has to be repaired first.
 */
export function serveQueue(
  isolate: Isolate<"queue">,
  clock: Clock = systemClock,
  end: (error: unknown) => void = endWith,
): void | Promise<void> {
  const { settings } = isolate;
  const kept = finishRepair(settings.spool);
  if (kept !== null) {
    const text = `queue: the repair of the database, which was interrupted, is ended; the old file is kept as ${kept}`;
    isolate.emit({ type: "log", level: "crit", text });
  }
  const log = keepTornLog(settings.spool, clock.now());
  if (log !== null) {
    const text =
      `queue: the log of the database is torn, acknowledged mail behind the gap may be lost; it is kept as ${log}`;
    isolate.emit({ type: "log", level: "crit", text });
  }
  const store = isSuspect(settings.spool) ? null : openStore(settings);
  if (store !== null) return serve(isolate, store, clock, end);
  return repair(settings.spool, clock.now(), repairReporter(isolate, clock)).then((repaired) => {
    logRepaired(isolate.emit, repaired);
    serve(isolate, new Store(settings.spool, recordsOf(settings)), clock, end);
  });
}

/** A repair that takes longer says so. */
const REPAIR_REPORT_MS = 10_000;

/** Writes a line about how far the repair is, every ten seconds. */
function repairReporter({ emit }: Pick<Isolate<"queue">, "emit">, clock: Clock): (rows: number) => void {
  const begunAt = clock.steady();
  let reportedAt = begunAt;
  return (rows) => {
    const now = clock.steady();
    if (now - reportedAt < REPAIR_REPORT_MS) return;
    reportedAt = now;
    const perSecond = Math.round(rows * 1000 / (now - begunAt));
    emit({ type: "log", level: "info", text: `info: queue: repair: ${rows} rows are copied, ${perSecond}/s` });
  };
}

function endWith(error: unknown): void {
  systemClock.after(0, () => {
    throw error;
  });
}

function recordsOf({ compression, recordKeys: keys }: QueueSettings): Records {
  return new Records({ compression, keys });
}

/** Null when the database is damaged. */
function openStore(settings: QueueSettings): Store | null {
  let store: Store | null = null;
  try {
    store = new Store(settings.spool, recordsOf(settings));
    store.touch();
    return store;
  } catch (error) {
    store?.close();
    if (databaseFault(error) !== "corrupt") throw error;
    return null;
  }
}

function logRepaired(emit: EmitEvent, { kept, rows, gaps, damaged }: Repaired): void {
  const { envelopes = 0, messages = 0 } = rows;
  const lost = Object.values(gaps).reduce((sum, count) => sum + count, 0);
  const text =
    `queue: the database was damaged: ${messages} messages and ${envelopes} envelopes could be read, with ${lost} gaps; ` +
    `${damaged} messages are set aside, see "smtpctl show damaged"; the old file is kept as ${kept}`;
  emit({ type: "log", level: "crit", text });
}

/** Serves the doors of the queue until the isolate stops. The store is sound and open, and is closed at the end. */
function serve(isolate: Isolate<"queue">, store: Store, clock: Clock, end: (error: unknown) => void): void {
  const scheduler = isolate.ask("queue-scheduler");
  const tally = new Tally(isolate.emit, clock);
  const queue = new QueueState({ store, settings: isolate.settings, scheduler, observer: isolate, tally, clock });
  queue.onmalformed = end;
  const discovery = new Discovery(queue);

  discovery.recover();
  store.shrink();
  queue.eraseOrphans();
  if (isolate.settings.signing !== undefined) prepareHashing();
  const signer = new NoticeSigner({
    keys: () => isolate.settings.signing ?? [],
    client: new SignerClient(isolate.ask("queue-signer"), clock),
    now: clock.now,
    emit: isolate.emit,
  });
  const lookup = new Caller(isolate.ask("queue-lookup"));
  const notices = new Notices(queue, { lookup, signer });
  const loading = serveScheduler(queue, scheduler, new DsnWriter(queue, notices));
  let stopReports = serveReports(queue, lookup, notices);
  discovery.all().catch((error) => queue.warn(`queue: the folder "import" of the spool cannot be read: ${error}`));
  const doors: Door[] = [scheduler];
  const clients = new Set<SmtpClient>();
  const backup = new BackupHold(store.fileHold, { spool: isolate.settings.spool, clock });
  serveDoors(isolate, queue, { discovery, backup, doors, clients });
  const stopMeasuring = measureRoom(queue, { clients, backup }, clock);
  isolate.onreload = () => {
    const before = queue.settings, { settings } = isolate;
    queue.configure(settings);
    if (settings.signing !== undefined) prepareHashing();
    if (!isSame(before.dmarcReports, settings.dmarcReports)) {
      stopReports();
      stopReports = serveReports(queue, lookup, notices);
    }
    const times = ({ ttlSeconds, actionTtlSeconds }: QueueSettings) => [ttlSeconds, actionTtlSeconds];
    if (!isSame(times(before), times(settings))) loading.again();
  };
  isolate.onstop = () => {
    loading.stop();
    stopReports();
    stopMeasuring();
    // What comes now finds the store closed: nothing is promised any more.
    for (const door of doors) door.onmessage = () => {};
    queue.commits.close();
    tally.flush();
    store.close();
  };
}

/** Both are plain data of the same shape. */
function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/**
 * Sends the scheduler all that is queued, again whenever it was replaced, and does what it asks for. Returns what ends the loading, and what begins it
 * anew when there are other actions, or other times to live.
 */
function serveScheduler(
  queue: QueueState,
  scheduler: Channel<QueueToScheduler, SchedulerToQueue>,
  dsnWriter: DsnWriter,
): { stop(): void; again(): void } {
  let stopLoading = () => {};
  const load = (how = { again: false }) => {
    stopLoading();
    stopLoading = loadScheduler(queue, how);
  };
  scheduler.onmessage = (message) => {
    switch (message.type) {
      case "expired":
        for (const id of message.ids) recordExpired(queue, id);
        return;
      case "dsn":
        // It answers through the scheduler's door.
        dsnWriter.write(message.ids).catch((error) => {
          const text = `queue: cannot write the notice for ${message.message}: ${error}`;
          queue.emit({ type: "log", level: "crit", text });
        });
        return;
    }
  };
  // A new scheduler is empty.
  scheduler.onreset = () => load();
  load();
  return { stop: () => stopLoading(), again: () => load({ again: true }) };
}

/** Counts results of DMARC and sends reports, where they are configured. Returns what ends that. */
function serveReports(queue: QueueState, lookup: Caller<ToLookup, FromLookup>, notices: Notices): () => void {
  const { dmarcReports } = queue.settings;
  queue.results = null;
  if (dmarcReports === undefined) return () => {};
  const rows = queue.store.openReportRows();
  queue.results = new ReportCollector(rows, queue.commits, queue.clock);
  return new ReportSender(queue, { rows, lookup, notices }, dmarcReports).start();
}

type SmtpClient = Channel<QueueToSmtp, SmtpToQueue>;
interface Door {
  onmessage: (message: never) => void;
}

/** Serves the isolates that bring mail, deliver it, and administer it. Their channels are added to `doors`, those of smtp isolates to `clients`. */
function serveDoors(
  isolate: Isolate<"queue">,
  queue: QueueState,
  { discovery, backup, doors, clients }: {
    readonly discovery: Discovery;
    readonly backup: BackupHold;
    readonly doors: Door[];
    readonly clients: Set<SmtpClient>;
  },
): void {
  const served = <C extends Door>(serve: (channel: C, from: DoorPeer) => void) => (channel: C, from: DoorPeer) => {
    doors.push(channel);
    serve(channel, from);
    const { onmessage } = channel;
    channel.onmessage = (message) => queue.guard(() => onmessage(message));
  };
  isolate.serve(
    "smtp-queue",
    served((channel: SmtpClient, { peer, life, refuse }) => {
      clients.add(channel);
      serveIncoming(queue, channel, { isolate: peer, life, refuse });
      const { onreset } = channel;
      channel.onreset = () => {
        clients.delete(channel);
        onreset();
      };
    }),
  );
  const ofRelay = new Set<InHand>(), local = new Set<InHand>();
  isolate.serve(
    "relay-queue",
    served((channel, { refuse }) => serveAgent(queue, "mta", channel, { refuse, hands: ofRelay })),
  );
  isolate.serve(
    "delivery-queue",
    served((channel, { refuse }) => serveAgent(queue, "mda", channel, { refuse, hands: local })),
  );
  isolate.serve(
    "privileged-queue",
    served((channel, { refuse }) => serveAgent(queue, "mda", channel, { refuse, hands: local })),
  );
  isolate.serve("control-queue", served((channel) => serveAdmin(queue, { discovery, backup }, channel)));
}

/** Measures how full the disk is, and sends it to the smtp isolates. Returns what ends that. */
function measureRoom(
  queue: QueueState,
  { clients, backup }: { readonly clients: ReadonlySet<SmtpClient>; readonly backup: BackupHold },
  clock: Clock,
): () => void {
  const { space } = queue;
  let full = false;
  space.onchange = (bytes) => {
    for (const client of clients) client.send({ type: "room", bytes });
    if (full === (bytes === 0)) return;
    full = bytes === 0;
    queue.emit({
      type: "log",
      level: full ? "crit" : "info",
      text: full
        ? "queue: the disk of the spool is full, mail is refused with 452 until there is room"
        : "queue: there is room on the disk of the spool again, mail is accepted",
    });
  };
  queue.measure();
  return clock.every(MEASURE_MS, () => {
    backup.look();
    queue.measure();
  });
}
