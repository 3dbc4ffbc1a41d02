/** The real queue isolate, with places before and after each commit at which it can be stopped. */

import { Store } from "../../src/queue/store/store.ts";
import { pointsOf } from "./points.ts";
import "../../workers/queue.ts";

const reach = pointsOf(import.meta.url);
const commit = Store.prototype.commit;
Store.prototype.commit = function (this: Store) {
  reach("commit-before");
  commit.call(this);
  reach("commit-after");
};
