/** `ciphers` and `protocols` of a listener or a relay, which are judged together at the end of their line. */

import type { SourceLine } from "../config/mod.ts";
import { cipherFault } from "../config/ciphers.ts";
import { ALL_VERSIONS, parseProtocols } from "../config/protocols.ts";
import { shown } from "../config/values.ts";
import type { Context } from "./context.ts";
import type { Options } from "./options.ts";

export interface TlsOptions {
  readonly options: Options;
  /** To be called when the options are read. */
  finish(): void;
}

/** Sets `spec.protocols`. A list of ciphers is kept nowhere: it is obeyed as it is, or an error. */
export function tlsOptions({ cursor }: Pick<Context, "cursor">, spec: { protocols: string | null }): TlsOptions {
  let versions = ALL_VERSIONS;
  let list: { readonly at: SourceLine; readonly text: string } | null = null;
  const protocols = () => {
    const { at } = cursor.peek();
    spec.protocols = cursor.expectString("a list of protocols");
    if (spec.protocols === null) return;
    const range = parseProtocols(spec.protocols);
    if (range !== null) versions = range;
    else cursor.fail(at, `protocols "${shown(spec.protocols)}" names no TLS version that is offered: ${OFFERED}`);
  };
  return {
    options: {
      "protocols": { parse: protocols },
      "ciphers": { parse: () => void (list = expectCiphers({ cursor })) },
    },
    finish() {
      if (list !== null) judge({ cursor }, list, versions);
    },
  };
}

const OFFERED = "use tlsv1.2, tlsv1.3 or all";

/** After `smtp ciphers`. */
export function parseCiphers(context: Pick<Context, "cursor">): void {
  const list = expectCiphers(context);
  if (list !== null) judge(context, list, ALL_VERSIONS);
}

function expectCiphers({ cursor }: Pick<Context, "cursor">): { at: SourceLine; text: string } | null {
  const { at } = cursor.peek();
  const text = cursor.expectString("a list of ciphers");
  return text === null ? null : { at, text };
}

function judge(
  { cursor }: Pick<Context, "cursor">,
  list: { readonly at: SourceLine; readonly text: string },
  versions: typeof ALL_VERSIONS,
): void {
  const fault = cipherFault(list.text, versions);
  if (fault !== null) cursor.note(list.at, fault);
}
