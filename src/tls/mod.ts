/** Front door of the tls folder. */
export * from "./binding.ts";
export * from "./certificate.ts";
export * from "./ciphers.ts";
export * from "./hello.ts";
export * from "./pair.ts";
export * from "./server.ts";
