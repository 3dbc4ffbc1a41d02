/** The doors of one isolate: opens, hands over and closes them as main says. Independent of the messages that pass through them. */

import type { Observer } from "../events/mod.ts";
import type { DoorName, PeerLife, Role, ToIsolate, ToSupervisor } from "../protocol/mod.ts";
import { checksOf, type OwnSide, sidesOf } from "../protocol/door.ts";
import { DoorChannel, type Inspection } from "./channel.ts";
import { PortTransport } from "./message_port.ts";
import { SocketTransport } from "./socket_transport.ts";
import type { Transport } from "./transport.ts";
import { watchDoor } from "./watch.ts";

type AnyChannel = DoorChannel<unknown, unknown>;
type Welcome = (channel: AnyChannel, from: DoorPeer) => void;
/** Who has come to a door. */
export interface DoorPeer extends PeerLife {
  /** Has it replaced, see DoorChannel.refuse. */
  refuse(fault: string): void;
}
type OpenDoor = Extract<ToIsolate, { type: "door" }>;

/** The isolate that the doors belong to, and where their faults go. */
export interface DoorOwner {
  readonly role: Role;
  /** Its sides of the doors that it has, by name. */
  readonly doors: Readonly<Partial<Record<DoorName, OwnSide<never>>>>;
  /** Called when the other side of a door has sent what it may not: main replaces who it was. */
  readonly refused: (what: Extract<ToSupervisor, { type: "refused" }>) => void;
  /** Carries the door to main. */
  readonly main: Transport;
}

/** The asking side of a door, and which life of the other side stands there. */
interface Asking {
  readonly name: DoorName;
  readonly peer: number;
  readonly channel: AnyChannel;
  life: number;
}

export class IsolateDoors {
  readonly #owner: DoorOwner;
  /** By name and peer. */
  readonly #asking = new Map<string, Asking>();
  readonly #serving = new Map<DoorName, Welcome>();
  /** Doors that were opened before their answering side was ready to serve. */
  readonly #early = new Map<DoorName, OpenDoor[]>();
  /** Doors to peers that came before this side asks at them: what they say first must not be lost. */
  readonly #unasked = new Map<string, OpenDoor>();
  /** By name, then by index of the peer. */
  readonly #welcomed = new Map<DoorName, Map<number, AnyChannel>>();
  #observer: { readonly index: number; readonly observer: Observer } | null = null;

  constructor(owner: DoorOwner) {
    this.#owner = owner;
  }

  /** Returns the asking side of a door; the same at each call. `peer`: which of the isolates on the other side, where there are several. */
  ask(name: DoorName, peer = 0): AnyChannel {
    const key = keyOf(name, peer);
    const known = this.#asking.get(key);
    if (known !== undefined) return known.channel;
    const asking: Asking = {
      name,
      peer,
      life: 0,
      channel: new DoorChannel(this.#inspect(name, peer, () => asking.life)),
    };
    this.#asking.set(key, asking);
    this.#watch(asking.channel, name, peer);
    if (sidesOf(name).answerer === "main") asking.channel.attach(this.#owner.main);
    const unasked = this.#unasked.get(key);
    if (unasked === undefined) return asking.channel;
    this.#unasked.delete(key);
    asking.life = unasked.life;
    // Whoever asks for the channel listens to it first.
    queueMicrotask(() => asking.channel.attach(transportOf(unasked)));
    return asking.channel;
  }

  /** Calls `welcome` for each peer that comes to the door, and for those that have come already. */
  serve(name: DoorName, welcome: Welcome): void {
    this.#serving.set(name, welcome);
    for (const door of this.#early.get(name) ?? []) this.#welcome(door, welcome);
    this.#early.delete(name);
  }

  /** Main has joined this isolate with another. */
  open(door: OpenDoor): void {
    const { name, life, peer } = door;
    if (sidesOf(name).asker === this.#owner.role) {
      const key = keyOf(name, peer);
      if (peer > 0 && !this.#asking.has(key)) {
        const before = this.#unasked.get(key);
        if (before !== undefined) transportOf(before).close();
        return void this.#unasked.set(key, door);
      }
      const channel = this.ask(name, peer);
      this.#asking.get(key)!.life = life;
      return channel.attach(transportOf(door));
    }
    const welcome = this.#serving.get(name);
    if (welcome !== undefined) return this.#welcome(door, welcome);
    this.#early.set(name, [...this.#early.get(name) ?? [], door]);
  }

  /** The isolate on the other side has ended. */
  close({ name, peer }: Extract<ToIsolate, { type: "door-closed" }>): void {
    if (sidesOf(name).asker === this.#owner.role) {
      const key = keyOf(name, peer), unasked = this.#unasked.get(key);
      this.#unasked.delete(key);
      if (unasked !== undefined) transportOf(unasked).close();
      return this.#asking.get(key)?.channel.detach();
    }
    const welcomed = this.#welcomed.get(name);
    welcomed?.get(peer)?.detach();
    welcomed?.delete(peer);
  }

  /** Traces what leaves through the doors as the observer is set now. Called again when that has changed. */
  observe(index: number, observer: Observer): void {
    this.#observer = { index, observer };
    for (const { name, peer, channel } of this.#asking.values()) this.#watch(channel, name, peer);
    for (const [name, peers] of this.#welcomed) {
      for (const [peer, channel] of peers) this.#watch(channel, name, peer);
    }
  }

  #welcome(door: OpenDoor, welcome: Welcome): void {
    const { name, peer, life } = door;
    const channel: AnyChannel = new DoorChannel(this.#inspect(name, peer, () => life));
    this.#watch(channel, name, peer);
    welcome(channel, { peer, life, refuse: (fault) => channel.refuse(fault) });
    channel.attach(transportOf(door));
    const peers = this.#welcomed.get(name) ?? new Map<number, AnyChannel>();
    peers.get(peer)?.detach();
    this.#welcomed.set(name, peers.set(peer, channel));
  }

  #inspect(name: DoorName, peer: number, life: () => number): Inspection {
    const { role, doors, refused } = this.#owner;
    const side = doors[name];
    if (side === undefined) throw new TypeError(`The isolate ${role} has no door ${name}`);
    return {
      ...checksOf(side),
      onfault: (fault) => refused({ type: "refused", door: name, peer, life: life(), fault }),
    };
  }

  #watch(channel: AnyChannel, name: DoorName, peer: number): void {
    if (this.#observer === null) return;
    const { index, observer } = this.#observer;
    channel.watch = watchDoor(observer, { role: this.#owner.role, index, name, peer });
  }
}

function transportOf(door: OpenDoor): Transport {
  return "port" in door
    ? new PortTransport(door.port)
    : new SocketTransport(door.descriptor, { writeDescriptor: door.writeDescriptor });
}

function keyOf(name: DoorName, peer: number): string {
  return `${name} ${peer}`;
}
