/** The queue: what waits, why, and what can be done about it. */

import { html, nothing } from "../lit/lit-html.js";
import { change, leaving, remove } from "../acts.js";
import { changed, hrefOf, state } from "../state.js";
import { address, counted, harmless, LISTED_CHARS, number, span } from "../text.js";
import { ago, blank, chip, heading, table, text } from "../ui.js";

/** Envelopes of a page, and pages that are looked through for the first that fits. */
const PAGE = 100, MAX_EMPTY_PAGES = 10;
/** As operators say it. `held` is what waits for room in its lane; what somebody holds is `suspended`. */
const WORDS = {
  pending: "waiting",
  inflight: "under way",
  held: "in line",
  suspended: "held",
  unknown: "unknown",
  offline: "offline",
};
const LEVELS = { pending: "info", inflight: "ok", held: "info", suspended: "warn", unknown: "quiet", offline: "quiet" };
const STATES = ["pending", "inflight", "held", "suspended"];

export const queue = {
  title: "Queue",
  renew: ["overview", "message"],
  everyMs: 6000,
  async load({ query }, { get }) {
    const asked = Object.fromEntries(query);
    // As many as were unfolded.
    const isSame = state.local.asked === query.toString();
    state.local.asked = query.toString();
    const pages = isSame ? state.local.pages ?? 1 : 1;
    const envelopes = [];
    let next = "";
    // A page may be empty where few envelopes are as asked for.
    for (let page = 0; page < pages || (envelopes.length === 0 && page < MAX_EMPTY_PAGES); page++) {
      const answer = await get("queue", { ...asked, limit: PAGE, after: next });
      envelopes.push(...answer.items);
      next = answer.next;
      if (next === null) break;
    }
    const there = new Set(envelopes.map(({ envelope }) => envelope));
    for (const id of state.chosen) if (!there.has(id)) state.chosen.delete(id);
    return { envelopes, next };
  },
  draw({ envelopes, next }, place, { reload }) {
    const chosen = envelopes.filter(({ envelope }) => state.chosen.has(envelope));
    const total = state.overview?.envelopes;
    return html`
      ${heading("Queue", {
        lead: total === undefined ? nothing : total === 0 ? "Nothing waits." : `${counted(total, "envelope")} in all.`,
      })}
      ${filters(place)}
      ${envelopes.length === 0 ? none(place) : table({
        label: "Envelopes",
        rows: envelopes,
        key: ({ envelope }) => envelope,
        rowClass: ({ envelope }) =>
          `${state.chosen.has(envelope) ? "chosen" : ""} ${leaving.has(envelope) ? "leaving" : ""}`.trim(),
        columns: columns(envelopes),
      })}
      <p class="more">${next === null ? nothing : html`
        <button @click=${() => {
          state.local.pages = (state.local.pages ?? 1) + 1;
          void reload();
        }}>Show more</button> <span class="soft">${number(envelopes.length)} are shown</span>
      `}</p>
      ${bar(chosen)}
    `;
  },
};

function columns(envelopes) {
  return [
    { label: "Chosen", class: "choose", head: chooseAll(envelopes), cell: choose },
    {
      label: "Envelope",
      class: "wide title",
      cell: ({ envelope, sender, rcpt }) =>
        html`
          <a data-row data-envelope=${envelope} href=${hrefOf("queue", envelope)}><bdi>${address(
            sender,
            LISTED_CHARS,
          )}</bdi> → <bdi>${address(rcpt, LISTED_CHARS)}</bdi></a>
          <code class="id">${harmless(envelope, 40)}</code>
        `,
    },
    { label: "State", class: "tight bare", cell: standing },
    { label: "Age", class: "number tight", cell: ({ createdAt }) => ago(createdAt) },
    { label: "Tries", class: "number tight", cell: ({ tries }) => number(tries) },
    { label: "Last error", class: "wide soft clamp", cell: ({ error }) => text(error ?? "", 400) },
  ];
}

