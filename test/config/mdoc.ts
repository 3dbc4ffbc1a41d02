/** What manual pages show literally, as a reader sees it. */

const ESCAPES: Readonly<Record<string, string>> = { "e": "\\", "&": "", "(ha": "^", "(ti": "~", "(dq": '"' };

/** The text between each `.Bd -literal` and its `.Ed`, of a page in conf/man or of one section of it. */
export function literalBlocks(page: string, section?: string): string[] {
  const text = Deno.readTextFileSync(new URL(`../../conf/man/${page}`, import.meta.url));
  const part = section === undefined ? text : text.split(`\n.Sh ${section}\n`)[1]?.split("\n.Sh ")[0] ?? "";
  return [...part.matchAll(/^\.Bd -literal.*\n([^]*?)^\.Ed$/gm)].map(([, block]) => asRead(block!));
}

function asRead(block: string): string {
  return block.replace(/\\(\(..|.)/g, (whole, name: string) => {
    const meaning = ESCAPES[name];
    if (meaning === undefined) throw new Error(`unknown escape ${whole}`);
    return meaning;
  });
}
