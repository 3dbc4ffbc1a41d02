/**
 * The files of the admin page, as text in this module's graph: the isolate may read no file, and so they are there in a checkout, in an installation and in the
 * compiled binary. There is no build: what stands here is what the browser gets. lit-html comes as its package has it.
 */

import document from "./index.html" with { type: "text" };
import icon from "./icon.svg" with { type: "text" };
import style from "./style.css" with { type: "text" };
import theme from "./theme.js" with { type: "text" };
import app from "./app.js" with { type: "text" };
import acts from "./acts.js" with { type: "text" };
import api from "./api.js" with { type: "text" };
import keys from "./keys.js" with { type: "text" };
import live from "./live.js" with { type: "text" };
import plot from "./plot.js" with { type: "text" };
import shell from "./shell.js" with { type: "text" };
import state from "./state.js" with { type: "text" };
import text from "./text.js" with { type: "text" };
import ui from "./ui.js" with { type: "text" };
import envelope from "./views/envelope.js" with { type: "text" };
import health from "./views/health.js" with { type: "text" };
import lanes from "./views/lanes.js" with { type: "text" };
import login from "./views/login.js" with { type: "text" };
import messages from "./views/messages.js" with { type: "text" };
import overview from "./views/overview.js" with { type: "text" };
import queue from "./views/queue.js" with { type: "text" };
import sessions from "./views/sessions.js" with { type: "text" };
import story from "./views/story.js" with { type: "text" };
import walls from "./views/walls.js" with { type: "text" };
import litHtml from "lit-html" with { type: "text" };
import litDirective from "lit-html/directive.js" with { type: "text" };
import litDirectiveHelpers from "lit-html/directive-helpers.js" with { type: "text" };
import litRepeat from "lit-html/directives/repeat.js" with { type: "text" };

/** A file of the page: its Content-Type, and its text. */
export interface PageAsset {
  readonly type: string;
  readonly body: string;
}

/** Leaves out the indentation: a fifth of all. The lines stay where they are, as the browser names them in errors. */
const lean = (text: string): string => text.replace(/^[ \t]+/gm, "");

const script = (body: string): PageAsset => ({
  type: "text/javascript; charset=utf-8",
  // The maps of the package are not here.
  body: lean(body.replace(/^\/\/# sourceMappingURL=.*\n?/m, "")),
});

/** All files by their paths. Other paths belong to other things: views of the page are fragments of `/`. */
export const PAGE_ASSETS: Readonly<Record<string, PageAsset>> = {
  "/": { type: "text/html; charset=utf-8", body: lean(document) },
  "/page/style.css": { type: "text/css; charset=utf-8", body: lean(style) },
  "/page/icon.svg": { type: "image/svg+xml", body: icon },
  "/page/theme.js": script(theme),
  "/page/app.js": script(app),
  "/page/acts.js": script(acts),
  "/page/api.js": script(api),
  "/page/keys.js": script(keys),
  "/page/live.js": script(live),
  "/page/plot.js": script(plot),
  "/page/shell.js": script(shell),
  "/page/state.js": script(state),
  "/page/text.js": script(text),
  "/page/ui.js": script(ui),
  "/page/views/envelope.js": script(envelope),
  "/page/views/health.js": script(health),
  "/page/views/lanes.js": script(lanes),
  "/page/views/login.js": script(login),
  "/page/views/messages.js": script(messages),
  "/page/views/overview.js": script(overview),
  "/page/views/queue.js": script(queue),
  "/page/views/sessions.js": script(sessions),
  "/page/views/story.js": script(story),
  "/page/views/walls.js": script(walls),
  "/page/lit/lit-html.js": script(litHtml),
  "/page/lit/directive.js": script(litDirective),
  "/page/lit/directive-helpers.js": script(litDirectiveHelpers),
  "/page/lit/directives/repeat.js": script(litRepeat),
};