/** The state of an envelope, and when it is due. */
export function standing({ envelope, state: its, dueAt, inflightSince }) {
  if (leaving.has(envelope)) return chip("bad", "goes soon");
  const ms = dueAt === null || dueAt === undefined ? null : new Date(dueAt) - Date.now();
  const when = its === "pending" && ms !== null ? (ms <= 0 ? "due" : `in ${span(Math.ceil(ms / 1000) * 1000)}`) : null;
  const since = its === "inflight" && inflightSince ? html`since ${ago(inflightSince)}` : null;
  return html`${chip(LEVELS[its] ?? "quiet", WORDS[its] ?? its)}${
    when === null && since === null ? nothing : html`
      <span class="soft">${when ?? since}</span>
    `
  }`;
}

function choose({ envelope, sender, rcpt }) {
  const toggle = ({ target }) => {
    if (target.checked) state.chosen.add(envelope);
    else state.chosen.delete(envelope);
    changed();
  };
  return html`<label class="box"><input type="checkbox" data-envelope=${envelope} .checked=${state.chosen.has(envelope)}
    aria-label="Choose ${address(sender, LISTED_CHARS)} to ${address(rcpt, LISTED_CHARS)}" @change=${toggle}></label>`;
}

function chooseAll(envelopes) {
  const all = envelopes.length > 0 && envelopes.every(({ envelope }) => state.chosen.has(envelope));
  const toggle = ({ target }) => {
    for (const { envelope } of envelopes) {
      if (target.checked) state.chosen.add(envelope);
      else state.chosen.delete(envelope);
    }
    changed();
  };
  return html`<label class="box"><input type="checkbox" .checked=${all} .indeterminate=${!all && state.chosen.size > 0}
    aria-label="Choose all that are shown" @change=${toggle}></label>`;
}

/** What can be done with what is chosen. It lies above the page: nothing moves when it comes. */
function bar(chosen) {
  if (chosen.length === 0) return nothing;
  return html`
    <div class="bar" role="toolbar" aria-label="For what is chosen">
      <b>${number(chosen.length)} chosen</b>
      ${buttons(chosen)}
      <button class="plain" @click=${() => {
        state.chosen.clear();
        changed();
      }}>None</button>
    </div>
  `;
}

export function buttons(envelopes) {
  return html`
    <button @click=${() => change("retry", envelopes)}>Retry now</button>
    <button @click=${() => change("hold", envelopes)}>Hold</button>
    <button @click=${() => change("release", envelopes)}>Release</button>
    <button class="danger" @click=${() => remove(envelopes)}>Remove…</button>
  `;
}

function filters({ query }) {
  const go = (event) => {
    event.preventDefault();
    location.hash = hrefOf("queue", null, Object.fromEntries(new FormData(event.target.form ?? event.target)));
  };
  const value = (name) => query.get(name) ?? "";
  return html`
    <form class="filters" aria-label="Filter the queue" @submit=${go}>
      <label><span>Message id</span><input name="message" .value=${value(
        "message",
      )} maxlength="16" autocomplete="off" spellcheck="false"></label>
      <label><span>Domain</span><input name="domain" .value=${value(
        "domain",
      )} maxlength="255" autocomplete="off" autocapitalize="off" spellcheck="false"></label>
      <label><span>State</span>
        <select name="state" @change=${go}>
          <option value="">Any</option>
          ${STATES.map((word) =>
            html`<option value=${word} ?selected=${value("state") === word}>${WORDS[word]}</option>`
          )}
        </select>
      </label>
      <button class="primary">Filter</button>
      ${query.size === 0 ? nothing : html`<a class="button" href=${hrefOf("queue")}>Show all</a>`}
    </form>
  `;
}

function none({ query }) {
  if (query.size > 0) {
    return blank(
      "search",
      "Nothing in the queue is like that",
      nothing,
      html`<a class="button" href=${hrefOf("queue")}>Show all</a>`,
    );
  }
  return blank("well", "The queue is empty", "All mail has been delivered, relayed, or given up with a notice.");
}
