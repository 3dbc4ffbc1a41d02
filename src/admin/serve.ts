/** The admin address: the only socket that the control isolate opens itself. */

import { createAdmin } from "./app.ts";
import type { AdminSource } from "./source.ts";

export interface AdminServer {
  /** Port it listens on. */
  readonly port: number;
  close(): Promise<void>;
}

/** Requests served at once; more get 503. */
const MAX_REQUESTS = 64;

/** Listens on `at`. Throws when the address cannot be bound. */
export function startAdmin(at: { readonly address: string; readonly port: number }, source: AdminSource): AdminServer {
  const app = createAdmin(source, at.address);
  let running = 0;
  const server = Deno.serve(
    { hostname: at.address, port: at.port, onListen: () => {}, onError: () => new Response(null, { status: 503 }) },
    async (request) => {
      if (running >= MAX_REQUESTS) return new Response("Too many requests\n", { status: 503 });
      running++;
      try {
        return await app.fetch(request);
      } finally {
        running--;
      }
    },
  );
  return { port: server.addr.port, close: () => server.shutdown() };
}
