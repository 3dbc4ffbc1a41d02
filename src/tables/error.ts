/** How a lookup says that it could not be made. */

/** Neither found nor missing: the mail operation that needed the lookup fails temporarily. */
export class LookupError {
  /** For the operator's log. */
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}
