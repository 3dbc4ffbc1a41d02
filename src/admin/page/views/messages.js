/** Search in the history: one line per message, or per session that brought none. */

import { html, nothing } from "../lit/lit-html.js";
import { changed, hrefOf, state } from "../state.js";
import { address, bytes, counted, harmless, LISTED_CHARS } from "../text.js";
import { blank, chip, heading, table, text, time } from "../ui.js";

const PAGE = 50;
export const OUTCOME_LEVELS = {
  queued: "info",
  delivered: "ok",
  relayed: "ok",
  deferred: "warn",
  held: "warn",
  bounced: "bad",
  expired: "bad",
  refused: "bad",
  mixed: "warn",
  removed: "quiet",
};
/** What may be looked for besides words: name in the API and in the address, and what it is. */
const FIELDS = [["from", "Sender"], ["to", "Recipient"], ["peer", "Client address"], ["reply", "Reply text"]];
const SINCE = [["", "Any time"], ["1h", "Last hour"], ["24h", "Last day"], ["7d", "Last week"]];

export const messages = {
  title: "Messages",
  renew: ["message"],
  everyMs: 5000,
  async load({ query }, { get }) {
    const asked = Object.fromEntries(query);
    const first = await get("messages", { ...asked, limit: PAGE });
    const isSame = state.local.asked === query.toString();
    state.local.asked = query.toString();
    // Pages that were unfolded stay.
    const rest = isSame ? state.view.data?.rest ?? [] : [];
    return { first, rest };
  },
  draw({ first, rest }, place, tools) {
    const rows = [first, ...rest].flatMap(({ items }) => items);
    const known = new Set();
    const items = rows.filter(({ id }) => !known.has(id) && known.add(id));
    const next = (rest.at(-1) ?? first).next;
    return html`
      ${heading("Messages", {
        lead: "Where each one is, and why. Words find sender, recipient, domain, id, client, login and reply.",
      })}
      ${filters(place)}
      ${items.length === 0 ? none(place) : table({
        label: "Messages",
        rows: items,
        key: ({ id }) => id,
        columns: [
          { label: "When", class: "tight bare", cell: ({ lastAt }) => time(lastAt) },
          {
            label: "Outcome",
            class: "tight bare",
            cell: ({ outcome }) => chip(OUTCOME_LEVELS[outcome] ?? "quiet", outcome),
          },
          {
            label: "Message",
            class: "wide title",
            // A session that was refused before there was a sender has the client, as in smtpctl find.
            cell: ({ id, from, to, rcpts, peer }) =>
              html`<a data-row href=${hrefOf("messages", id)}><bdi>${
                from === null ? `[${harmless(peer ?? "?", LISTED_CHARS)}]` : address(from, LISTED_CHARS)
              }</bdi> → <bdi>${harmless(to[0] ?? "?", LISTED_CHARS)}</bdi></a>${
                rcpts > 1
                  ? html`
                    <span class="soft">and ${counted(rcpts - 1, "more", "more")}</span>
                  `
                  : nothing
              }`,
          },
          { label: "Last reply", class: "wide soft clamp", cell: ({ reply }) => text(reply ?? "", 300) },
          {
            label: "Size",
            class: "number tight",
            cell: ({ bytes: size }) => size > 0 ? bytes(size) : "–",
          },
        ],
      })}
      <p class="more">
        ${next === null ? nothing : html`<button @click=${() => more(next, place, tools)}>Show more</button>`}
        ${(rest.at(-1) ?? first).stopped
          ? html`<span class="soft">The search took its time and ended before all was looked at.</span>`
          : nothing}
        ${first.notes.map((note) => html`<span class="soft">${text(note)}</span>`)}
      </p>
    `;
  },
};

async function more(next, place, { get }) {
  const { view } = state;
  const page = await get("messages", { ...Object.fromEntries(place.query), limit: PAGE, before: next }).catch(
    (problem) => {
      view.problem = problem;
      return null;
    },
  );
  if (page !== null && state.view.data !== null) state.view.data.rest.push(page);
  changed();
}

function filters({ query }) {
  const go = (event) => {
    event.preventDefault();
    const words = Object.fromEntries(new FormData(event.target.form ?? event.target));
    location.hash = hrefOf("messages", null, words);
  };
  const value = (name) => query.get(name) ?? "";
  // Where it is narrow the fields are folded, unless one is used.
  const isWhole = state.local.isWhole ?? FIELDS.some(([name]) => query.has(name));
  const unfold = () => {
    state.local.isWhole = !isWhole;
    changed();
  };
  return html`
    <form class="filters ${isWhole ? "whole" : ""}" aria-label="Search in messages" @submit=${go}>
      <label class="grow"><span>Words</span><input name="q" type="search" .value=${value(
        "q",
      )} maxlength="300" autocomplete="off" autocapitalize="off" spellcheck="false"></label>
      ${FIELDS.map(([name, label]) =>
        html`
          <label
            class="field"><span>${label}</span><input name=${name} .value=${value(
              name,
            )} maxlength="300" autocomplete="off" autocapitalize="off" spellcheck="false"></label>
        `
      )}
      <label><span>Outcome</span>
        <select name="outcome" @change=${go}>
          <option value="">Any</option>
          ${Object.keys(OUTCOME_LEVELS).map((word) =>
            html`<option ?selected=${value("outcome") === word}>${word}</option>`
          )}
        </select>
      </label>
      <label><span>When</span>
        <select name="since" @change=${go}>
          ${SINCE.map(([word, label]) =>
            html`<option value=${word} ?selected=${value("since") === word}>${label}</option>`
          )}
        </select>
      </label>
      <button class="primary">Search</button>
      <button type="button" class="plain unfold" aria-expanded=${String(isWhole)} @click=${unfold}>${isWhole
        ? "Fewer"
        : "More"} fields</button>
    </form>
  `;
}

function none({ query }) {
  if (query.size === 0) return blank("empty", "No message yet", "As soon as one is accepted or refused, it is here.");
  return blank(
    "search",
    "Nothing found",
    html`No message that is kept has all of this. An asterisk stands for any text, as in <code>*@example.org</code>.`,
    html`<a class="button" href=${hrefOf("messages")}>Show all</a>`,
  );
}
