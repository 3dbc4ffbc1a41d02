/** CPU time and memory of a process and all its descendants, from /proc. Linux only; knows nothing of mail. */

interface Stat {
  readonly parent: number;
  /** Own time and that of children that have ended, in clock ticks. */
  readonly ticks: number;
}

const TICKS_PER_SECOND = 100;

function readStat(pid: number): Stat | null {
  try {
    const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // Fields after the name, which may hold spaces: state, ppid, …; utime, stime, cutime and cstime are fields 14 to 17.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
    return { parent: Number(fields[1]), ticks };
  } catch {
    return null; // It ended in between.
  }
}

function tree(root: number): Map<number, Stat> {
  const all = new Map<number, Stat>();
  for (const entry of Deno.readDirSync("/proc")) {
    const stat = /^\d+$/.test(entry.name) ? readStat(Number(entry.name)) : null;
    if (stat !== null) all.set(Number(entry.name), stat);
  }
  const family = new Map<number, Stat>();
  const add = (pid: number) => {
    const stat = all.get(pid);
    if (stat === undefined || family.has(pid)) return;
    family.set(pid, stat);
    for (const [child, { parent }] of all) if (parent === pid) add(child);
  };
  add(root);
  return family;
}

/** CPU seconds that the tree has used so far; what ended children used is counted by whoever waited for them. */
export function cpuSeconds(root: number): number {
  let ticks = 0;
  for (const stat of tree(root).values()) ticks += stat.ticks;
  return ticks / TICKS_PER_SECOND;
}

/** Memory of the tree now, shared pages counted once (PSS), in bytes. */
export function memoryBytes(root: number): number {
  let kilobytes = 0;
  for (const pid of tree(root).keys()) {
    try {
      const match = /^Pss:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`));
      kilobytes += Number(match?.[1] ?? 0);
    } catch {
      // It ended in between.
    }
  }
  return kilobytes * 1024;
}

/** Samples the memory of a tree until stopped; `stop` answers the peak in bytes. */
export function watchMemory(root: number): { stop(): number } {
  let peak = memoryBytes(root);
  const timer = setInterval(() => peak = Math.max(peak, memoryBytes(root)), 250);
  return {
    stop() {
      clearInterval(timer);
      return Math.max(peak, memoryBytes(root));
    },
  };
}
