/** Says, when its host is told to, which libraries the isolate of this name may load. */

import { mayLoad } from "./attacks.ts";

export function sayWhatLoads(role: string): void {
  new BroadcastChannel("libraries").onmessage = ({ data }) => console.error(`${role}: ${mayLoad(data)}`);
}
