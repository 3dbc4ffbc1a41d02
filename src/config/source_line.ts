/** Places in smtpd.conf, for messages. */

/** Where a thing was written; `file` as given on the command line or in `include`. */
export interface SourceLine {
  readonly file: string;
  readonly line: number;
}
