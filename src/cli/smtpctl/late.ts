/**
 * What few commands need, each loaded when it is: most commands ask the daemon one question, and every file more is time before it. The names stand in
 * `import.meta.resolve`, for the runtime looks through all files that `import("…")` names before the program starts.
 */
export const late = {
  encrypt: () => import(import.meta.resolve("./encrypt.ts")) as Promise<typeof import("./encrypt.ts")>,
  dkim: () => import(import.meta.resolve("./dkim.ts")) as Promise<typeof import("./dkim.ts")>,
  dmarc: () => import(import.meta.resolve("./dmarc/read.ts")) as Promise<typeof import("./dmarc/read.ts")>,
  backup: () => import(import.meta.resolve("./backup.ts")) as Promise<typeof import("./backup.ts")>,
  restore: () => import(import.meta.resolve("./restore.ts")) as Promise<typeof import("./restore.ts")>,
  adminToken: () => import(import.meta.resolve("./admin_token.ts")) as Promise<typeof import("./admin_token.ts")>,
  check: () => import(import.meta.resolve("./check.ts")) as Promise<typeof import("./check.ts")>,
  explain: () => import(import.meta.resolve("./explain.ts")) as Promise<typeof import("./explain.ts")>,
  setup: () => import(import.meta.resolve("./setup/setup.ts")) as Promise<typeof import("./setup/setup.ts")>,
  history: () => import(import.meta.resolve("./history/history.ts")) as Promise<typeof import("./history/history.ts")>,
  top: () => import(import.meta.resolve("./top/start.ts")) as Promise<typeof import("./top/start.ts")>,
  exporter: () => import(import.meta.resolve("./export.ts")) as Promise<typeof import("./export.ts")>,
  importer: () => import(import.meta.resolve("./import.ts")) as Promise<typeof import("./import.ts")>,
  foreignQueue: () => import(import.meta.resolve("./foreign_queue.ts")) as Promise<typeof import("./foreign_queue.ts")>,
  queue: () => import(import.meta.resolve("../../queue/mod.ts")) as Promise<typeof import("../../queue/mod.ts")>,
};
