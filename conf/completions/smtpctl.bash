# bash completion for smtpctl(8). Written by scripts/tidy.ts --write from the commands in src/cli/smtpctl/commands.ts.

_smtpctl_place() {
  words= kinds=
  case $1 in
    '') words='admin backup check discover dkim dmarc encrypt explain export find import log monitor pause remove restore resume schedule setup show reload stop story top trace untrace update' kinds='' ;;
    'admin') words='revoke token tokens' kinds='' ;;
    'admin revoke') words='' kinds='str' ;;
    'backup') words='' kinds='folder' ;;
    'discover') words='' kinds='evpid msgid folder' ;;
    'discover *') words='' kinds='keyfile' ;;
    'dkim') words='check generate rotate' kinds='' ;;
    'dkim generate') words='' kinds='domain' ;;
    'dkim generate *') words='' kinds='str' ;;
    'dkim rotate') words='' kinds='domain' ;;
    'dmarc') words='read' kinds='' ;;
    'dmarc read') words='' kinds='file' ;;
    'encrypt') words='' kinds='str' ;;
    'export') words='' kinds='folder' ;;
    'import') words='' kinds='folder' ;;
    'log') words='brief verbose' kinds='' ;;
    'pause') words='envelope mda mta smtp' kinds='' ;;
    'pause envelope') words='all domain' kinds='evpid msgid' ;;
    'pause envelope domain') words='' kinds='domain' ;;
    'remove') words='all domain' kinds='evpid msgid' ;;
    'remove domain') words='' kinds='domain' ;;
    'restore') words='' kinds='folder' ;;
    'resume') words='envelope mda mta smtp route' kinds='' ;;
    'resume envelope') words='all domain' kinds='evpid msgid' ;;
    'resume envelope domain') words='' kinds='domain' ;;
    'resume route') words='' kinds='routeid' ;;
    'schedule') words='all domain' kinds='evpid msgid' ;;
    'schedule domain') words='' kinds='domain' ;;
    'show') words='certificates damaged envelope hosts hoststats message queue relays routes stats status' kinds='' ;;
    'show envelope') words='' kinds='evpid' ;;
    'show message') words='' kinds='msgid evpid' ;;
    'show queue') words='' kinds='msgid' ;;
    'trace') words='imsg io smtp mta bounce scheduler lookup stat rules mproc expand tables queue filters all' kinds='' ;;
    'untrace') words='imsg io smtp mta bounce scheduler lookup stat rules mproc expand tables queue filters all' kinds='' ;;
    'update') words='dkim pki table' kinds='' ;;
    'update table') words='' kinds='str' ;;
  esac
}

_smtpctl_options() {
  options='--help --version'
  case $1 in
    'admin' | 'admin '*) options+=' --read --write --name --expires --json' ;;
    'admin tokens'*) options+=' --json' ;;
    'check' | 'check '*) options+=' --json --blocklists -f' ;;
    'discover' | 'discover '*) options+=' --again' ;;
    'dkim check'*) options+=' --json' ;;
    'dmarc read'*) options+=' --json' ;;
    'encrypt' | 'encrypt '*) options+=' --scram' ;;
    'explain' | 'explain '*) options+=' -f -t --peer --peer-name --helo --tls --login --listener --programs --config --record --json -v' ;;
    'find' | 'find '*) options+=' --from --to --domain --message-id --id --peer --login --reply --outcome --since --until --limit --before --json' ;;
    'import' | 'import '*) options+=' --again' ;;
    'monitor' | 'monitor '*) options+=' --json' ;;
    'restore' | 'restore '*) options+=' --force' ;;
    'setup' | 'setup '*) options+=' --domain --hostname --reader --address --certificate --key --mailbox --probe --root --no-start --dry-run' ;;
    'show certificates'*) options+=' --json' ;;
    'show damaged'*) options+=' --json' ;;
    'show envelope'*) options+=' --json' ;;
    'show hosts'*) options+=' --json' ;;
    'show hoststats'*) options+=' --json' ;;
    'show message'*) options+=' --json' ;;
    'show queue'*) options+=' --json' ;;
    'show relays'*) options+=' --json' ;;
    'show routes'*) options+=' --json' ;;
    'show stats'*) options+=' --json' ;;
    'show status'*) options+=' --json' ;;
    'story' | 'story '*) options+=' --dialogue --json' ;;
    'top' | 'top '*) options+=' -i -n --json' ;;
  esac
}

_smtpctl() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} key= words kinds options found= word kind i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case $word in
      --name | --expires | -f | -t | --peer | --peer-name | --helo | --login | --listener | --config | --record | --from | --to | --domain | --message-id | --id | --reply | --outcome | --since | --until | --limit | --before | --hostname | --reader | --address | --certificate | --key | --mailbox | --probe | --root | -i | -n) ((i++)); continue ;;
      -*) continue ;;
    esac
    _smtpctl_place "$key"
    case " $words " in
      *" $word "*) key="${key:+$key }$word" ;;
      *) key="$key *" ;;
    esac
  done
  case $prev in
    --name | --expires | -f | -t | --peer | --peer-name | --helo | --login | --listener | --config | --record | --from | --to | --domain | --message-id | --id | --reply | --outcome | --since | --until | --limit | --before | --hostname | --reader | --address | --certificate | --key | --mailbox | --probe | --root | -i | -n) compopt -o default 2>/dev/null; return ;;
  esac
  if [[ $cur == -* ]]; then
    _smtpctl_options "$key"
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
    return
  fi
  _smtpctl_place "$key"
  for kind in $kinds; do
    case $kind in
      evpid) found+=$(command smtpctl show queue 2>/dev/null | head -n 200 | cut -d '|' -f 1)$'\n' ;;
      msgid) found+=$(command smtpctl show queue 2>/dev/null | head -n 200 | cut -c 1-8 | sort -u)$'\n' ;;
      domain) found+=$(command smtpctl show hoststats 2>/dev/null | head -n 200 | cut -d '|' -f 1)$'\n' ;;
      routeid) found+=$(command smtpctl show routes 2>/dev/null | head -n 200 | cut -d . -f 1)$'\n' ;;
      folder) compopt -o filenames 2>/dev/null; found+=$(compgen -d -- "$cur")$'\n' ;;
      file | keyfile) compopt -o filenames 2>/dev/null; found+=$(compgen -f -- "$cur")$'\n' ;;
    esac
  done
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  # Names of others: compgen -W would expand what is in them.
  while IFS= read -r word; do
    [[ -n $word && $word == "$cur"* ]] && COMPREPLY+=("$word")
  done <<<"$found"
}

complete -F _smtpctl smtpctl
