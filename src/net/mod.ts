/** Front door of the net folder: names and addresses of hosts and networks, as text. */
export * from "./host_port.ts";
export * from "./names.ts";
export * from "./networks.ts";
export * from "./special_networks.ts";
