/** What all views are made of: tables, chips, states without data, questions and notices. */

import { html, nothing } from "./lit/lit-html.js";
import { repeat } from "./lit/directives/repeat.js";
import { changed, hrefOf, state } from "./state.js";
import { harmless, moment, span, wholeTime } from "./text.js";

/** A stranger's text: in a direction of its own, and harmless. */
export function text(value, most) {
  return html`<bdi>${harmless(value, most)}</bdi>`;
}

export function code(value) {
  return html`<code>${harmless(value, 200)}</code>`;
}

/** A moment, with the whole date for who points at it. */
export function time(value) {
  if (value === null || value === undefined) return html`<span class="soft">–</span>`;
  return html`<time datetime=${value} title=${wholeTime(value)}>${moment(value)}</time>`;
}

/** How long ago. */
export function ago(value) {
  if (value === null || value === undefined) return html`<span class="soft">–</span>`;
  const ms = Date.now() - new Date(value).getTime();
  return html`<time datetime=${value} title=${wholeTime(value)}>${
    span(Math.floor(Math.max(0, ms) / 1000) * 1000)
  }</time>`;
}

/** A word with a level: ok, info, warn, bad, or quiet. The word says it, the colour repeats it. */
export function chip(level, word) {
  return html`<span class="chip ${level}">${word}</span>`;
}

/**
 * A table, which is a list of cards where it is narrow. `columns`: label, cell, and perhaps a class (`number`, `wide`, `tight`). `key` of a row keeps what has
 * the focus.
 */
export function table({ label, columns, rows, key, rowClass = () => "" }) {
  return html`
    <table role="table" aria-label=${label} class="list">
      <thead role="rowgroup">
        <tr role="row">
          ${columns.map((column) =>
            html`<th role="columnheader" scope="col" class=${column.class ?? nothing}>${
              column.head ?? column.label
            }</th>`
          )}
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${repeat(rows, key, (row) =>
          html`
            <tr role="row" class=${rowClass(row) || nothing}>
              ${columns.map((column) =>
                html`<td role="cell" class=${column.class ?? nothing} data-label=${column.label}>${
                  column.cell(row)
                }</td>`
              )}
            </tr>
          `)}
      </tbody>
    </table>
  `;
}

/** The head of a view: its name, what it is in a sentence, and what can be done. */
export function heading(title, { lead = nothing, acts = nothing } = {}) {
  return html`
    <header class="heading">
      <div>
        <h1 tabindex="-1">${title}</h1>
        ${lead === nothing ? nothing : html`<p class="lead">${lead}</p>`}
      </div>
      ${acts === nothing ? nothing : html`<div class="acts">${acts}</div>`}
    </header>
  `;
}

const PICTURES = {
  empty: html`
    <svg viewBox="0 0 48 48" aria-hidden="true">
      <path d="M8 14h32v22H8z M8 15l16 13 16-13" />
    </svg>
  `,
  search: html`
    <svg viewBox="0 0 48 48" aria-hidden="true">
      <circle cx="21" cy="21" r="11" />
      <path d="M29 29l10 10" />
    </svg>
  `,
  lock: html`
    <svg viewBox="0 0 48 48" aria-hidden="true">
      <path d="M12 22h24v18H12z M17 22v-6a7 7 0 0 1 14 0v6" />
    </svg>
  `,
  clock: html`
    <svg viewBox="0 0 48 48" aria-hidden="true">
      <circle cx="24" cy="24" r="16" />
      <path d="M24 14v10l7 5" />
    </svg>
  `,
  gone: html`
    <svg viewBox="0 0 48 48" aria-hidden="true">
      <path d="M14 20v-8M22 20v-8M10 20h16v6a8 8 0 0 1-16 0z M18 34v4h10M34 38h6" />
    </svg>
  `,
  warn: html`
    <svg viewBox="0 0 48 48" aria-hidden="true">
      <path d="M24 8l18 32H6z M24 20v10M24 34v1" />
    </svg>
  `,
  well: html`
    <svg viewBox="0 0 48 48" aria-hidden="true">
      <circle cx="24" cy="24" r="16" />
      <path d="M17 24l5 5 9-10" />
    </svg>
  `,
};

