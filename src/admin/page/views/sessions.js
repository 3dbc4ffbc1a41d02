/** SMTP sessions that are open now. */

import { html } from "../lit/lit-html.js";
import { hrefOf } from "../state.js";
import { counted, harmless, number } from "../text.js";
import { ago, blank, chip, heading, table, text } from "../ui.js";

/** Sessions that are listed at most: the first of them. */
const MOST = 500;

export const sessions = {
  title: "Sessions",
  renew: ["overview"],
  everyMs: 3000,
  async load(_place, { get }) {
    return { rows: (await get("sessions", { limit: MOST })).items };
  },
  draw({ rows }) {
    return html`
      ${heading("Sessions", {
        lead: rows.length === 0
          ? "Who talks SMTP with this server now."
          : `${counted(rows.length, "client")} ${rows.length === 1 ? "talks" : "talk"} with this server now.`,
      })}
      ${rows.length === 0
        ? blank("empty", "Nobody is connected", "Clients appear here as long as their connection is open.")
        : table({
          label: "SMTP sessions",
          rows,
          key: ({ session }) => session,
          columns: [
            {
              label: "Client",
              class: "wide title",
              cell: ({ address, host, session }) =>
                html`<a data-row href=${hrefOf("messages", session)}>${
                  text(host || address, 255)
                }</a> <code class="id">${harmless(address, 60)}</code>`,
            },
            {
              label: "TLS",
              class: "tight bare",
              cell: ({ tls }) =>
                tls === null
                  ? chip("warn", "clear")
                  : html`<span title=${harmless(tls, 200)}>${chip("ok", harmless(tls.split(":")[0], 20))}</span>`,
            },
            { label: "Login", class: "tight", cell: ({ login }) => login === null ? "–" : text(login, 80) },
            { label: "Messages", class: "number tight", cell: ({ messages }) => number(messages) },
            {
              label: "Refused",
              class: "number tight",
              cell: ({ refused }) => refused === 0 ? "0" : chip("bad", number(refused)),
            },
            {
              label: "Last refusal",
              class: "wide soft clamp",
              cell: ({ lastRefusal }) => text(lastRefusal ?? "", 300),
            },
            { label: "Since", class: "number tight", cell: ({ since }) => ago(since) },
            { label: "Last word", class: "number tight", cell: ({ lastAt }) => ago(lastAt) },
          ],
        })}
    `;
  },
};
