/** TLS and DNS: certificates, and what the last check of this host found. */

import { html, nothing } from "../lit/lit-html.js";
import { counted, day, harmless, number } from "../text.js";
import { ago, blank, chip, heading, table, text, time } from "../ui.js";

const DAY_MS = 86_400_000;
const SOURCES = { file: "from a file", acme: "by ACME", temporary: "temporary" };
const LEVELS = { error: "bad", warning: "warn", unknown: "quiet", info: "info", ok: "ok" };
const ORDER = ["error", "warning", "unknown", "info", "ok"];

export const health = {
  title: "TLS and DNS",
  renew: ["overview"],
  everyMs: 60_000,
  async load(_place, { get }) {
    const [certificates, checkup] = await Promise.all([get("certificates"), get("checkup")]);
    return { certificates: certificates.items, checkup };
  },
  draw({ certificates, checkup }) {
    return html`
      ${heading("TLS and DNS", { lead: "Certificates, and what other servers see of this host." })}
      <h2>Certificates</h2>
      ${certificates.length === 0 ? blank("lock", "No certificate", "No listener speaks TLS.") : table({
        label: "Certificates",
        rows: certificates,
        key: ({ name }) => name,
        columns: [
          {
            label: "Name",
            class: "wide title",
            cell: ({ name, names }) =>
              html`<b>${text(name, 255)}</b>${
                names.filter((one) => one !== name).map((one) =>
                  html`
                    <span class="soft">${text(one, 255)}</span>
                  `
                )
              }`,
          },
          { label: "State", class: "tight bare", cell: validity },
          { label: "Good until", class: "tight", cell: ({ notAfter }) => notAfter === null ? "–" : day(notAfter) },
          {
            label: "From",
            class: "tight",
            cell: ({ source, issuer }) =>
              html`${SOURCES[source] ?? source}<br><span class="soft">${text(issuer, 120)}</span>`,
          },
          {
            label: "Renewal",
            class: "tight",
            cell: ({ failures, retryAt }) =>
              failures === 0
                ? "–"
                : html`${counted(failures, "failure")}${retryAt === null ? nothing : html`, again ${time(retryAt)}`}`,
          },
        ],
      })}
      <h2>Check of this host</h2>
      ${findings(checkup)}
    `;
  },
};

function validity({ notAfter, source }) {
  if (notAfter === null) return chip("quiet", "unknown");
  const days = Math.floor((new Date(notAfter) - Date.now()) / DAY_MS);
  if (days < 0) return chip("bad", "expired");
  const level = source === "temporary" ? "warn" : days < 7 ? "bad" : days < 21 ? "warn" : "ok";
  return chip(level, source === "temporary" ? "temporary" : counted(days, "day"));
}

function findings({ at, findings: all }) {
  if (at === null) {
    return blank(
      "clock",
      "There was no check yet",
      html`One is made every day. <code>smtpctl check</code> makes one now.`,
    );
  }
  const shown = ORDER.slice(0, 4).flatMap((level) => all.filter((one) => one.level === level));
  const well = all.filter(({ level }) => level === "ok");
  return html`
    <p class="soft">${ago(at)} ago: ${counted(shown.length, "finding")}, ${number(well.length)} well.</p>
    <ul class="findings">${shown.map(one)}</ul>
    ${well.length === 0 ? nothing : html`
      <details class="raw">
        <summary>What is well (${number(well.length)})</summary>
        <ul class="findings">${well.map(one)}</ul>
      </details>
    `}
  `;
}

function one({ check, subject, level, text: found, advice }) {
  return html`
    <li class=${LEVELS[level]}>
      <p>${chip(LEVELS[level], level)} <b>${harmless(check, 60)}</b> <span class="soft">${text(subject, 255)}</span></p>
      <p>${text(found, 1000)}</p>
      ${advice === null ? nothing : html`<p class="advice">${text(advice, 1000)}</p>`}
    </li>
  `;
}
