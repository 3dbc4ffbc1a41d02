/** The story of one message, the reason first; with what was said on the wire, and where each recipient leads. */

import { html, nothing } from "../lit/lit-html.js";
import { changed, hrefOf, state } from "../state.js";
import { address, bytes, counted, harmless, span } from "../text.js";
import { code, heading, text, time } from "../ui.js";

const LEVELS = { ok: "It went well", info: "On its way", warn: "Not over yet", bad: "It failed" };
const KINDS = {
  connection: "Connection",
  refusal: "Refused",
  check: "Check",
  filter: "Filter",
  recipient: "Recipient",
  message: "Message",
  attempt: "Attempt",
  queue: "Queue",
  dsn: "Notice",
};

export const story = {
  title: "Message",
  renew: ["message"],
  everyMs: 4000,
  async load({ id }, { get }) {
    const wantsDialogue = state.local.dialogue === true;
    const told = await get(`messages/${encodeURIComponent(id)}`, wantsDialogue ? { dialogue: 1 } : {});
    return { told, dialogue: told.dialogue ?? null };
  },
  draw({ told, dialogue }, { id }, tools) {
    const { facts } = told;
    return html`
      <p class="back"><a href=${hrefOf("messages")}>Messages</a></p>
      ${heading("Story of a message", { acts: acts(told) })}
      <section class="standing ${told.level}" aria-label="What became of it">
        <p class="word"><i></i><span class="unseen">${LEVELS[told.level] ?? ""}: </span><b>${text(
          told.headline,
        )}</b></p>
        ${told.now.map((line) => html`<p>${text(line)}</p>`)}
      </section>
      ${factsOf(facts, id)}
      <h2>What happened</h2>
      <ol class="timeline">${told.lines.map((line, at) => lineOf(line, told.lines[at - 1]))}</ol>
      ${told.notes.map((note) => html`<p class="soft note">${text(note)}</p>`)}
      ${trees(told.events ?? [])}
      ${dialogues(dialogue, tools)}
      ${rawEvents(told.events)}
    `;
  },
};

function acts({ facts, now }) {
  if (facts.message === null || now.length === 0) return nothing;
  return html`<a class="button" href=${hrefOf("queue", null, { message: facts.message })}>In the queue</a>`;
}

function factsOf(facts, id) {
  const rows = [
    ["From", facts.from === null ? null : html`<bdi>${address(facts.from)}</bdi>`],
    [
      "To",
      facts.to.length === 0
        ? null
        : html`${facts.to.map((to) => html`<span class="item"><bdi>${harmless(to, 320)}</bdi></span>`)}${
          facts.recipients > facts.to.length
            ? html`<span class="soft">and ${counted(facts.recipients - facts.to.length, "more", "more")}</span>`
            : nothing
        }`,
    ],
    ["Client", facts.peer === null ? null : text(facts.peer, 300)],
    ["Login", facts.login === null ? null : text(facts.login, 200)],
    ["Message-ID", facts.messageId === null || facts.messageId === "" ? null : text(facts.messageId, 400)],
    ["Size", facts.bytes === null ? null : bytes(facts.bytes)],
    [
      "First, last",
      facts.firstAt === null ? null : html`${time(facts.firstAt)} – ${time(facts.lastAt ?? facts.firstAt)}`,
    ],
    [
      "Ids",
      html`${
        facts.message === null ? nothing : html`
          ${code(facts.message)} message
        `
      }${facts.session === null ? nothing : html`${code(facts.session)} session`}${
        facts.message === null && facts.session === null ? code(id) : nothing
      }`,
    ],
  ];
  return html`<dl class="facts">${
    rows.filter(([, value]) => value !== null).map(([name, value]) =>
      html`
        <div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>
      `
    )
  }</dl>`;
}

function lineOf(line, before) {
  const gap = before === undefined ? 0 : new Date(line.at) - new Date(before.at);
  return html`
    <li class=${line.level}>
      <p class="soft when">${time(line.at)}${gap >= 1000
        ? html`<span class="gap">${span(gap)} later</span>`
        : nothing}</p>
      <i aria-hidden="true"></i>
      <div>
        <p><span class="kind">${KINDS[line.kind] ?? harmless(line.kind, 30)}</span> ${text(line.text)}</p>
        ${line.detail === undefined || line.detail.length === 0 ? nothing : html`
          <ul class="detail">${line.detail.map((one) => html`<li>${text(one)}</li>`)}</ul>
        `}
      </div>
    </li>
  `;
}