/** What stands where there is nothing else to show: a picture, what it is, and what to do. `alone`: it is the whole view, and its title that of the page. */
export function blank(picture, title, body = nothing, acts = nothing, alone = "") {
  return html`
    <section class="blank">
      ${PICTURES[picture]}
      ${alone === "alone" ? html`<h1 tabindex="-1">${title}</h1>` : html`<h2>${title}</h2>`}
      ${body === nothing ? nothing : html`<p>${body}</p>`}
      ${acts === nothing ? nothing : html`<div class="acts">${acts}</div>`}
    </section>
  `;
}

/** Lines that stand for what comes. */
export function skeleton() {
  return html`
    <div class="skeleton" role="status">
      <span class="unseen">Loading</span>
      <i></i><i></i><i></i><i></i><i></i><i></i>
    </div>
  `;
}

const alone = (picture, title, body, acts = nothing) => blank(picture, title, body, acts, "alone");

/** What is shown instead of a view that could not be had, by its problem. */
export function trouble(problem, again) {
  const retry = html`<button class="primary" @click=${again}>Try again</button>`;
  switch (problem.kind) {
    case "login-needed":
      return alone(
        "lock",
        "Log in to see this",
        html`Who runs this server makes a token with <code>smtpctl admin token</code>.`,
        html`<a class="button primary" href=${hrefOf("login")}>Log in</a>`,
      );
    case "scope":
      return alone("lock", "This token may not do that", problem.message);
    case "history-off":
      return alone(
        "clock",
        "History is off",
        html`Stories of messages are kept with a line such as <code>history keep 30d</code> in smtpd.conf. Until then,
          what is in the queue can be seen, and the log has the rest.`,
        html`<a class="button" href=${hrefOf("queue")}>Look into the queue</a>`,
      );
    case "gone":
      return alone(
        "gone",
        "Vaultpost does not answer",
        html`It may be restarting. This page tries again by itself. On the host, <code>smtpctl show status</code> says
          more.`,
        retry,
      );
    case "not-found":
      return alone(
        "search",
        "There is no such thing",
        text(problem.message, 300),
        html`<a class="button" href="#/">To the overview</a>`,
      );
    case "rate":
      return alone("clock", "Too many requests", text(problem.message, 300), retry);
    default:
      return alone("warn", "That did not work", text(problem.message, 300), retry);
  }
}

/** The question that is open, as a dialog of the browser: it keeps the focus, and Escape says no. */
export function dialogs() {
  const { question } = state;
  if (question === null) return nothing;
  return html`
    <dialog id="question" aria-labelledby="question-title" @close=${() => question.answer(false)}>
      <form method="dialog" @submit=${(event) => {
        event.preventDefault();
        question.answer(true);
      }}>
        <h2 id="question-title">${question.title}</h2>
        <div class="prose">${question.body}</div>
        <div class="acts">
          <button type="button" @click=${() => question.answer(false)}>Cancel</button>
          <button type="submit" class=${question.danger ? "danger" : "primary"} autofocus>${question.yes}</button>
        </div>
      </form>
    </dialog>
  `;
}

/** Says something below for a while; with an act, as undo. Returns what takes it away. */
export function notify(message, { level = "info", act = null, lasts = 6000 } = {}) {
  const notice = { id: crypto.getRandomValues(new Uint32Array(1))[0], message, level, act, counts: act !== null };
  const end = () => {
    clearTimeout(timer);
    state.notices = state.notices.filter((one) => one !== notice);
    changed();
  };
  const timer = setTimeout(end, lasts);
  notice.end = end;
  state.notices = [...state.notices.slice(-3), notice];
  changed();
  return end;
}

export function notices() {
  return html`
    <div class="notices" role="status" aria-live="polite">
      ${repeat(state.notices, ({ id }) => id, ({ message, level, act, counts, end }) =>
        html`
          <div class="notice ${level} ${counts ? "counts" : ""}">
            <span>${message}</span>
            ${act === null ? nothing : html`
              <button data-undo @click=${() => {
                end();
                act.run();
              }}>${act.label}</button>
            `}
            <button class="icon" aria-label="Dismiss" @click=${end}>×</button>
          </div>
        `)}
    </div>
  `;
}
