/** Starts `smtpctl top` on the terminal of this process. */

import { systemClock } from "../../../clock.ts";
import type { Environment } from "../../../config/mod.ts";
import { controlSocketPath } from "../../../config/paths.ts";
import type { Terminal } from "../../terminal.ts";
import type { topOrder } from "./order.ts";
import { takeScreen } from "./screen.ts";
import { topMain } from "./top.ts";

/** Answers the exit status. Throws NotRunning where there is no screen to wait on. */
export async function startTop(
  order: ReturnType<typeof topOrder>,
  env: Environment,
  terminal: Terminal,
): Promise<number> {
  if ("wrong" in order) {
    terminal.err(`smtpctl top: ${order.wrong}\n`);
    return 255;
  }
  const isScreen = Deno.stdout.isTerminal() && !["", "dumb"].includes(env.get("TERM") ?? "");
  return await topMain(order, {
    socket: controlSocketPath(env),
    terminal,
    clock: systemClock,
    screen: isScreen ? takeScreen : null,
    style: Deno.noColor ? "plain" : "color",
  });
}
