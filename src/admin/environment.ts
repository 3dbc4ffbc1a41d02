/** What each request of the admin application has with it. Types only. */

import type { Context } from "hono";
import type { ConnectionFacts, Identity } from "./identity.ts";

export interface AdminEnvironment {
  // hono takes it by these names.
  Bindings: ConnectionFacts;
  Variables: { identity: Identity };
}

export type AdminContext = Context<AdminEnvironment>;
