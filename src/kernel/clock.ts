/** What the kernel says of its clock. */

import { libc } from "./libc.ts";

/** Octets of a struct timex, and where its status stands. With no modes set it is only read, which anybody may. */
const TIMEX_OCTETS = 208, STATUS_AT = 40, STA_UNSYNC = 0x40, TIME_ERROR = 5;

/** Does something keep the clock right, as far as the kernel knows (adjtimex(2))? Null where it does not say. Never throws. */
export function clockIsKept(): boolean | null {
  try {
    const timex = new Uint8Array(new ArrayBuffer(TIMEX_OCTETS));
    const state = libc().call("adjtimex", timex);
    if (state < 0) return null;
    const status = new DataView(timex.buffer).getInt32(STATUS_AT, true);
    return state !== TIME_ERROR && (status & STA_UNSYNC) === 0;
  } catch {
    return null;
  }
}
