/**
 * What a door is, and what one isolate has of it. Which doors there are is in doors.ts; which of them an isolate has, with the checks of what
 * arrives there, in isolates/.
 */

import { type Check, compileTable, type MessageTable, type Replies } from "./check.ts";
import type { Role } from "./roles.ts";

interface Message {
  readonly type: string;
}

/** What each side of a door says. */
export interface Door<Asks extends Message, Answers extends Message> {
  /** Of the caller, by type. */
  readonly asks: MessageTable<Asks>;
  /** Of the callee, by type. */
  readonly answers: MessageTable<Answers>;
  readonly replies: Replies<Asks, Answers>;
  /** Where the door lets through less than the caller's messages allow. */
  readonly allowed?: readonly Asks["type"][];
}

/** Returns a door with these tables. */
export function door<Asks extends Message, Answers extends Message>(
  asks: MessageTable<Asks>,
  answers: MessageTable<Answers>,
  replies: Replies<Asks, Answers>,
): Door<Asks, Answers> {
  return { asks, answers, replies };
}

/** One side of a door: what may arrive there, and which answers its own questions may get. */
export interface OwnSide<Arriving extends Message> {
  readonly arriving: MessageTable<Arriving>;
  /** Where fewer may arrive than the table has. */
  readonly allowed?: readonly string[];
  readonly replies: Readonly<Record<string, readonly string[]>>;
}

/** Returns the side of the caller. */
export function asking<Asks extends Message, Answers extends Message>(
  { answers, replies }: Door<Asks, Answers>,
): OwnSide<Answers> {
  return { arriving: answers, replies };
}

/** Returns the side of the callee, which asks nothing. */
export function answering<Asks extends Message, Answers extends Message>(
  { asks, allowed }: Door<Asks, Answers>,
): OwnSide<Asks> {
  return { arriving: asks, replies: {}, ...(allowed !== undefined && { allowed }) };
}

/** The side of an isolate that reports to control: nothing comes back. */
export const REPORTING: OwnSide<never> = { arriving: {}, replies: {} };

/** What one side of a door checks. */
export interface DoorChecks {
  /** Of what arrives, by type. */
  readonly arriving: ReadonlyMap<string, Check<unknown>>;
  /** Answers that its own questions may get, by the type of the question; empty where it asks none. */
  readonly replies: ReadonlyMap<string, readonly string[]>;
}

/** Returns the checks of one side of a door. */
export function checksOf<Arriving extends Message>({ arriving, allowed, replies }: OwnSide<Arriving>): DoorChecks {
  const checks = [...compileTable(arriving)].filter(([type]) => allowed === undefined || allowed.includes(type));
  return { arriving: new Map(checks), replies: new Map(Object.entries(replies)) };
}

/** The roles on the two sides of a door. */
export interface DoorSides {
  readonly asker: Role;
  readonly answerer: Role | "main";
}

/** Returns the roles on the two sides of a door. */
export function sidesOf(name: `${Role}-${Role | "main"}`): DoorSides {
  const [asker, answerer] = name.split("-") as [Role, Role | "main"];
  return { asker, answerer };
}
