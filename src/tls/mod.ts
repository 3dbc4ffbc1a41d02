/** Front door of the tls folder: certificates, TLS of a listener, and the name in a ClientHello. */
export * from "./binding.ts";
export * from "./certificate.ts";
export * from "./ciphers.ts";
export * from "./der.ts";
export * from "./hello.ts";
export * from "./pair.ts";
export * from "./self_signed.ts";
export * from "./server.ts";
