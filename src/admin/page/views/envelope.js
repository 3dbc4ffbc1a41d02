/** One envelope of the queue, whole. */

import { html, nothing } from "../lit/lit-html.js";
import { hrefOf, state } from "../state.js";
import { address, harmless, number } from "../text.js";
import { code, heading, text, time } from "../ui.js";
import { buttons, standing } from "./queue.js";

export const envelope = {
  title: "Envelope",
  renew: ["overview", "message"],
  everyMs: 4000,
  async load({ id }, { get }) {
    const one = await get(`queue/${encodeURIComponent(id)}`);
    return { envelopes: [one], only: one.envelope };
  },
  draw({ envelopes: [one] }) {
    const { origin } = one;
    const rows = [
      ["State", standing(one)],
      ["Last error", one.error ? text(one.error) : null],
      ["From", html`<bdi>${address(one.sender)}</bdi>`],
      ["Recipient", html`<bdi>${address(one.rcpt)}</bdi>`],
      ["Goes to", one.dest === one.rcpt ? null : html`<bdi>${address(one.dest)}</bdi>`],
      [
        "By",
        html`${
          { mda: "local delivery", mta: "relay", bounce: "notice to the sender" }[one.agent] ?? one.agent
        }, action ${code(one.action)}`,
      ],
      ["As user", one.user ? text(one.user, 100) : null],
      ["Program", one.exec ? code(one.exec) : null],
      [
        "Tries",
        html`${number(one.tries)}${one.lastTryAt === null ? nothing : html`, the last ${time(one.lastTryAt)}`}`,
      ],
      ["Next try", one.dueAt === null || one.state !== "pending" ? null : time(one.dueAt)],
      ["Accepted", time(one.createdAt)],
      ["Expires", time(one.expiresAt)],
      [
        "Client",
        html`${text([origin?.hostname, origin?.address].filter(Boolean).join(" ") || "local", 300)}${
          origin?.helo
            ? html`
              <span class="soft">said ${text(origin.helo, 300)}</span>
            `
            : nothing
        }`,
      ],
      ["Login", origin?.username ? text(origin.username, 100) : null],
      ["Flags", one.flags.length === 0 ? null : one.flags.join(", ")],
      ["Ids", html`${code(one.envelope)} envelope ${code(one.message)} message`],
    ];
    return html`
      <p class="back"><a href=${hrefOf("queue")}>Queue</a></p>
      ${heading("Envelope", {
        lead: html`<bdi>${address(one.sender)}</bdi> → <bdi>${harmless(one.rcpt ?? "", 320)}</bdi>`,
      })}
      <div class="acts strip">
        ${buttons([one])}
        ${state.overview?.history === false
          ? nothing
          : html`<a class="button" href=${hrefOf("messages", one.message)}>Its story</a>`}
      </div>
      <dl class="facts">${rows.filter(([, value]) => value !== null).map(([name, value]) =>
        html`
          <div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>
        `
      )}</dl>
    `;
  },
};
