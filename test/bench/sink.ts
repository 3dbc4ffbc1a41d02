/** Postfix's smtp-sink as the next hop, counting the messages it took by its own running counters. */

import { answers } from "./server.ts";

export interface Sink {
  readonly port: number;
  /** Messages taken since it was started. */
  received(): number;
  stop(): Promise<void>;
}

export async function startSink(port: number): Promise<Sink> {
  const asUser = Deno.uid() === 0 ? ["-u", "nobody"] : [];
  const child = new Deno.Command("smtp-sink", {
    args: [...asUser, "-c", `127.0.0.1:${port}`, "1000"],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  await answers(port, () => false);
  let messages = 0;
  const reading = (async () => {
    let rest = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      rest += text;
      const last = rest.lastIndexOf("mesg=");
      const match = /mesg=(\d+)\s/.exec(rest.slice(last)) ?? /.*mesg=(\d+)\s/s.exec(rest.slice(0, last));
      if (match !== null) messages = Number(match[1]);
      rest = rest.slice(-80);
    }
  })();
  return {
    port,
    received: () => messages,
    async stop() {
      child.kill("SIGTERM");
      await child.status;
      await reading;
    },
  };
}
