/** Front door of reply_class: what a refusal means, and the sentences that people read about it. Used by relay, delivery, queue, control and tools. */
export * from "./classes.ts";
export { classify, classifyText, type Meaning, meaningOf, type ReplyToClassify } from "./classify.ts";
export * from "./describe.ts";
