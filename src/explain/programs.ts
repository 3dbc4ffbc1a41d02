/** Filter and table programs for an explanation that asks them: the filter isolate as it is, in this process. */

import { Caller, type Channel, type DoorPeer, type Isolate } from "../isolate/mod.ts";
import type { FilterToSession, FromFilter, SessionToFilter, Settings, ToFilter } from "../protocol/mod.ts";
import { serveFilter } from "../programs/serve.ts";
import type { AskProgram } from "../tables/mod.ts";
import { memoryDoor } from "./memory_door.ts";
import type { Notes } from "./notes.ts";

export interface RunningPrograms {
  /** The door of sessions. */
  readonly filter: Channel<SessionToFilter, FilterToSession>;
  readonly askProgram: AskProgram;
  /** Ends the programs. */
  close(): Promise<void>;
}

/** Starts the programs of a configuration; resolves when all have registered. Rejects with an Error that says which could not be started. */
export async function startPrograms(settings: Settings["filter"], notes: Notes): Promise<RunningPrograms> {
  const sessions = memoryDoor<SessionToFilter, FilterToSession>();
  const tables = memoryDoor<ToFilter, FromFilter>();
  const main = memoryDoor<object, object>();
  let fault: string | null = null;
  const peer: DoorPeer = { peer: 0, life: 1, refuse: (text) => fault = text };
  const answering: Readonly<Record<string, unknown>> = {
    "smtp-filter": sessions.answering,
    "lookup-filter": tables.answering,
  };
  const isolate: Isolate<"filter"> = {
    ...notes.observer,
    role: "filter",
    index: 0,
    settings,
    ask: () => main.asking as never,
    serve: (name, welcome) => {
      const channel = answering[name];
      if (channel !== undefined) welcome(channel as never, peer);
    },
    onstop: () => {},
  };
  await serveFilter(isolate);
  if (fault !== null) throw new Error(fault);
  const caller = new Caller<ToFilter, FromFilter>(tables.asking);
  return {
    filter: sessions.asking,
    askProgram: async (table, request) => (await caller.ask<"table">({ type: "table", table, request })).answer,
    close: async () => await isolate.onstop(),
  };
}

/** What a table says whose program is not asked. */
export const NOT_ASKED: AskProgram = () =>
  Promise.resolve({ result: "error", reason: "its program is not asked (--programs asks it)" });
