/** How the toys of the supervisor's test say what they have seen: main takes nothing from an isolate that its role may not say. */

export const TOYS_CHANNEL = "toys of the supervisor's test";

/** Sends a line to the test, from the worker of `role`. */
export function say(role: string, text: string): void {
  const channel = new BroadcastChannel(TOYS_CHANNEL);
  channel.postMessage(`${role}: ${text}`);
  channel.close();
}
