/** Descriptors that travel between processes: packets of a unix socket (SOCK_SEQPACKET) with a number and SCM_RIGHTS. Structures by hand, as on 64-bit Linux. */

import { EAGAIN, EINTR, FULL_OR_GONE, KernelError, type Libc, libc, type Pinned } from "./libc.ts";

const AF_UNIX = 1, SOL_SOCKET = 1, SCM_RIGHTS = 1;
const SOCKET_TYPES = { stream: 1, packet: 5 } as const, SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000, MSG_CMSG_CLOEXEC = 0x4000_0000, MSG_TRUNC = 0x20, MSG_CTRUNC = 0x08;
const POLLIN = 1, SHUT_RDWR = 2;

export const MAX_DESCRIPTORS = 64;
/** The number, and how many descriptors came with it. */
const PACKET_OCTETS = 12;
/** struct cmsghdr, and how many octets of control data a packet has at most. */
const CMSG_OCTETS = 16, CONTROL_OCTETS = CMSG_OCTETS + MAX_DESCRIPTORS * 4;
/** struct msghdr: where its fields are. */
const MSGHDR_OCTETS = 56, IOV_AT = 16, IOVLEN_AT = 24, CONTROL_AT = 32, CONTROLLEN_AT = 40, FLAGS_AT = 48;
/** So many packets are taken at once; then everything else has its turn. */
const MAX_BURST_PACKETS = 64;

/** What came with one packet. The receiver owns the descriptors; they are closed for programs that it starts. */
export interface HandedDescriptors {
  readonly note: number;
  readonly descriptors: readonly number[];
}

/** Makes two connected unix sockets, kept from the programs that this process starts. Throws a KernelError. */
export function socketPair(kind: "stream" | "packet"): readonly [number, number] {
  const pair = new Uint8Array(8), view = new DataView(pair.buffer);
  libc().must("Cannot make a socket pair", "socketpair", AF_UNIX, SOCKET_TYPES[kind] | SOCK_CLOEXEC, 0, pair);
  return [view.getInt32(0, true), view.getInt32(4, true)];
}

/** Closes a descriptor. One that is not open does no harm. */
export function closeDescriptor(descriptor: number): void {
  libc().call("close", descriptor);
}

/** One struct msghdr with all that it points to. */
interface Message {
  readonly header: Pinned;
  readonly iov: Pinned;
  readonly packet: Pinned;
  readonly control: Pinned;
}

/** Made once: every call uses it up before the next begins. */
let made: Message | null = null;

function message(): Message {
  if (made !== null) return made;
  const [header, iov, packet, control] = [MSGHDR_OCTETS, 16, PACKET_OCTETS, CONTROL_OCTETS].map((octets) =>
    libc().pin(octets)
  ) as [Pinned, Pinned, Pinned, Pinned];
  iov.view.setBigUint64(0, packet.address, true);
  iov.view.setBigUint64(8, BigInt(PACKET_OCTETS), true);
  header.view.setBigUint64(IOV_AT, iov.address, true);
  header.view.setBigUint64(IOVLEN_AT, 1n, true);
  return made = { header, iov, packet, control };
}

/**
 * One end of a pair made by `socketPair("packet")`, which it owns from then on. Made before the process gives up the permission ffi, it goes on
 * working afterwards.
 */
export class DescriptorSocket {
  readonly #libc: Libc = libc();
  readonly #message: Message = message();
  /** struct pollfd, read by another thread while it waits. */
  readonly #waits = new Uint8Array(8);
  #receiving = false;
  #closed = false;

  constructor(readonly descriptor: number) {}

