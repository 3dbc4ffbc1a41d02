/** A thread that asks the lookup isolate one thing again and again, and reports how long it had to wait at most. See expansion.ts. */

/// <reference lib="deno.worker" />

let port: MessagePort;
let question: unknown;
let asking = false;

async function ask(): Promise<void> {
  let worstMs = 0, others = 0;
  self.postMessage({ others, worstMs });
  while (asking) {
    const started = performance.now();
    await new Promise((resolve) => {
      port.onmessage = resolve;
      port.postMessage([question]);
    });
    worstMs = Math.max(worstMs, performance.now() - started);
    others++;
  }
  self.postMessage({ others, worstMs });
}

self.onmessage = ({ data }) => {
  if (data === "go") {
    asking = true;
    void ask();
  } else if (data === "stop") asking = false;
  else ({ port, question } = data);
};
