/** What stands around each view: name, search, navigation, login, theme, and how news come. */

import { html, nothing } from "./lit/lit-html.js";
import { changed, hrefOf, remembered, state } from "./state.js";
import { HELP, keysAreOn } from "./keys.js";
import { tryNow } from "./live.js";
import { harmless, span } from "./text.js";
import { dialogs, notices } from "./ui.js";

/** Views in the navigation: name, label, and the paths of its picture. */
const NAVIGATION = [
  ["overview", "Overview", "M3 12h4v8H3zM10 4h4v16h-4zM17 9h4v11h-4z"],
  ["messages", "Messages", "M3 6h18v13H3zM3 7l9 7 9-7"],
  ["queue", "Queue", "M4 6h16M4 12h16M4 18h10"],
  ["lanes", "Lanes", "M5 4v16M12 4v5M12 13v2M12 19v1M19 4v16"],
  ["sessions", "Sessions", "M4 8h13l-4-4M20 16H7l4 4"],
  ["health", "TLS and DNS", "M12 3l8 3v6c0 5-3.5 8-8 9-4.500-1-8-4-8-9V6zM8.500 12l2.500 2.500 4.500-5"],
  ["walls", "Walls", "M3 5h18v14H3zM3 12h18M12 5v7M8 12v7M16 12v7"],
];

const LINKS = {
  live: ["ok", "Live"],
  polling: ["info", "Every 4 s"],
  gone: ["bad", "No answer"],
  off: ["quiet", "Waiting"],
};

export function shell(view, acts) {
  const { overview, place } = state;
  return html`
    <a class="skip" href="#main" @click=${skip}>To the content</a>
    <div class="shell ${state.menuIsOpen ? "menu-open" : ""}">
      <header class="top">
        <button class="icon menu" aria-label="Menu" aria-expanded=${String(
          state.menuIsOpen,
        )} aria-controls="navigation" @click=${toggleMenu}>
          <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 7h16M4 12h16M4 17h16"/></svg>
        </button>
        <a class="brand" href="#/" aria-label="Vaultpost, to the overview">
          <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M3 6h18v13H3zM3 7l9 7 9-7"/></svg>
          <span>Vaultpost</span>
        </a>
        <form class="search" role="search" @submit=${search}>
          <input id="search" name="q" type="search" placeholder="Sender, recipient, id, reply …" aria-label="Search messages"
            aria-keyshortcuts="/" maxlength="300" autocomplete="off" autocapitalize="off" spellcheck="false">
          <kbd aria-hidden="true">/</kbd>
        </form>
        <p class="link" title="How news come to this page"><i class=${LINKS[state.link][0]}></i><span>${LINKS[
          state.link
        ][1]}</span></p>
      </header>
      <nav id="navigation" aria-label="Views">
        <p class="host" title=${harmless(overview?.serverName ?? "")}>${harmless(
          overview?.serverName ?? "\u00a0",
          80,
        )}</p>
        <ul>
          ${NAVIGATION.map(([name, label, path]) =>
            html`
              <li>
                <a href=${hrefOf(name)} aria-current=${place.name === name ? "page" : nothing}>
                  <svg viewBox="0 0 24 24" aria-hidden="true"><path d=${path} /></svg>
                  <span>${label}</span>${badge(name)}
                </a>
              </li>
            `
          )}
        </ul>
        <div class="foot">
          ${who(acts)}
          <div class="row">
            <button class="icon" aria-label=${`Theme: ${themeOf()}. Change it`} title=${`Theme: ${themeOf()}`} @click=${acts
              .theme}>
              <svg viewBox="0 0 24 24" aria-hidden="true"><path d=${THEME_PICTURES[themeOf()]} /></svg>
            </button>
            <button class="icon" aria-label="Keyboard help" title="Keyboard help (?)" @click=${openHelp}>
              <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M8 14h8"/></svg>
            </button>
            <span class="soft version">${overview === null
              ? nothing
              : `Version ${harmless(overview.version, 30)}`}</span>
          </div>
        </div>
      </nav>
      ${state.menuIsOpen ? html`<div class="veil" @click=${toggleMenu}></div>` : nothing}
      <main id="main" tabindex="-1" data-place=${place.hash} aria-busy=${String(
        state.view.data === null && state.view.problem === null,
      )}>${view}</main>
    </div>
    ${gone()}${notices()}${help()}${dialogs()}
  `;
}

