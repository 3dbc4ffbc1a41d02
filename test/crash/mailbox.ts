/** The real mailbox isolate, with places before and after each sync and rename of a Maildir at which it can be stopped. */

import { pointsOf } from "./points.ts";
import "../../workers/mailbox.ts";

const reach = pointsOf(import.meta.url);
const { sync } = Deno.FsFile.prototype;
Deno.FsFile.prototype.sync = async function (this: Deno.FsFile) {
  reach("sync-before");
  await sync.call(this);
  reach("sync-after");
};
const { renameSync } = Deno;
Deno.renameSync = (from, to) => {
  reach("rename-before");
  renameSync(from, to);
  reach("rename-after");
};
