/**
 * The places that the configuration has the daemon listen at, by what they are: which are opened and which closed when it is read again. Those that stay are not
 * touched. Decides nothing about connections.
 */

import type net from "node:net";
import type { AdminListener } from "../../config/mod.ts";
import type { Listener } from "../../protocol/mod.ts";
import { Fatal } from "../fatal.ts";
import type { ListeningSockets } from "./listening_sockets.ts";
import { type Place, placeText } from "./listeners.ts";

/** What accepted connections are for: a listener of smtpd.conf, or the admin page. */
export type Purpose = Listener | { readonly admin: AdminListener };

/** A place of the configuration. */
export interface Wanted {
  readonly place: Place;
  readonly purpose: Purpose;
}

interface OpenPlace {
  readonly place: Place;
  purpose: Purpose;
  /** Connections that have come before the configuration is in use; null when it is. */
  held: net.Socket[] | null;
  close: () => Promise<void>;
}

/** A change that is prepared: exactly one of the two is to be called. */
export interface PlaceChange {
  /** The new places are in use, those that are gone are closed. */
  commit(): Promise<void>;
  /** All is as it was. */
  undo(): Promise<void>;
}

export class Places {
  readonly #sockets: Pick<ListeningSockets, "open">;
  readonly #accept: (socket: net.Socket, purpose: Purpose) => void;
  readonly #open = new Map<string, OpenPlace>();
  readonly #warn: (text: string) => void;

  constructor(
    sockets: Pick<ListeningSockets, "open">,
    { accept, warn }: { accept(socket: net.Socket, purpose: Purpose): void; warn(text: string): void },
  ) {
    this.#sockets = sockets;
    this.#accept = accept;
    this.#warn = warn;
  }

  /** Listens at a place from now on; `inherited`: at the sockets that were inherited for it, where there are any. Throws Fatal. */
  async open({ place, purpose }: Wanted, inherited: readonly Place[] = []): Promise<void> {
    const opened = this.#newPlace(place, purpose, { held: false });
    const closes: (() => Promise<void>)[] = [];
    for (const where of inherited.length > 0 ? inherited : [place]) {
      closes.push(await this.#sockets.open(where, (socket) => this.#take(opened, socket)));
    }
    opened.close = async () => {
      for (const close of closes) await close();
      if (inherited.length === 0) return;
      this.#warn(
        `warn: ${
          placeText(place)
        } is in smtpd.conf no more, and the service manager still listens there: change its socket unit`,
      );
    };
    this.#open.set(keyOf(place), opened);
  }

  /** Returns the purpose that connections of a place have now; undefined where nobody listens any more. */
  purposeAt(place: Place): Purpose | undefined {
    return this.#open.get(keyOf(place))?.purpose;
  }

  /** Opens what is not open yet; connections to it wait for `commit`. Throws Fatal, and all is as it was. */
  async prepare(wanted: readonly Wanted[]): Promise<PlaceChange> {
    const fresh: [string, OpenPlace][] = [], closed: [string, OpenPlace][] = [];
    const staying = new Set(wanted.map(({ place }) => keyOf(place)));
    const leaving = [...this.#open].filter(([key]) => !staying.has(key));
    const undo = async () => {
      for (const [, one] of fresh) {
        for (const socket of one.held ?? []) socket.destroy();
        one.held = null;
        await one.close();
      }
      for (const [key, one] of closed) {
        const { place, purpose } = one;
        await this.open({ place, purpose }).catch((error) => {
          this.#open.delete(key);
          this.#warn(`warn: ${(error as Error).message}`);
        });
      }
    };
    try {
      for (const one of wanted) {
        const key = keyOf(one.place);
        if (this.#open.has(key)) continue;
        const inWay = leaving.filter((left) => !closed.includes(left) && inTheWay(left[1].place, one.place));
        for (const left of inWay) {
          closed.push(left);
          await left[1].close();
        }
        const opened = this.#newPlace(one.place, one.purpose, { held: true });
        opened.close = await this.#sockets.open(one.place, (socket) => this.#take(opened, socket));
        fresh.push([key, opened]);
      }
    } catch (error) {
      await undo();
      throw error;
    }
    const commit = async () => {
      for (const { place, purpose } of wanted) {
        const known = this.#open.get(keyOf(place));
        if (known !== undefined) known.purpose = purpose;
      }
      for (const [key, one] of fresh) {
        const held = one.held ?? [];
        one.held = null;
        this.#open.set(key, one);
        for (const socket of held) this.#accept(socket, one.purpose);
      }
      // At once: by the new configuration the number of a listener that is gone may be that of another one, with more rights.
      for (const [key] of leaving) this.#open.delete(key);
      for (const [key, one] of leaving) {
        if (!closed.some(([known]) => known === key)) await one.close();
      }
    };
    return { commit, undo };
  }

  #newPlace(place: Place, purpose: Purpose, { held }: { readonly held: boolean }): OpenPlace {
    return { place, purpose, held: held ? [] : null, close: () => Promise.resolve() };
  }

  #take(opened: OpenPlace, socket: net.Socket): void {
    if (opened.held === null) return this.#accept(socket, opened.purpose);
    // What is wrong with it shows when it is accepted.
    socket.on("error", () => {});
    opened.held.push(socket);
  }
}

function keyOf(place: Place): string {
  // With other rights it is another socket.
  if ("chosen" in place) return `${place.path} ${place.mode} ${place.group ?? ""}`;
  if ("path" in place) return place.path;
  if ("fd" in place) throw new Fatal("A place of the configuration is no inherited socket");
  return `${place.address} ${place.port}`;
}

/** One of the two may be every address of the machine: both at one time cannot be bound. Nor can be two sockets of one path. */
function inTheWay(one: Place, other: Place): boolean {
  if ("path" in one && "path" in other) return one.path === other.path;
  return "port" in one && "port" in other && one.port === other.port;
}
