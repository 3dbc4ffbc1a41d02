/** Login with a token. */

import { html, nothing } from "../lit/lit-html.js";
import { login as enter, Problem } from "../api.js";
import { changed, state } from "../state.js";
import { harmless } from "../text.js";
import { heading, text } from "../ui.js";

export const login = {
  title: "Log in",
  draw(_data, _place, tools) {
    const { session } = state;
    if (session?.name) {
      return html`
        ${heading("Log in")}
        <section class="card narrow">
          <p>You are logged in as <b>${harmless(session.name, 60)}</b> and may ${session.scope}.</p>
          <div
            class="acts"><button @click=${tools
              .logout}>Log out</button><a class="button primary" href="#/">To the overview</a></div>
        </section>
      `;
    }
    const { failure = null, busy = false } = state.local;
    return html`
      ${heading("Log in", { lead: "With a token of this server." })}
      <form class="card narrow" @submit=${(event) => submit(event, tools)}>
        <label><span>Token</span>
          <input id="token" name="token" type="password" required maxlength="200" autocomplete="current-password" autocapitalize="off"
            spellcheck="false" aria-describedby="token-help token-failure" aria-invalid=${String(
              failure !== null,
            )}></label>
        <p class="failure" id="token-failure" role="alert">${failure === null ? nothing : text(failure, 300)}</p>
        <button class="primary" ?disabled=${busy}>${busy ? "Looking…" : "Log in"}</button>
        <p class="soft"
          id="token-help">On the host, <code>smtpctl admin token --write</code> makes one, and shows it once. With <code>--read</code> it may only read.</p>
      </form>
    `;
  },
};

async function submit(event, { login: entered }) {
  event.preventDefault();
  const field = event.target.querySelector("input");
  const token = field.value.trim();
  if (token === "" || state.local.busy) return;
  state.local = { busy: true, failure: null };
  changed();
  try {
    const session = await enter(token);
    field.value = "";
    entered(session);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    state.local = { busy: false, failure: error.message };
    field.select();
    changed();
  }
}
