/** Front door of the checkup folder: what is known of a host, as facts, and what follows from it, as findings. Asks and opens nothing. */
export * from "./domain_findings.ts";
export * from "./host_findings.ts";
export * from "./machine_findings.ts";
export * from "./queue_findings.ts";
export * from "./subjects.ts";
export * from "./tls_findings.ts";
