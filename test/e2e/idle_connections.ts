/** A local user who opens connections and says nothing: run as that user. Arguments: how many, then unix paths and ports of 127.0.0.1. */

const [count, ...places] = Deno.args;
/** Connections over TCP that are made in one go: more than wait in line would be slow to come in. */
const TOGETHER = 20;
const open: Deno.Conn[] = [];

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function connect(place: string): Promise<Deno.Conn> {
  for (;;) {
    try {
      return place.startsWith("/")
        ? await Deno.connect({ transport: "unix", path: place })
        : await Deno.connect({ hostname: "127.0.0.1", port: Number(place) });
    } catch (error) {
      // The line in front of the door is full: it moves.
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      await pause(1);
    }
  }
}

for (const place of places) {
  for (let made = 1; made <= Number(count); made++) {
    try {
      open.push(await connect(place));
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
    }
    if (!place.startsWith("/") && made % TOGETHER === 0) await pause(TOGETHER);
  }
}
console.log(`${open.length} opened`);
// Until whoever started this closes the other end.
await Deno.stdin.read(new Uint8Array(1));
