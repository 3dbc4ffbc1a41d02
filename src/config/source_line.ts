/** Places in smtpd.conf, for messages. */

/** Where a thing was written; `file` as given on the command line or in `include`. */
export interface SourceLine {
  readonly file: string;
  readonly line: number;
}

/** The keys of lines that set something: the last one of each stands in `Config.declared`, behind `mta limit for domain` a domain. */
export const SET_PLACES = {
  mtaLimit: "mta limit",
  mtaLimitFor: "mta limit for domain ",
  queueTtl: "queue ttl",
  srs: "srs key",
  warnInterval: "bounce warn-interval",
} as const;
