/** Front door of the signer_client folder: who has messages signed by the signer isolate. */
export * from "./message_signer.ts";
export * from "./signer_client.ts";
