/** Tells what the checks of mail_auth have found about a received message, by which words rules and filters know it, and what is written into it. */

import { formatMailAuth, mailAuthKeys } from "../envelope/mod.ts";
import { summaryOf, type Verdict } from "../mail_auth/check.ts";
import { type CheckedSession, resultFields } from "../smtp/mail_check.ts";
import type { Step } from "./step.ts";

/** Returns the results of SPF, DKIM, ARC and DMARC as a step, each with its reason. */
export function authenticationStep({ verdict, session, disposition }: Omit<CheckedSession, "client">): Step {
  const summary = summaryOf(verdict);
  const children = [
    ...spfSteps(verdict),
    ...dkimSteps(verdict),
    arcStep(verdict),
    dmarcStep(verdict),
    {
      kind: "mail-auth",
      text: `rules and filters see ${mailAuthKeys(summary).join(", ")}`,
      detail: { keys: [...mailAuthKeys(summary)] },
    },
    ...disposition === "rejected" ? [] : [fieldsStep({ verdict, session, disposition })],
  ];
  const text = `the message was checked: ${formatMailAuth(summary)}`;
  return { kind: "authentication", text, detail: { ...summary, disposition }, children };
}

const because = (reason: string | null) => reason === null || reason === "" ? "" : `: ${reason}`;

function spfSteps({ spf, spfHelo }: Verdict): Step[] {
  return [spf, ...spfHelo === null ? [] : [spfHelo]].map((one) => {
    const { result, identity, domain, mechanism, explanation, reason } = one;
    const of = identity === "helo" ? `the name in HELO, ${domain}` : `the sender's domain, ${domain}`;
    const by = mechanism === null ? "" : mechanism === "default" ? ", since nothing matches" : `, by ${mechanism}`;
    const said = explanation === null ? "" : ` (the domain says: ${explanation})`;
    return {
      kind: "spf",
      text: `SPF is ${result} for ${of}${by}${because(reason)}${said}`,
      detail: { result, identity, domain, mechanism, reason },
    };
  });
}

function dkimSteps({ dkim }: Verdict): Step[] {
  if (dkim.length === 0) return [{ kind: "dkim", text: "DKIM is none: no signature", detail: { result: "none" } }];
  return dkim.map(({ result, domain, selector, algorithm, keyBits, testing, reason }) => {
    const key = keyBits === null ? "" : `, key of ${keyBits} bits`;
    const tries = testing ? ", which the domain only tries (t=y)" : "";
    return {
      kind: "dkim",
      text: `DKIM is ${result} for ${domain}, selector ${selector}${key}${tries}${because(reason)}`,
      detail: { result, domain, selector, algorithm, keyBits, reason },
    };
  });
}

function arcStep({ arc: { result, instance, sealers, reason } }: Verdict): Step {
  const by = sealers.length === 0 ? "" : `, sealed by ${sealers.join(", ")}`;
  return {
    kind: "arc",
    text: `ARC is ${result}${by}${because(reason)}`,
    detail: { result, instance, sealers: [...sealers], reason },
  };
}

function dmarcStep({ dmarc, overridden }: Verdict): Step {
  const { result, domain, policy, spfAligned, dkimAligned, reason } = dmarc;
  const of = domain === "" ? "" : ` for the domain of From, ${domain}`;
  const fits = [...spfAligned ? ["SPF"] : [], ...dkimAligned === null ? [] : [`DKIM of ${dkimAligned}`]];
  const aligned = fits.length === 0 ? "" : `, by ${fits.join(" and ")}`;
  const asks = result === "fail" && policy !== null ? `; the domain asks for ${policy}` : "";
  const trusted = overridden ? "; it counts as passed, by the ARC seals of trusted hosts" : "";
  return {
    kind: "dmarc",
    text: `DMARC is ${result}${of}${aligned}${because(reason)}${asks}${trusted}`,
    detail: { result, domain, policy, spfAligned, dkimAligned, overridden, reason },
  };
}

function fieldsStep({ verdict, session, disposition }: Omit<CheckedSession, "client">): Step {
  // The name of the listener, by which readers know which fields are ours.
  const hostname = session.origin!.smtpname;
  const text = resultFields({ hostname }, verdict, { junk: disposition === "junked" });
  // A field is folded over lines: here it is one.
  const lines = text.replace(/\n[ \t]+/g, " ").trimEnd().split("\n");
  return { kind: "fields", text: `written in front: ${lines.join(" | ")}`, detail: { fields: lines } };
}
