/** What the API answers when it does not do what was asked: problem details (RFC 9457), with a sentence on what to do. */

/** The kinds of problems: `type` is this with PREFIX in front. They stay as they are. */
export type ProblemKind =
  | "bad-request"
  | "login-needed"
  | "login-refused"
  | "scope"
  | "cross-site"
  | "csrf"
  | "not-found"
  | "method"
  | "unchanged"
  | "too-large"
  | "timeout"
  | "media-type"
  | "wrong-host"
  | "rate"
  | "too-many-streams"
  | "history-off"
  | "unavailable";

const PREFIX = "urn:vaultpost:problem:";

const TITLES: Readonly<Record<ProblemKind, { readonly status: number; readonly title: string }>> = {
  "bad-request": { status: 400, title: "The request is not valid" },
  "login-needed": { status: 401, title: "A token is needed" },
  "login-refused": { status: 401, title: "The token is not good" },
  scope: { status: 403, title: "The token may only read" },
  "cross-site": { status: 403, title: "The request comes from another site" },
  csrf: { status: 403, title: "The CSRF token is missing or wrong" },
  "not-found": { status: 404, title: "There is no such thing" },
  method: { status: 405, title: "The method is not for this path" },
  timeout: { status: 408, title: "The request did not come in time" },
  unchanged: { status: 409, title: "Nothing was changed" },
  "too-large": { status: 413, title: "The request is too large" },
  "media-type": { status: 415, title: "The body has to be JSON" },
  "wrong-host": { status: 421, title: "This name is not of this server" },
  rate: { status: 429, title: "Too many requests" },
  "too-many-streams": { status: 503, title: "Too many listen to events" },
  "history-off": { status: 404, title: "No history is kept" },
  unavailable: { status: 503, title: "Service unavailable" },
};

export interface ProblemDetails {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What is wrong, and what to do. */
  readonly detail: string;
  /** Of a request that is not valid: which parameters. */
  readonly errors?: readonly { readonly parameter: string; readonly reason: string }[];
}

interface ProblemOptions {
  readonly errors?: ProblemDetails["errors"];
  readonly headers?: Readonly<Record<string, string>>;
}

/** Is thrown by what answers a request, and becomes the answer. `detail` says what to do, in a sentence. */
export class Problem extends Error {
  readonly kind: ProblemKind;
  readonly options: ProblemOptions;

  constructor(kind: ProblemKind, detail: string, options: ProblemOptions = {}) {
    super(detail);
    this.kind = kind;
    this.options = options;
  }

  /** The answer. */
  toResponse(): Response {
    const { status, title } = TITLES[this.kind];
    const { errors, headers = {} } = this.options;
    const details: ProblemDetails = {
      type: `${PREFIX}${this.kind}`,
      title,
      status,
      detail: this.message,
      ...errors === undefined ? {} : { errors },
    };
    return new Response(`${JSON.stringify(details)}\n`, {
      status,
      headers: { "Content-Type": "application/problem+json", ...headers },
    });
  }
}
