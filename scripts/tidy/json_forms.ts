/** The names of `--json` in smtpctl(8), which are written from the table in src/cli/smtpctl/json_fields.ts. */

import { JSON_FORMS } from "../../src/cli/smtpctl/json_fields.ts";

const FIRST = '.\\" Written by scripts/tidy.ts --write from src/cli/smtpctl/json_fields.ts up to the next comment.\n';
const LAST = '.\\" End of the names.\n';

/** Takes the text of smtpctl(8) and returns it with the list between its two comments as the table has it. Throws when they are missing. */
export function withJsonForms(page: string): string {
  const start = page.indexOf(FIRST), end = page.indexOf(LAST);
  if (start < 0 || end < start) throw new Error("smtpctl.8 has no place for the names of --json");
  return page.slice(0, start + FIRST.length) + items() + page.slice(end);
}

function items(): string {
  const commands = Object.entries(JSON_FORMS).map(([words, { form, fields }]) => {
    const names = Object.entries(fields).map(([name, about], index, all) => {
      const more = index < all.length - 1 ? " ;" : " .";
      return about === "" ? `.Li ${name}${more}\n` : `.Li ${name}\n.Pq ${escaped(about)}${more}\n`;
    });
    return `.It Sy ${words} Pq ${form === "lines" ? "an object a line" : "one object"}\n${names.join("")}`;
  });
  return `.Bl -tag -width Ds\n${commands.join("")}.El\n`;
}

/** Words that mdoc(7) would take for its own, and commas, which it would move. */
function escaped(text: string): string {
  return text.split(" ").map((word) => /^[A-Z][a-z]$|^-/.test(word) ? `\\&${word}` : word).join(" ").replace(/,$/, "");
}
