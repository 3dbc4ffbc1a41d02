/** The keyboard: single keys, which can be turned off, and rows that are walked through. */

import { changed, hrefOf, remembered, state } from "./state.js";
import { change, remove } from "./acts.js";

/** Views by the key behind `g`. */
export const VIEW_KEYS = {
  o: "overview",
  m: "messages",
  q: "queue",
  l: "lanes",
  s: "sessions",
  t: "health",
  w: "walls",
};
/** A `g` waits so long for its second key. */
const SEQUENCE_MS = 1200;

/** What the help lists. */
export const HELP = [
  ["/", "Search"],
  ["?", "This help"],
  ["j, k", "Next and previous row"],
  ["Enter", "Open the row"],
  ["x", "Choose the row"],
  ["h, r, t", "Hold, release, try now: what is chosen, or the row"],
  ["#", "Remove: what is chosen, or the row"],
  ["u", "Undo"],
  ["g, then o m q l s t w", "Overview, messages, queue, lanes, sessions, TLS and DNS, walls"],
  ["d", "Light or dark"],
  ["Esc", "Close, or choose nothing"],
];

let wentAt = 0;

export function keysAreOn() {
  return remembered.get("keys") !== "off";
}

export function startKeys({ theme }) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return escape(event);
    if (isWriting(event.target) || state.question !== null || document.querySelector("dialog[open]") !== null) return;
    if (!keysAreOn()) return;
    if (press(event.key, theme)) event.preventDefault();
  });
}

function escape(event) {
  if (document.querySelector("dialog[open]") !== null) return;
  if (isWriting(event.target)) return event.target.blur();
  if (state.menuIsOpen) state.menuIsOpen = false;
  else state.chosen.clear();
  changed();
}

/** Returns whether the key means something. */
function press(key, theme) {
  if (Date.now() - wentAt < SEQUENCE_MS && VIEW_KEYS[key] !== undefined) {
    wentAt = 0;
    location.hash = hrefOf(VIEW_KEYS[key]);
    return true;
  }
  wentAt = 0;
  switch (key) {
    case "/":
      document.querySelector("#search")?.focus();
      return true;
    case "?":
      state.helpIsOpen = true;
      changed();
      return true;
    case "g":
      wentAt = Date.now();
      return true;
    case "j":
      return walk(1);
    case "k":
      return walk(-1);
    case "d":
      theme();
      return true;
    case "u":
      document.querySelector("[data-undo]")?.click();
      return true;
    default:
      return onRows(key);
  }
}

function walk(step) {
  const rows = [...document.querySelectorAll("main [data-row]")];
  if (rows.length === 0) return false;
  const row = document.activeElement?.closest("tr, li, article");
  const at = rows.findIndex((one) => one === document.activeElement || (row !== null && row?.contains(one)));
  const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}

/** Keys of the queue: on what is chosen, or on the row that has the focus. */
function onRows(key) {
  const { data } = state.view;
  const items = data?.envelopes ?? null;
  if (items === null) return false;
  const id = document.activeElement?.closest("[data-envelope]")?.dataset.envelope ?? data.only ?? null;
  if (key === "x") {
    if (id === null || data.only !== undefined) return false;
    if (!state.chosen.delete(id)) state.chosen.add(id);
    changed();
    return true;
  }
  const some = items.filter(({ envelope }) => state.chosen.size > 0 ? state.chosen.has(envelope) : envelope === id);
  if (some.length === 0) return false;
  const verb = { h: "hold", r: "release", t: "retry" }[key];
  if (verb !== undefined) void change(verb, some);
  else if (key === "#" || key === "Delete") void remove(some);
  else return false;
  return true;
}

function isWriting(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName) ||
    (target.tagName === "INPUT" && !/^(checkbox|radio|button)$/.test(target.type)));
}
