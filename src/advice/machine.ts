/** What advice asks of the machine that the configuration is for. Types only. */

/** What is looked at on the machine. */
export interface MachineState {
  /** Text of an include file; null for one that is not to be looked into. Throws an Error that says why it cannot be read. */
  readText(path: string): string | null;
  /** Whether the daemon that runs may read an include file: those that its tables named when they were read with smtpd.conf. Without it each may be. */
  readonly mayInclude?: (path: string) => boolean;
  /** Is there such an account? Null when commands of tables do not need one: root has not started this. */
  hasUser(name: string): boolean | null;
  /** The interfaces of the machine with their addresses, for the end of a message. */
  interfaceList(): string;
}
