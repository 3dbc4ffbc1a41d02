/** Lanes: mail of one destination or one user, each with the reason why it waits; and what is paused. */

import { html, nothing } from "../lit/lit-html.js";
import { setPaused } from "../acts.js";
import { hrefOf, state } from "../state.js";
import { harmless, number, span } from "../text.js";
import { ago, blank, chip, heading, table, text } from "../ui.js";

const AGENTS = [["smtp", "incoming mail"], ["mda", "local delivery"], ["mta", "relaying"]];
const AGENT_WORDS = { mda: "local", mta: "relay", bounce: "notice" };
const LIMITS = {
  paused: ["warn", "paused"],
  jobs: ["info", "at its limit"],
  envelopes: ["info", "at its limit"],
  "low-water": ["info", "at its limit"],
  room: ["info", "no room"],
};

export const lanes = {
  title: "Lanes",
  renew: ["overview"],
  everyMs: 4000,
  async load(_place, { get }) {
    const [all, hosts] = await Promise.all([get("lanes"), get("hosts")]);
    return { lanes: all.items.toSorted((one, other) => other.envelopes - one.envelopes), hosts: hosts.items };
  },
  draw({ lanes: rows, hosts }) {
    return html`
      ${heading("Lanes", { lead: "Mail of one destination or one user goes one way. How each stands, and why." })}
      ${switches()}
      ${rows.length === 0 ? blank("well", "No lane", "Nothing waits and nothing is under way.") : table({
        label: "Lanes",
        rows,
        key: ({ agent, action, name }) => `${agent} ${action} ${name}`,
        columns: [
          {
            label: "Lane",
            class: "wide title",
            cell: ({ agent, action, name }) =>
              html`
                <a data-row href=${agent === "mta"
                  ? hrefOf("queue", null, { domain: name })
                  : hrefOf("queue")}><bdi>${harmless(name || "(none)", 255)}</bdi></a>
                <span class="soft">${AGENT_WORDS[agent] ?? agent}, action ${harmless(action, 80)}</span>
              `,
          },
          { label: "State", class: "tight bare", cell: (lane) => chip(...standing(lane)) },
          { label: "Why", class: "wide", cell: ({ reason }) => text(reason, 400) },
          { label: "Envelopes", class: "number tight", cell: ({ envelopes }) => number(envelopes) },
          {
            label: "Jobs",
            class: "number tight",
            cell: ({ jobs, maxJobs }) => `${number(jobs)} of ${number(maxJobs)}`,
          },
          { label: "Oldest", class: "number tight", cell: ({ oldestAt }) => ago(oldestAt) },
        ],
      })}
      ${hosts.length === 0 ? nothing : html`
        <h2>Hosts</h2>
        ${table({
          label: "Hosts",
          rows: hosts,
          key: ({ address }) => address,
          columns: [
            {
              label: "Host",
              class: "wide title",
              cell: ({ name, address }) =>
                html`${text(name || address, 255)} <code class="id">${harmless(address, 60)}</code>`,
            },
            { label: "Connections", class: "number tight", cell: ({ connections }) => number(connections) },
            { label: "Last", class: "number tight", cell: ({ lastConnectAt }) => ago(lastConnectAt) },
            {
              label: "Transaction",
              class: "number tight",
              cell: ({ transactionMs }) => transactionMs === null ? "–" : span(transactionMs),
            },
          ],
        })}
      `}
    `;
  },
};

function standing({ limit, inflight }) {
  return limit === "open" ? inflight > 0 ? ["ok", "moves"] : ["quiet", "waits"] : LIMITS[limit] ?? ["quiet", limit];
}

function switches() {
  const paused = state.overview?.paused ?? [];
  return html`
    <ul class="switches" aria-label="What may be paused">${AGENTS.map(([agent, name]) => {
      const is = paused.includes(agent);
      return html`
        <li><span><b>${name.charAt(0).toUpperCase()}${name.slice(1)}</b> ${is
          ? chip("warn", "paused")
          : chip("ok", "runs")}</span>
          <button @click=${() => setPaused(agent, !is, name)}>${is
            ? "Resume"
            : "Pause…"}<span class="unseen"> ${name}</span></button></li>
      `;
    })}</ul>
  `;
}
