/** A binary heap of slots by the time at which each is to be processed, then by envelope id. The times stay in the table. */

import { AT, type EnvelopeTable, NONE, type Slot } from "./table.ts";

export class WakeHeap {
  readonly #table: EnvelopeTable;
  #slots = new Int32Array(1024);
  #size = 0;

  constructor(table: EnvelopeTable) {
    this.#table = table;
  }

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#slots.byteLength;
  }

  /** The slot that is first, NONE when empty. */
  get top(): Slot {
    return this.#size === 0 ? NONE : this.#slots[0]! as Slot;
  }

  /** When the slot is to be processed: a due one only to expire, a waiting one at whichever comes first. */
  wakeAt(slot: Slot): number {
    const table = this.#table;
    const expires = table.deadline(slot);
    return table.at[slot] === AT.READY ? expires : Math.min(table.due[slot]!, expires);
  }

  push(slot: Slot): void {
    if (this.#size === this.#slots.length) {
      const slots = new Int32Array(Math.ceil(this.#size * 1.5));
      slots.set(this.#slots);
      this.#slots = slots;
    }
    this.#up(this.#size++, slot);
  }

  /** Puts all in order again after times have changed. */
  rebuild(): void {
    const slots = this.#slots.slice(0, this.#size);
    this.#size = 0;
    for (const slot of slots) this.push(slot as Slot);
  }

  remove(slot: Slot): void {
    const place = this.#table.heapAt[slot]!;
    if (place === NONE) return;
    this.#table.heapAt[slot] = NONE;
    const last = this.#slots[--this.#size]! as Slot;
    if (last === slot) return;
    this.#up(place, last);
    this.#down(this.#table.heapAt[last]!, last);
  }

  #before(a: Slot, b: Slot): boolean {
    const difference = this.wakeAt(a) - this.wakeAt(b);
    if (difference !== 0) return difference < 0;
    const table = this.#table;
    return table.hi[a] !== table.hi[b] ? table.hi[a]! < table.hi[b]! : table.lo[a]! < table.lo[b]!;
  }

  #set(place: number, slot: Slot): void {
    this.#slots[place] = slot;
    this.#table.heapAt[slot] = place;
  }

  #up(place: number, slot: Slot): void {
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const other = this.#slots[parent]! as Slot;
      if (!this.#before(slot, other)) break;
      this.#set(place, other);
      place = parent;
    }
    this.#set(place, slot);
  }

  #down(place: number, slot: Slot): void {
    for (;;) {
      let child = place * 2 + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && this.#before(this.#slots[child + 1]! as Slot, this.#slots[child]! as Slot)) child++;
      const other = this.#slots[child]! as Slot;
      if (!this.#before(other, slot)) break;
      this.#set(place, other);
      place = child;
    }
    this.#set(place, slot);
  }
}
