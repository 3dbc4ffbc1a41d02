/** An isolate that never says anything, not even that it lives. For tests only. */

globalThis.addEventListener("message", () => {});
