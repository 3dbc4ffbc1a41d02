/**
 * Acting as a user without a process of one's own. On Linux setfsuid(2) and setfsgid(2) change what the kernel checks file calls of the
 * calling thread against, and every isolate has a thread of its own. Only *synchronous* file calls are covered: the asynchronous ones
 * run on a shared pool. Descriptors that were opened meanwhile stay open as for any process.
 */

/** The part of an account that the kernel uses. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

/** Runs `work` as another user. `work` must not be asynchronous: what comes after its first await runs as the daemon again. */
export type ActAs = <T>(who: Identity, work: () => T) => T;

/** Acts as the daemon's own user: without root there is no other. */
export const actAsSelf: ActAs = (_who, work) => work();

/** System call numbers of setgroups(2). The function in libc changes all threads of the process; the raw call changes ours. */
const SETGROUPS: Readonly<Record<string, number>> = { x86_64: 116, aarch64: 159 };

/** Returns the C library's path, for dlopen(3) and for the permission that it needs. */
export function libcPath(): string {
  return `/lib/${Deno.build.arch}-linux-gnu/libc.so.6`;
}

/**
 * Returns an ActAs for an isolate of its own, of a daemon that runs as root: loads the calls and gives the permission up permanently. What runs here can change
 * between users, and can have nothing else of the C library.
 */
export function actAsRootConfined(): ActAs {
  try {
    return loadActAs();
  } catch (error) {
    return () => {
      throw error;
    };
  } finally {
    Deno.permissions.revokeSync({ name: "ffi" });
  }
}

/** Returns an ActAs for a daemon that runs as root. FFI is loaded when it is first used. */
export function actAsRoot(): ActAs {
  let loaded: ActAs | null = null;
  return (who, work) => (loaded ??= loadActAs())(who, work);
}

/** Throws on systems that have no such call. */
function loadActAs(): ActAs {
  const setgroups = SETGROUPS[Deno.build.arch];
  if (Deno.build.os !== "linux" || setgroups === undefined) throw new Error("Acting as a user is known for Linux only");
  const libc = Deno.dlopen(libcPath(), {
    setfsuid: { parameters: ["u32"], result: "i32" },
    setfsgid: { parameters: ["u32"], result: "i32" },
    syscall: { parameters: ["i64", "i64", "buffer"], result: "i64" },
  }).symbols;
  const groups = new Uint32Array(1);
  /** The only group of this thread; null while it has the daemon's. */
  let group: number | null = null;
  // Nothing that could be replaced later decides which call this is.
  const setgroupsNumber = BigInt(setgroups), one = 1n;
  const setGroup = () => {
    if (libc.syscall(setgroupsNumber, one, groups) !== 0n) throw new Error("Cannot set supplementary groups");
  };
  /** Both calls return the id before the call, whether or not they worked: a second call shows it. */
  const setIds = ({ uid, gid }: Identity) => {
    libc.setfsgid(gid);
    libc.setfsuid(uid);
    if ((libc.setfsgid(0xffff_ffff) >>> 0) !== gid || (libc.setfsuid(0xffff_ffff) >>> 0) !== uid) {
      throw new Error(`Cannot act as uid ${uid}, gid ${gid}`);
    }
  };
  const self: Identity = { uid: libc.setfsuid(0xffff_ffff) >>> 0, gid: libc.setfsgid(0xffff_ffff) >>> 0 };
  return (who, work) => {
    try {
      // The group of the last one stays: root needs none of its own, and next time it is often the same.
      if (group !== who.gid) {
        groups[0] = who.gid;
        setGroup();
        group = who.gid;
      }
      setIds(who);
      return work();
    } finally {
      try {
        setIds(self);
      } catch (error) {
        dieOf(error);
      }
    }
  };
}

/** Ends the isolate: it must not go on with a wrong identity. */
function dieOf(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
