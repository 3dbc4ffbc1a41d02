/** What tests have the browser do: these functions run in the page, whose globals are not those of the tests. */

export const go = (fragment) => {
  location.hash = fragment;
};

export const isThere = (fragment) => {
  const main = document.querySelector("main");
  return main?.dataset.place === fragment && main.ariaBusy === "false";
};

/** Runs before the page: notes what moves by itself, and what the policy forbids. */
export const watch = () => {
  const seen = Object.assign(globalThis, { shift: 0, violations: [] });
  document.addEventListener(
    "securitypolicyviolation",
    ({ violatedDirective, blockedURI }) => seen.violations.push(`${violatedDirective} ${blockedURI}`),
  );
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) seen.shift += value;
  }).observe({ type: "layout-shift", buffered: true });
};

export const watched = () => ({ shift: globalThis.shift, violations: globalThis.violations });

export const hasAxe = () => "axe" in globalThis;

/** What axe-core finds: a line per rule that is broken. */
export const axeFindings = async () => {
  const { violations } = await globalThis.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    resultTypes: ["violations"],
  });
  return violations.map(({ id, nodes }) =>
    `${location.hash} ${id}: ${nodes.slice(0, 3).map((node) => `${node.html} ${node.failureSummary}`).join(" | ")}`
  );
};

export const widths = () => [document.documentElement.scrollWidth, innerWidth];

export const textIs = ({ selector, text }) => document.querySelector(selector)?.textContent === text;

export const countIs = ({ selector, count }) => document.querySelectorAll(selector).length === count;

export const title = () => document.title;

export const focusTag = () => document.activeElement?.tagName;

/** Name and outline of what has the focus. */
export const focus = () => {
  const one = document.activeElement;
  return [one.getAttribute("aria-label") ?? one.textContent.trim().slice(0, 30), getComputedStyle(one).outlineStyle];
};

export const theme = () => document.documentElement.dataset.theme ?? "system";

export const rememberedTheme = () => localStorage.getItem("theme");

/** Texts of lists that stand in a column of a few letters, or are cut although their cell has room beside them. */
export const squeezed = () =>
  [...document.querySelectorAll(".list .clamp > bdi")]
    .filter((one) => one.textContent.length > 20 && one.getBoundingClientRect().width < 150)
    .map((one) => one.textContent.slice(0, 40));
