/** What shells complete of smtpctl, written from its table of commands: conf/completions/smtpctl.{bash,zsh,fish}. */

import { COMMANDS } from "../../src/cli/smtpctl/commands.ts";
import { JSON_FORMS } from "../../src/cli/smtpctl/json_fields.ts";
import { TRACES } from "../../src/events/types.ts";

/** What may stand at a place: words with a sentence each, and kinds of parameters. */
interface Place {
  readonly words: Map<string, string>;
  readonly kinds: Set<string>;
}

interface Option {
  readonly name: string;
  readonly about: string;
  /** Its argument is in the next word: `file` or `folder` where it is one, else any word. */
  readonly value?: string;
}

/** Stands for any parameter in the key of a place. */
const PARAMETER = "*";
const SUBSYSTEMS = ["trace", "untrace"];
const HELP: readonly Option[] = [
  { name: "--help", about: "Prints what it does." },
  { name: "--version", about: "Prints the version." },
];
const HEADER = "Written by scripts/tidy.ts --write from the commands in src/cli/smtpctl/commands.ts.";

/** The places by the words in front of them. */
function placesOf(): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const { pattern, about } of COMMANDS) {
    const tokens = pattern.split(" ").filter((token) => !token.startsWith("-"));
    let key = "";
    for (const [index, token] of tokens.entries()) {
      const place = places.get(key) ?? { words: new Map<string, string>(), kinds: new Set<string>() };
      places.set(key, place);
      const isParameter = token.startsWith("<");
      if (isParameter) place.kinds.add(token.slice(1, -1));
      else {
        const known = place.words.get(token);
        // Several commands begin with the word: what it says follows from the next one.
        place.words.set(token, known === undefined || known === about ? about : "");
        if (index === 0 && SUBSYSTEMS.includes(token)) {
          places.set(token, { words: new Map([...TRACES, "all"].map((name) => [name, ""])), kinds: new Set() });
        }
      }
      key = key === "" ? token : `${key} ${isParameter ? PARAMETER : token}`;
    }
  }
  for (const command of SUBSYSTEMS) places.get(command)!.kinds.clear();
  return places;
}

/** The options by the words of the command that they belong to. */
function optionsOf(): Map<string, Option[]> {
  const options = new Map<string, Option[]>();
  const add = (key: string, option: Option) => {
    const list = options.get(key) ?? [];
    options.set(key, list);
    if (!list.some(({ name }) => name === option.name)) list.push(option);
  };
  for (const { pattern, about, options: own = [] } of COMMANDS) {
    const [first, ...more] = pattern.split(" ");
    for (const token of more) if (token.startsWith("-")) add(first!, { name: token, about });
    for (const { name, about, value, optional } of own) {
      add(first!, { name, about, ...value === undefined || optional ? {} : { value } });
    }
  }
  for (const words of Object.keys(JSON_FORMS)) add(words, { name: "--json", about: "Prints JSON." });
  return options;
}

/** The same for all three: what to ask for of each kind of parameter, as lines of sh that print candidates. */
const ASKED: Readonly<Record<string, string>> = {
  evpid: `command smtpctl show queue 2>/dev/null | head -n 200 | cut -d '|' -f 1`,
  msgid: `command smtpctl show queue 2>/dev/null | head -n 200 | cut -c 1-8 | sort -u`,
  domain: `command smtpctl show hoststats 2>/dev/null | head -n 200 | cut -d '|' -f 1`,
  routeid: `command smtpctl show routes 2>/dev/null | head -n 200 | cut -d . -f 1`,
};
const FILES = ["file", "keyfile"], FOLDERS = ["folder"];

const sorted = <T>(map: ReadonlyMap<string, T>): [string, T][] =>
  [...map].sort(([one], [other]) => one < other ? -1 : 1);
