/** Control as a client of main. Types only. */

import type { Caller } from "../isolate/mod.ts";
import type { ControlToMain, MainToControl } from "../protocol/mod.ts";

/** Asks main at the door to it. */
export type MainCaller = Caller<ControlToMain, MainToControl>;