  /**
   * Sends a number and up to MAX_DESCRIPTORS descriptors, which stay the caller's: the kernel duplicates them. Returns false, and has sent nothing,
   * when the other side has no room now or is gone. Throws a KernelError for a descriptor that is not open, a RangeError for what is no such packet.
   */
  send(note: number, descriptors: readonly number[]): boolean {
    if (!Number.isSafeInteger(note)) throw new RangeError(`Not the number of a packet: ${note}`);
    if (descriptors.length > MAX_DESCRIPTORS) {
      throw new RangeError(`Too many descriptors for a packet: ${descriptors.length}`);
    }
    if (this.#closed) return false;
    const { header, packet, control } = this.#message;
    packet.view.setFloat64(0, note, true);
    packet.view.setUint32(8, descriptors.length, true);
    const octets = descriptors.length === 0 ? 0 : CMSG_OCTETS + descriptors.length * 4;
    control.view.setBigUint64(0, BigInt(octets), true);
    control.view.setInt32(8, SOL_SOCKET, true);
    control.view.setInt32(12, SCM_RIGHTS, true);
    for (const [at, descriptor] of descriptors.entries()) control.view.setInt32(CMSG_OCTETS + at * 4, descriptor, true);
    this.#point(octets);
    for (;;) {
      if (this.#libc.symbols.sendmsg(this.descriptor, header.bytes, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return true;
      const { errno } = this.#libc;
      if (FULL_OR_GONE.includes(errno)) return false;
      if (errno !== EINTR) throw new KernelError("sendmsg(2)", errno, "Cannot send descriptors");
    }
  }

  /**
   * Waits for the next packet; null when the other side has ended or this one was closed. One call at a time. Throws, with every descriptor of the
   * packet closed, for one that is none of send(), or that came without its descriptors because this process may open no more.
   */
  async receive(): Promise<HandedDescriptors | null> {
    if (this.#receiving) throw new Error("The descriptor socket is being read already");
    this.#receiving = true;
    try {
      while (!this.#closed) {
        // Without a wait in between, whoever sends without end would keep everything else from running.
        const taken = this.#burst < MAX_BURST_PACKETS ? this.#take() : "nothing";
        if (taken !== "nothing") {
          this.#burst++;
          return taken;
        }
        await this.#readable();
        this.#burst = 0;
      }
      return null;
    } finally {
      this.#receiving = false;
      if (this.#closed) this.#libc.call("close", this.descriptor);
    }
  }
  #burst = 0;

  /**
   * Returns the next packet if one has arrived, else null: for a receiver that knows in another way that it was sent. Not while receive() waits. Throws
   * as receive() does.
   */
  take(): HandedDescriptors | null {
    if (this.#receiving) throw new Error("The descriptor socket is being read already");
    const taken = this.#closed ? null : this.#take();
    return taken === "nothing" ? null : taken;
  }

  /** Ends it for both sides, and a receive() that waits. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // Wakes the thread that waits; the number is free only when nobody waits for it.
    this.#libc.call("shutdown", this.descriptor, SHUT_RDWR);
    if (!this.#receiving) this.#libc.call("close", this.descriptor);
  }

  #point(controlOctets: number): void {
    const { header, control } = this.#message;
    header.view.setBigUint64(CONTROL_AT, controlOctets === 0 ? 0n : control.address, true);
    header.view.setBigUint64(CONTROLLEN_AT, BigInt(controlOctets), true);
    header.view.setInt32(FLAGS_AT, 0, true);
  }

  async #readable(): Promise<void> {
    const asked = new DataView(this.#waits.buffer);
    asked.setInt32(0, this.descriptor, true);
    asked.setInt16(4, POLLIN, true);
    await this.#libc.symbols.poll(this.#waits, 1n, -1);
  }

  #take(): HandedDescriptors | null | "nothing" {
    const { header, packet } = this.#message;
    this.#point(CONTROL_OCTETS);
    const octets = this.#libc.symbols.recvmsg(this.descriptor, header.bytes, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (octets < 0) {
      const { errno } = this.#libc;
      if (errno === EAGAIN || errno === EINTR) return "nothing";
      if (FULL_OR_GONE.includes(errno)) return null;
      throw new KernelError("recvmsg(2)", errno, "Cannot receive descriptors");
    }
    const descriptors = this.#descriptors();
    const cut = header.view.getInt32(FLAGS_AT, true) & (MSG_TRUNC | MSG_CTRUNC);
    const note = packet.view.getFloat64(0, true);
    const whole = octets === PACKET_OCTETS && cut === 0 && Number.isSafeInteger(note) &&
      packet.view.getUint32(8, true) === descriptors.length;
    if (whole) return { note, descriptors };
    for (const descriptor of descriptors) this.#libc.call("close", descriptor);
    // The end of the other side looks like an empty packet.
    if (octets === 0 && cut === 0 && descriptors.length === 0) return null;
    const why = (cut & MSG_CTRUNC) !== 0
      ? "some are missing, this process may open no more"
      : "the packet is not sound";
    throw new Error(`Descriptors were refused: ${why}`);
  }

  /** What is in the control data, whatever it says: it is ours to close. */
  #descriptors(): number[] {
    const { header, control } = this.#message;
    const found: number[] = [];
    const end = Math.min(Number(header.view.getBigUint64(CONTROLLEN_AT, true)), CONTROL_OCTETS);
    for (let at = 0; at + CMSG_OCTETS <= end;) {
      const length = Number(control.view.getBigUint64(at, true));
      if (length < CMSG_OCTETS) break;
      const isRights = control.view.getInt32(at + 8, true) === SOL_SOCKET &&
        control.view.getInt32(at + 12, true) === SCM_RIGHTS;
      for (let fd = at + CMSG_OCTETS; isRights && fd + 4 <= Math.min(at + length, end); fd += 4) {
        found.push(control.view.getInt32(fd, true));
      }
      at += Math.ceil(length / 8) * 8;
    }
    return found;
  }
}