/** In single quotes, for all three shells. */
const quoted = (text: string) => `'${text.replaceAll("'", "’")}'`;
/** Options of the command and of those that it begins. */
const caseKey = (key: string) => key.includes(" ") ? `${quoted(key)}*` : `${quoted(key)} | ${quoted(`${key} `)}*`;

/** What stands behind a word must not be asked of the daemon before there is a word: only where ids can stand. */
function bash(): string {
  const places = sorted(placesOf()).map(([key, { words, kinds }]) =>
    `    ${quoted(key)}) words=${quoted([...words.keys()].join(" "))} kinds=${quoted([...kinds].join(" "))} ;;\n`
  );
  const options = sorted(optionsOf()).map(([key, list]) =>
    `    ${caseKey(key)}) options+=${quoted(` ${list.map(({ name }) => name).join(" ")}`)} ;;\n`
  );
  const values = [
    ...new Set([...optionsOf().values()].flat().flatMap(({ name, value }) => value === undefined ? [] : [name])),
  ];
  const asked = Object.entries(ASKED).map(([kind, command]) => `      ${kind}) found+=$(${command})$'\\n' ;;\n`);
  return `# bash completion for smtpctl(8). ${HEADER}

_smtpctl_place() {
  words= kinds=
  case $1 in
${places.join("")}  esac
}

_smtpctl_options() {
  options='${HELP.map(({ name }) => name).join(" ")}'
  case $1 in
${options.join("")}  esac
}

_smtpctl() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} key= words kinds options found= word kind i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
      ${values.join(" | ")}) ((i++)); continue ;;
      -*) continue ;;
    esac
    _smtpctl_place "$key"
    case " $words " in
      *" $word "*) key="\${key:+$key }$word" ;;
      *) key="$key ${PARAMETER}" ;;
    esac
  done
  case $prev in
    ${values.join(" | ")}) compopt -o default 2>/dev/null; return ;;
  esac
  if [[ $cur == -* ]]; then
    _smtpctl_options "$key"
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
    return
  fi
  _smtpctl_place "$key"
  for kind in $kinds; do
    case $kind in
${asked.join("")}      ${FOLDERS.join(" | ")}) compopt -o filenames 2>/dev/null; found+=$(compgen -d -- "$cur")$'\\n' ;;
      ${FILES.join(" | ")}) compopt -o filenames 2>/dev/null; found+=$(compgen -f -- "$cur")$'\\n' ;;
    esac
  done
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  # Names of others: compgen -W would expand what is in them.
  while IFS= read -r word; do
    [[ -n $word && $word == "$cur"* ]] && COMPREPLY+=("$word")
  done <<<"$found"
}

complete -F _smtpctl smtpctl
`;
}

function zsh(): string {
  const entry = (word: string, about: string) =>
    quoted(`${word.replaceAll(":", "\\:")}${about === "" ? "" : `:${about}`}`);
  const places = sorted(placesOf()).map(([key, { words, kinds }]) =>
    `    ${quoted(key)})\n      words_here=(${[...words].map(([word, about]) => entry(word, about)).join(" ")})\n` +
    `      kinds=(${[...kinds].join(" ")}) ;;\n`
  );
  const options = sorted(optionsOf()).map(([key, list]) =>
    `    ${caseKey(key)}) options+=(${list.map(({ name, about }) => entry(name, about)).join(" ")}) ;;\n`
  );
  const values = [
    ...new Set([...optionsOf().values()].flat().flatMap(({ name, value }) => value === undefined ? [] : [name])),
  ];
  const asked = Object.entries(ASKED).map(([kind, command]) =>
    `      ${kind}) found=(\${(f)"$(${command})"}); compadd -a found ;;\n`
  );
  return `#compdef smtpctl
# zsh completion for smtpctl(8). ${HEADER}

_smtpctl_place() {
  words_here=() kinds=()
  case $1 in
${places.join("")}  esac
}

_smtpctl_options() {
  options=(${HELP.map(({ name, about }) => entry(name, about)).join(" ")})
  case $1 in
${options.join("")}  esac
}

_smtpctl() {
  local key= word kind skip=
  local -a words_here kinds options found names
  for word in \${words[2,CURRENT-1]}; do
    if [[ -n $skip ]]; then skip=; continue; fi
    case $word in
      ${values.join(" | ")}) skip=1; continue ;;
      -*) continue ;;
    esac
    _smtpctl_place "$key"
    names=(\${words_here%%:*})
    if [[ " \${names[*]} " == *" $word "* ]]; then
      key="\${key:+$key }$word"
    else
      key="$key ${PARAMETER}"
    fi
  done
  if [[ -n $skip ]]; then _files; return; fi
  if [[ \${words[CURRENT]} == -* ]]; then
    _smtpctl_options "$key"
    _describe -o option options
    return
  fi
  _smtpctl_place "$key"
  (( $#words_here )) && _describe command words_here
  for kind in $kinds; do
    case $kind in
${asked.join("")}      ${FOLDERS.join(" | ")}) _files -/ ;;
      ${FILES.join(" | ")}) _files ;;
    esac
  done
}

_smtpctl "$@"
`;
}

