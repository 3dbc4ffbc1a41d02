/** What the page knows now, and when it is drawn anew. One object for all: who changes it calls `changed`. */

export const state = {
  /** Where the page is: see `placeOf`. */
  place: placeOf(""),
  /** Of the view at that place. */
  view: { data: null, problem: null, loading: true, since: 0 },
  /** The last overview, null before the first. */
  overview: null,
  /** Who is logged in; null before that is known. */
  session: null,
  /** How news come: `live` by server-sent events, `polling`, `gone` when nobody answers, `off` while nobody looks. */
  link: "off",
  /** When the next try is made, in ms since the epoch, while nobody answers. */
  retryAt: 0,
  /** What has happened, the newest first. */
  outcomes: [],
  /** Ids of envelopes that are chosen. */
  chosen: new Set(),
  /** A question that is open: see `confirm` in acts.js. */
  question: null,
  /** What is said below, for a while. */
  notices: [],
  helpIsOpen: false,
  menuIsOpen: false,
  /** What views keep while they are shown: filters, what is unfolded. */
  local: {},
};

let draw = () => {};
let pending = false;

export function ondraw(callback) {
  draw = callback;
}

/** Draws the page in the next frame. Changes of one frame are drawn together. */
export function changed() {
  if (pending) return;
  pending = true;
  // A hidden page has no frames.
  const soon = document.hidden ? (callback) => setTimeout(callback, 0) : requestAnimationFrame;
  soon(() => {
    pending = false;
    draw();
  });
}

/** Takes the fragment of an address apart: `#/queue/ID?state=held`. */
export function placeOf(hash) {
  const [path, query = ""] = hash.replace(/^#?\/?/, "").split("?");
  const parts = path.split("/").filter((part) => part !== "").map(decoded);
  return { name: parts[0] ?? "overview", id: parts[1] ?? null, query: new URLSearchParams(query), hash };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Returns the fragment of a place. Empty values of the query are left out. */
export function hrefOf(name, id = null, query = {}) {
  const words = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== null));
  const path = id === null ? name : `${name}/${encodeURIComponent(id)}`;
  return `#/${path}${words.size > 0 ? `?${words}` : ""}`;
}

/** Reads and writes what the browser remembers of this page; forgets it where it may not. */
export const remembered = {
  get(name) {
    try {
      return localStorage.getItem(name);
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      if (value === null) localStorage.removeItem(name);
      else localStorage.setItem(name, value);
    } catch {
      // For this time only, then.
    }
  },
};