const THEME_PICTURES = {
  system: "M3 5h18v11H3zM8 20h8M12 16v4",
  light:
    "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.500 1.500M17.500 17.500L19 19M5 19l1.500-1.500M17.500 6.500L19 5",
  dark: "M20 14a8 8 0 1 1-9.500-10A7 7 0 0 0 20 14z",
};

export function themeOf() {
  return document.documentElement.dataset.theme ?? "system";
}

/** System, light, dark, and round again. */
export function nextTheme() {
  const next = { system: "light", light: "dark", dark: "system" }[themeOf()];
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  remembered.set("theme", next === "system" ? null : next);
  changed();
}

function badge(name) {
  const { overview } = state;
  if (overview === null) return nothing;
  if (name === "queue" && overview.envelopes > 0) {
    return html`<b class="badge">${short(overview.envelopes)}<span class="unseen"> envelopes</span></b>`;
  }
  if (name === "sessions" && overview.sessions > 0) {
    return html`<b class="badge">${short(overview.sessions)}<span class="unseen"> open</span></b>`;
  }
  const { errors = 0, warnings = 0 } = overview.checkup ?? {};
  if (name === "health" && errors + warnings > 0) {
    return html`<b class="badge ${errors > 0 ? "bad" : "warn"}">${
      errors + warnings
    }<span class="unseen"> findings</span></b>`;
  }
  return nothing;
}

function short(count) {
  return count < 1000 ? String(count) : count < 100_000 ? `${(count / 1000).toFixed(count < 10_000 ? 1 : 0)}k` : "99k+";
}

function who({ logout }) {
  const { session } = state;
  if (session === null) return html`<p class="who">\u00a0</p>`;
  if (session.name === null || session.name === undefined) {
    const back = state.place.name === "login" ? null : state.place.hash;
    return html`
      <p class="who"><span>${session.scope === "none" ? "Not logged in" : "Reading only"}</span>
        <a href=${hrefOf("login", null, { back })}>Log in</a></p>
    `;
  }
  return html`
    <p class="who"><span><b>${harmless(session.name, 40)}</b> may ${session.scope}</span>
      <button class="plain" @click=${logout}>Log out</button></p>
  `;
}

function gone() {
  if (state.link !== "gone") return nothing;
  const left = Math.max(0, Math.ceil((state.retryAt - Date.now()) / 1000));
  return html`
    <div class="gone" role="alert">
      <p><b>Vaultpost does not answer.</b> What you see is as it was.
        <span aria-hidden="true">${left > 0 ? `Next try in ${span(left * 1000)}.` : "Trying…"}</span></p>
      <button @click=${tryNow}>Try now</button>
    </div>
  `;
}

function help() {
  if (!state.helpIsOpen) return nothing;
  return html`
    <dialog id="help" aria-labelledby="help-title" @close=${closeHelp}>
      <h2 id="help-title">Keyboard</h2>
      <dl class="keys">${HELP.map(([keys, what]) =>
        html`
          <div>
            <dt>${keys}</dt>
            <dd>${what}</dd>
          </div>
        `
      )}</dl>
      <label class="check"><input type="checkbox" .checked=${keysAreOn()} @change=${(event) => {
        remembered.set("keys", event.target.checked ? null : "off");
        changed();
      }}> Single keys act</label>
      <div class="acts"><button class="primary" autofocus @click=${closeHelp}>Close</button></div>
    </dialog>
  `;
}

function openHelp() {
  state.helpIsOpen = true;
  changed();
}

function closeHelp() {
  state.helpIsOpen = false;
  changed();
}

function toggleMenu() {
  state.menuIsOpen = !state.menuIsOpen;
  changed();
}

function skip(event) {
  event.preventDefault();
  document.querySelector("#main").focus();
}

function search(event) {
  event.preventDefault();
  const q = new FormData(event.target).get("q").trim();
  event.target.querySelector("input").blur();
  location.hash = hrefOf("messages", null, { q });
}
