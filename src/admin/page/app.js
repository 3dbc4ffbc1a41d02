/** Where the page starts: which view is shown, when it is loaded, and when it is drawn. */

import { render } from "./lit/lit-html.js";
import { get, logout, Problem, readSession } from "./api.js";
import { onacted } from "./acts.js";
import { startKeys } from "./keys.js";
import { foundGone, restartLive, startLive } from "./live.js";
import { measurePlots } from "./plot.js";
import { nextTheme, shell } from "./shell.js";
import { changed, ondraw, placeOf, state } from "./state.js";
import { blank, notify, skeleton, trouble } from "./ui.js";
import { html } from "./lit/lit-html.js";
import { envelope } from "./views/envelope.js";
import { health } from "./views/health.js";
import { lanes } from "./views/lanes.js";
import { login } from "./views/login.js";
import { messages } from "./views/messages.js";
import { overview } from "./views/overview.js";
import { queue } from "./views/queue.js";
import { sessions } from "./views/sessions.js";
import { story } from "./views/story.js";
import { walls } from "./views/walls.js";

/**
 * A view has a `title`, `load(place, tools)`, which returns its data or throws a Problem, and `draw(data, place, tools)`. `renew`: after which news it is loaded
 * anew, and not more often than `everyMs`.
 */
const VIEWS = { overview, messages, queue, lanes, sessions, health, walls, login };
/** The same with an id behind it. */
const VIEWS_OF_ONE = { messages: story, queue: envelope };
/** Times on the page get older. */
const TICK_MS = 5_000;

const root = document.querySelector("#app");
const tools = { get, reload: () => load(), logout: leave, login: entered, theme: nextTheme };
let loading = null;

function viewOf(place) {
  return (place.id === null ? VIEWS : VIEWS_OF_ONE)[place.name] ?? null;
}

/** Loads what is shown. What is there stays until the new is. */
async function load() {
  loading?.abort();
  const mine = loading = new AbortController();
  const { place, view } = state, what = viewOf(place);
  if (what === null || what.load === undefined) {
    state.view = { ...view, data: view.data ?? {}, loading: false };
    return changed();
  }
  view.loading = true;
  try {
    const data = await what.load(place, { ...tools, get: (path, query) => get(path, query, mine.signal) });
    if (mine.signal.aborted) return;
    state.view = { data, problem: null, loading: false, since: Date.now() };
    if (state.link === "gone") restartLive();
  } catch (error) {
    if (mine.signal.aborted) return;
    if (!(error instanceof Problem)) console.error(error);
    if (error.kind === "gone") foundGone();
    // What is there is worth more than a word that nobody answers; the bar below says that.
    const keep = error.kind === "gone" && view.data !== null;
    state.view = { data: keep ? view.data : null, problem: keep ? null : error, loading: false, since: Date.now() };
  }
  changed();
}

function go() {
  const before = state.place;
  state.place = placeOf(location.hash);
  const isOther = before.name !== state.place.name || before.id !== state.place.id;
  state.menuIsOpen = false;
  if (isOther) {
    state.view = { data: null, problem: null, loading: true, since: 0 };
    state.chosen.clear();
    state.local = {};
    scrollTo(0, 0);
  }
  document.title = `${viewOf(state.place)?.title ?? "Not found"} · Vaultpost`;
  const search = document.querySelector("#search");
  if (search !== null) search.value = state.place.name === "messages" ? state.place.query.get("q") ?? "" : "";
  void load();
  changed();
  // Who does not see the page hears its new head.
  wantsHead = isOther && before.name !== "";
}

let wantsHead = false;

let renewed = 0;
function news(what) {
  if (what === "login-needed" && state.session?.scope !== "none") return void learnSession();
  if (what === "back") return void learnSession().then(load);
  const view = viewOf(state.place);
  if (view?.renew?.includes(what) !== true || state.view.loading || state.view.problem !== null) return;
  if (Date.now() - renewed < (view.everyMs ?? 2000)) return;
  renewed = Date.now();
  void load();
}

async function learnSession() {
  const before = state.session;
  try {
    state.session = await readSession();
  } catch (error) {
    if (error.kind === "gone") foundGone();
    return;
  }
  if (before !== null && before.name !== null && state.session.name === null) {
    notify("Your login has ended.", { level: "warn" });
  }
  changed();
}

async function leave() {
  try {
    await logout();
  } catch (error) {
    return notify(error.message, { level: "bad" });
  }
  state.chosen.clear();
  notify("Logged out.", { level: "ok" });
  await learnAndLoad();
}

/** After a login: back to where one came from. */
function entered(session) {
  state.session = session;
  const back = state.place.query.get("back") ?? "#/";
  notify(`Logged in as ${session.name}: may ${session.scope}.`, { level: "ok" });
  restartLive();
  location.hash = back.startsWith("#/") ? back : "#/";
}

async function learnAndLoad() {
  state.session = await readSession().catch(() => state.session);
  restartLive();
  await load();
}

function draw() {
  const { place, view } = state, what = viewOf(place);
  render(shell(contentOf(what, view, place), tools), root, { host: root });
  for (const dialog of root.querySelectorAll("dialog:not([open])")) dialog.showModal();
  const head = wantsHead && root.querySelector("main h1");
  if (head) {
    wantsHead = false;
    head.focus({ preventScroll: true });
  }
  measurePlots(root);
}

function contentOf(what, view, place) {
  if (what === null) {
    return blank(
      "search",
      "There is no such page",
      "The address may be mistyped.",
      html`<a class="button" href="#/">To the overview</a>`,
      "alone",
    );
  }
  if (view.problem !== null) return trouble(view.problem, () => load());
  return view.data === null ? skeleton() : what.draw(view.data, place, tools);
}

ondraw(draw);
onacted(() => void load());
addEventListener("hashchange", go);
startKeys({ theme: nextTheme });
draw();
state.place = { ...state.place, name: "" };
go();
void learnSession();
startLive(news);
setInterval(() => state.link === "gone" || changed(), TICK_MS);
setInterval(() => state.link === "gone" && changed(), 1000);
