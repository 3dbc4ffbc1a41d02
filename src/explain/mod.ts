/** Front door of the explain folder: what would happen to a message, by the code that would do it. */
export { type Step, stepLines, stepRecord } from "./step.ts";
