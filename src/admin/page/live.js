/** News of the daemon: by server-sent events, by polling where those do not come, and nothing while nobody looks. */

import { eventsUrl, get, Problem } from "./api.js";
import { changed, state } from "./state.js";

/** How often is asked without events, and how long until they are tried again. */
const POLL_MS = 4_000, TRY_EVENTS_AGAIN_MS = 30_000;
/** Pauses between tries while nobody answers: the first and the longest. */
const FIRST_PAUSE_MS = 1_000, LONGEST_PAUSE_MS = 15_000;
/** The server sends an overview every 2 s: without one for so long the stream is dead. */
const SILENCE_MS = 12_000;
/** Outcomes that are kept. */
const MAX_OUTCOMES = 50;

let source = null;
let timer = 0;
let silence = 0;
let pause = FIRST_PAUSE_MS;
let triedEventsAt = 0;
let tell = () => {};

/** Starts. `onnews` is called with `overview`, `message`, or `back` when the daemon answers again. */
export function startLive(onnews) {
  tell = onnews;
  document.addEventListener("visibilitychange", () => document.hidden ? stop() : begin());
  begin();
}

/** Begins anew, as after a login. */
export function restartLive() {
  stop();
  begin();
}

/** Somebody else found out that nobody answers. */
export function foundGone() {
  if (state.link !== "gone") lost();
}

/** Tries at once, when somebody asks for it. */
export function tryNow() {
  clearTimeout(timer);
  void poll();
}

function stop() {
  source?.close();
  source = null;
  triedEventsAt = 0;
  clearTimeout(timer);
  clearTimeout(silence);
  setLink("off");
}

function begin() {
  if (document.hidden || source !== null) return;
  // Who may not read is told so by an answer, which a stream does not give.
  void poll();
}

function openEvents() {
  triedEventsAt = Date.now();
  const mine = source = new EventSource(eventsUrl());
  const isMine = () => source === mine;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => isMine() && failed(), SILENCE_MS);
  };
  const failed = () => {
    mine.close();
    clearTimeout(silence);
    source = null;
    timer = setTimeout(poll, 0);
  };
  heard();
  mine.addEventListener("overview", ({ data }) => {
    if (!isMine()) return;
    heard();
    clearTimeout(timer);
    pause = FIRST_PAUSE_MS;
    setLink("live");
    take(JSON.parse(data));
  });
  mine.addEventListener("message", ({ data }) => {
    if (!isMine()) return;
    state.outcomes = [{ at: Date.now(), ...JSON.parse(data) }, ...state.outcomes].slice(0, MAX_OUTCOMES);
    tell("message");
    changed();
  });
  // It goes away, or wants a login: what follows is found out by asking.
  mine.addEventListener("bye", () => isMine() && failed());
  mine.addEventListener("error", () => isMine() && failed());
}

async function poll() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const overview = await get("overview");
    pause = FIRST_PAUSE_MS;
    const wasGone = state.link === "gone";
    if (state.link !== "live" || source === null) setLink("polling");
    take(overview);
    if (wasGone) tell("back");
    if (source === null && Date.now() - triedEventsAt >= (wasGone ? 0 : TRY_EVENTS_AGAIN_MS)) openEvents();
    timer = setTimeout(poll, POLL_MS);
  } catch (error) {
    if (error instanceof Problem && error.kind !== "gone") {
      // It answers, but not this: the view says why.
      setLink("off");
      timer = setTimeout(poll, LONGEST_PAUSE_MS);
      if (error.kind === "login-needed") tell("login-needed");
    } else lost();
  }
}

function lost() {
  source?.close();
  source = null;
  clearTimeout(silence);
  clearTimeout(timer);
  state.retryAt = Date.now() + pause;
  setLink("gone");
  timer = setTimeout(poll, pause);
  pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
}

function take(overview) {
  // A look without events has no rates: the last ones are better than none.
  state.overview = { ...overview, rates: overview.rates ?? state.overview?.rates ?? null };
  tell("overview");
  changed();
}

function setLink(link) {
  if (state.link === link) return;
  state.link = link;
  changed();
}
