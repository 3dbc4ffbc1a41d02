/** What can be done to envelopes and to the daemon: with questions where it matters, undo where it can be, and a word on how it ended. */

import { html } from "./lit/lit-html.js";
import { act, Problem } from "./api.js";
import { changed, state } from "./state.js";
import { counted } from "./text.js";
import { notify } from "./ui.js";
import { foundGone } from "./live.js";

/** Removal can be undone for so long. */
export const UNDO_MS = 10_000;
/** Requests at one time. */
const AT_ONCE = 4;

let reload = () => {};
/** Ids of envelopes that are held until they are removed, each with what takes that back. */
export const leaving = new Map();

/** `callback` loads the view anew. */
export function onacted(callback) {
  reload = callback;
}

/** Asks; answers with true for yes. */
export function confirm({ title, body, yes, danger = false }) {
  const before = document.activeElement;
  return new Promise((resolve) => {
    const answer = (is) => {
      if (state.question === null) return;
      state.question = null;
      changed();
      resolve(is);
      requestAnimationFrame(() => before?.isConnected && before.focus());
    };
    state.question = { title, body, yes, danger, answer };
    changed();
  });
}

/** True when acts are possible; says what is missing otherwise. */
export function mayWrite() {
  if (state.session?.scope === "write") return true;
  const isKnown = state.session?.name !== null && state.session?.name !== undefined;
  notify(
    isKnown
      ? "This token may only read. smtpctl admin token --write makes one that may change something."
      : "Log in with a token that may write, then do it again.",
    {
      level: "warn",
      lasts: 9000,
      ...isKnown
        ? {}
        : { act: { label: "Log in", run: () => location.hash = `#/login?back=${encodeURIComponent(location.hash)}` } },
    },
  );
  return false;
}

const DONE = { hold: "held", release: "released", retry: "tried again now" };

/** Holds, releases or retries envelopes. */
export async function change(verb, envelopes) {
  if (envelopes.length === 0 || !mayWrite()) return;
  const { well, notes, failed } = await forEach(envelopes, ({ envelope }) => act("POST", `queue/${envelope}/${verb}`));
  say(`${counted(well, "envelope")} ${well === 1 ? "is" : "are"} ${DONE[verb]}.`, { well, notes, failed });
  reload();
}

/**
 * Removes envelopes: they are held at once, and deleted after 10 s. Who undoes that in time releases those that were not held before. When the page goes away
 * before, they stay held: nothing is lost by an accident.
 */
export async function remove(envelopes) {
  const some = envelopes.filter(({ envelope }) => !leaving.has(envelope));
  if (some.length === 0 || !mayWrite()) return;
  const what = counted(some.length, "envelope");
  const isSure = await confirm({
    title: `Remove ${what}?`,
    body: html`
      <p>${some.length === 1 ? "It is" : "They are"} held now and deleted in ${UNDO_MS / 1000} seconds. Until then you
        can undo it. The sender is not told.</p>
      <p class="soft">If this page is closed before that, ${some.length === 1 ? "it stays" : "they stay"} held in the
        queue.</p>
    `,
    yes: `Remove ${what}`,
    danger: true,
  });
  if (!isSure) return;
  const isHeld = ({ state: its }) => its === "suspended";
  const toHold = some.filter((one) => !isHeld(one));
  const held = await forEach(toHold, ({ envelope }) => act("POST", `queue/${envelope}/hold`));
  const kept = some.filter((one) => isHeld(one) || held.done.includes(one));
  if (kept.length < some.length) say("", { well: 0, notes: held.notes, failed: held.failed });
  if (kept.length === 0) return reload();
  const timer = setTimeout(() => void destroy(kept), UNDO_MS);
  for (const { envelope } of kept) leaving.set(envelope, timer);
  state.chosen.clear();
  notify(`${counted(kept.length, "envelope")} ${kept.length === 1 ? "goes" : "go"} in ${UNDO_MS / 1000} seconds.`, {
    level: "warn",
    lasts: UNDO_MS,
    act: {
      label: "Undo",
      run: () => {
        clearTimeout(timer);
        for (const { envelope } of kept) leaving.delete(envelope);
        void takeBack(kept.filter((one) => held.done.includes(one)));
      },
    },
  });
  reload();
}

async function takeBack(envelopes) {
  if (envelopes.length === 0) {
    notify("Undone: held, as before.", { level: "ok" });
    return reload();
  }
  const { well, notes, failed } = await forEach(envelopes, ({ envelope }) => act("POST", `queue/${envelope}/release`));
  say(`Undone: ${counted(well, "envelope")} released.`, { well, notes, failed });
  reload();
}

async function destroy(envelopes) {
  const { well, notes, failed } = await forEach(envelopes, ({ envelope }) => act("DELETE", `queue/${envelope}`));
  for (const { envelope } of envelopes) leaving.delete(envelope);
  say(`${counted(well, "envelope")} ${well === 1 ? "is" : "are"} removed.`, { well, notes, failed });
  reload();
}

/** Pauses or resumes an agent. */
export async function setPaused(agent, isPaused, name) {
  if (!mayWrite()) return;
  if (isPaused) {
    const isSure = await confirm({
      title: `Pause ${name}?`,
      body: agent === "smtp"
        ? html`<p>No new SMTP connections are taken until it is resumed. Other servers try again later.</p>`
        : html`<p>Mail stays in the queue until it is resumed. What is under way ends as it would.</p>`,
      yes: `Pause ${name}`,
    });
    if (!isSure) return;
  }
  const { well, notes, failed } = await forEach(
    [agent],
    () => act("POST", `${isPaused ? "pause" : "resume"}/${agent}`),
  );
  say(`${name.charAt(0).toUpperCase()}${name.slice(1)} ${isPaused ? "is paused" : "goes on"}.`, {
    well,
    notes,
    failed,
  });
  reload();
}

/** Does it to each, a few at a time. */
async function forEach(things, run) {
  const left = [...things], done = [], notes = new Set(), failed = [];
  const work = async () => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) {
      try {
        const answer = await run(one);
        if (answer?.note) notes.add(answer.note);
        if (answer?.count !== 0) done.push(one);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (error.kind === "gone") foundGone();
        if (error.kind === "unchanged") {
          notes.add(error.message);
          continue;
        }
        // What one may not do, or nobody answers, is so for the others.
        if (["gone", "login-needed", "scope", "csrf"].includes(error.kind)) left.length = 0;
        failed.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { done, well: done.length, notes: [...notes], failed };
}

function say(message, { well, notes, failed }) {
  if (well > 0 && message !== "") notify(message, { level: "ok" });
  for (const note of notes.slice(0, 2)) notify(note, { level: "info" });
  if (failed.length === 0) return;
  const [first] = failed;
  const what = first.kind === "gone" ? "Vaultpost does not answer: nothing was changed." : first.message;
  notify(failed.length === 1 ? what : `${counted(failed.length, "time")}: ${what}`, { level: "bad", lasts: 12_000 });
}