/** Where each recipient leads: rules, aliases, `.forward`, and where it ends. */
function trees(events) {
  const roots = events.flatMap(({ event }) => event.detail?.routed === undefined ? [] : [event.detail.routed].flat());
  if (roots.length === 0) return nothing;
  return html`
    <h2>Where each recipient leads</h2>
    <ul class="tree">${roots.map((root) => node(root, 0))}</ul>
  `;
}

const RESULT_LEVELS = {
  action: "ok",
  expanded: "info",
  reject: "bad",
  none: "bad",
  unknown: "bad",
  error: "warn",
  dropped: "quiet",
  looped: "warn",
};
const RESULTS = {
  action: "goes",
  expanded: "stands for",
  reject: "is rejected",
  none: "no rule takes it",
  unknown: "is not known",
  error: "cannot be decided",
  dropped: "stands here already",
  looped: "leads back to itself",
};

function node(routed, depth) {
  const { goal, rule } = routed;
  const by = [
    routed.how === "recipient" ? null : `by ${routed.how}`,
    routed.table === undefined ? null : `of ${harmless(routed.table, 100)}`,
    rule === null ? null : `${harmless(rule.file, 200)}:${rule.line}`,
  ].filter((part) => part !== null).join(", ");
  const where = goal === undefined
    ? ""
    : `${goal.kind}${goal.user === undefined ? "" : ` as ${harmless(goal.user, 100)}`}${
      goal.text === "" ? "" : ` ${harmless(goal.text, 300)}`
    }`;
  return html`
    <li class=${RESULT_LEVELS[routed.result] ?? "quiet"}>
      <p><b><bdi>${harmless(routed.address, 400)}</bdi></b> <span>${RESULTS[routed.result] ??
        harmless(routed.result, 40)}${routed.action === undefined ? nothing : html`
        by action <code>${harmless(routed.action, 80)}</code>
      `}${where === "" ? nothing : html`
        to <code>${where}</code>
      `}</span>
        ${by === "" ? nothing : html`<span class="soft">${by}</span>`}
        ${routed.reason === undefined ? nothing : html`<span class="soft">${text(routed.reason, 400)}</span>`}</p>
      ${routed.children.length === 0 || depth > 20
        ? nothing
        : html`<ul>${routed.children.map((child) => node(child, depth + 1))}</ul>`}
      ${routed.more === undefined ? nothing : html`<p class="soft">and ${counted(routed.more, "more", "more")}</p>`}
    </li>
  `;
}

function dialogues(dialogue, { get, reload }) {
  const open = async () => {
    state.local.dialogue = true;
    await reload(get);
  };
  return html`
    <h2>What was said</h2>
    ${state.local.dialogue !== true
      ? html`<p><button @click=${open}>Show the dialogue</button> <span class="soft">Commands and replies, without secrets and without mail.</span></p>`
      : dialogue === null
      ? html`<p class="soft">Loading…</p>`
      : dialogue.length === 0
      ? html`<p class="soft">Nothing is kept: dialogues are, for a while, where something went wrong.</p>`
      : dialogue.map(oneDialogue)}
  `;
}

function oneDialogue({ session, side, lines, before = 0 }) {
  const title = side === "out" ? "To the other host" : "From the client";
  return html`
    <h3 class="dialogue-title">${title} <span class="soft">session ${code(session)}</span></h3>
    ${before > 0 ? html`<p class="soft">${counted(before, "line")} before are not kept.</p>` : nothing}
    <ol class="dialogue" aria-label=${title}>${lines.map(({ ms, from, text: said }) =>
      html`
        <li
          class=${from === "client" ? "client" : "server"}><span class="soft">${span(
            ms,
          )}</span><b class="unseen">${from}: </b><code><bdi>${harmless(said, 600)}</bdi></code></li>
      `
    )}</ol>
  `;
}

function rawEvents(events) {
  if (events === undefined || events.length === 0) return nothing;
  const isOpen = state.local.events === true;
  const toggle = (event) => {
    state.local.events = event.currentTarget.open;
    changed();
  };
  return html`
    <details class="raw" @toggle=${toggle}>
      <summary>${counted(events.length, "event")} as recorded</summary>
      ${isOpen
        ? html`<ol>${
          events.map(({ at, isolate, event }) =>
            html`<li><span class="soft">${time(at)} ${harmless(isolate, 60)}</span><pre tabindex="0">${
              harmless(JSON.stringify(event), 20_000)
            }</pre></li>`
          )
        }</ol>`
        : nothing}
    </details>
  `;
}
