/** smtpd whose queue or mailbox isolate stops at a chosen place: the file `crash-point` beside its config has "ROLE POINT COUNT", or nothing. */

import { dirname } from "node:path";
import { CONFIG_FILE, runOwnDaemon } from "../e2e/own_daemon.ts";

const [chosen, point, count] = Deno.readTextFileSync(`${dirname(CONFIG_FILE)}/crash-point`).split(" ");

await runOwnDaemon({
  name: "to be killed",
  entry: (role) => role === chosen ? new URL(`./${role}.ts?point=${point}&count=${count}`, import.meta.url) : undefined,
});
