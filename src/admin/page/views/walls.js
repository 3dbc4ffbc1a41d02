/** Processes, what is in them, and what keeps them in, as it stands. */

import { html, nothing } from "../lit/lit-html.js";
import { counted, harmless } from "../text.js";
import { blank, chip, heading, text } from "../ui.js";

export const walls = {
  title: "Walls",
  renew: ["overview"],
  everyMs: 30_000,
  async load(_place, { get }) {
    return { rows: (await get("walls")).items };
  },
  draw({ rows }) {
    return html`
      ${heading("Permissions and walls", {
        lead: "What each process may do, as the kernel and the runtime have it now.",
      })}
      ${rows.length === 0 ? blank("lock", "Nothing is known of the walls", "The daemon did not tell.") : html`
        <div class="walls">${rows.map((row) =>
          html`
            <section class="wall" aria-label=${harmless(row.process, 60)}>
              <h2>${harmless(row.process, 60)} ${row.pid === null
                ? chip("bad", "does not run")
                : html`<span class="soft">pid ${row.pid}</span>`}
                ${row.missing.length === 0
                  ? chip("ok", "all walls stand")
                  : chip("bad", `${counted(row.missing.length, "wall")} missing`)}</h2>
              <p class="isolates"><span class="unseen">Isolates: </span>${row.isolates.map((name) =>
                html`
                  <code>${harmless(name, 60)}</code>
                `
              )}</p>
              ${lines("What stands", row.stands, "ok")}${lines("What is missing", row.missing, "bad")}${lines(
                "What it says",
                row.says,
                "info",
              )}
            </section>
          `
        )}</div>
      `}
    `;
  },
};

function lines(title, all, level) {
  if (all.length === 0) return nothing;
  return html`
    <h3>${title}</h3>
    <ul class="marks ${level}">${all.map((line) => html`<li>${text(line, 600)}</li>`)}</ul>
  `;
}