function fish(): string {
  const when = (key: string) => `-n "test (__smtpctl_key) = ${quoted(key)}"`;
  const lines = sorted(placesOf()).flatMap(([key, { words, kinds }]) => [
    ...[...words].map(([word, about]) =>
      `complete -c smtpctl ${when(key)} -a ${word}${about === "" ? "" : ` -d ${quoted(about)}`}\n`
    ),
    ...[...kinds].flatMap((kind) => {
      if (ASKED[kind] !== undefined) return [`complete -c smtpctl ${when(key)} -a "(${ASKED[kind]})"\n`];
      if (FOLDERS.includes(kind)) return [`complete -c smtpctl ${when(key)} -a "(__fish_complete_directories)"\n`];
      return FILES.includes(kind) ? [`complete -c smtpctl ${when(key)} -F\n`] : [];
    }),
  ]);
  const options = sorted(optionsOf()).flatMap(([key, list]) =>
    list.map(({ name, about, value }) => {
      const form = name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`;
      const at = `-n "string match -q -- ${quoted(`${key} *`)} (__smtpctl_key)' '"`;
      return `complete -c smtpctl ${at} ${form}${value === undefined ? "" : " -r -F"} -d ${quoted(about)}\n`;
    })
  );
  const help = HELP.map(({ name, about }) => `complete -c smtpctl -l ${name.slice(2)} -d ${quoted(about)}\n`);
  const values = [
    ...new Set([...optionsOf().values()].flat().flatMap(({ name, value }) => value === undefined ? [] : [name])),
  ];
  const literal = sorted(placesOf()).map(([key, { words }]) =>
    `        case ${quoted(key)}\n            set words ${[...words.keys()].join(" ")}\n`
  );
  return `# fish completion for smtpctl(8). ${HEADER}

function __smtpctl_words
    set -l words
    switch "$argv[1]"
${literal.join("")}    end
    printf '%s\\n' $words
end

function __smtpctl_key
    set -l key
    set -l skip
    for word in (commandline -opc)[2..-1]
        if test -n "$skip"
            set skip
            continue
        end
        switch $word
            case ${values.join(" ")}
                set skip 1
                continue
            case '-*'
                continue
        end
        if contains -- $word (__smtpctl_words "$key")
            set key $key $word
        else
            set key $key '${PARAMETER}'
        end
        set key "$key"
    end
    echo "$key"
end

complete -c smtpctl -f
${lines.join("")}${help.join("")}${options.join("")}`;
}

/** The files by path. */
export const COMPLETIONS: Readonly<Record<string, () => string>> = {
  "conf/completions/smtpctl.bash": bash,
  "conf/completions/smtpctl.zsh": zsh,
  "conf/completions/smtpctl.fish": fish,
};
