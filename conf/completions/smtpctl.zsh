#compdef smtpctl
# zsh completion for smtpctl(8). Written by scripts/tidy.ts --write from the commands in src/cli/smtpctl/commands.ts.

_smtpctl_place() {
  words_here=() kinds=()
  case $1 in
    '')
      words_here=('admin' 'backup:Copies the queue, the configuration and the keys into an empty folder, while mail flows.' 'check:Checks DNS, certificates, queue, disks and files, a line per finding; exits with 0, 1 (warnings) or 2 (errors).' 'discover' 'dkim' 'dmarc:Sums up what others report of mail in our name, one line per source; - is standard input.' 'encrypt' 'explain:Tells what would happen to a message, with the lines of the configuration; nothing is sent or stored.' 'export:Writes the queue into a folder of files, and keeps it.' 'find:Finds messages of the history by any word, or by the options, the newest first; exits with 1 for none.' 'import:Takes in what export wrote, each message once but for --again.' 'log' 'monitor:Prints a line of counters every second until it is interrupted.' 'pause' 'remove:Removes envelopes from the queue; nobody is told.' 'restore:Puts back what backup has copied, where there is no queue; --force overwrites files that differ.' 'resume' 'schedule:Makes envelopes due at once.' 'setup:Makes this machine a mail host: asks, writes the configuration and keys, prints the records, sends a mail.' 'show' 'reload:Has smtpd read its configuration again; what is wrong with it is printed, and changes nothing.' 'stop:Ends the daemon in good order.' 'story:Tells what became of a message and why, by its id, that of an envelope or a session, a ref, or its Message-ID.' 'top:Shows what goes on: rates, sessions, the queue by destination, the slowest hosts.' 'trace:Starts the trace lines of a subsystem, or of all, in the log.' 'untrace:Ends the trace lines of a subsystem, or of all.' 'update')
      kinds=() ;;
    'admin')
      words_here=('revoke:Makes a token of the admin page useless at once; its sessions end.' 'token:Makes a token for the admin page and its API, and prints it once.' 'tokens:Lists the tokens of the admin page: scope, when they were made, when they expire, when they were used last.')
      kinds=() ;;
    'admin revoke')
      words_here=()
      kinds=(str) ;;
    'backup')
      words_here=()
      kinds=(folder) ;;
    'discover')
      words_here=()
      kinds=(evpid msgid folder) ;;
    'discover *')
      words_here=()
      kinds=(keyfile) ;;
    'dkim')
      words_here=('check:Compares the records in the DNS with the keys of DKIM, one line per key; exits with 1 if something is wrong.' 'generate:Makes keys of DKIM for a domain, and prints the records and the lines of smtpd.conf for them.' 'rotate:Makes other keys for a domain, which sign when the DNS has their records.')
      kinds=() ;;
    'dkim generate')
      words_here=()
      kinds=(domain) ;;
    'dkim generate *')
      words_here=()
      kinds=(str) ;;
    'dkim rotate')
      words_here=()
      kinds=(domain) ;;
    'dmarc')
      words_here=('read:Sums up what others report of mail in our name, one line per source; - is standard input.')
      kinds=() ;;
    'dmarc read')
      words_here=()
      kinds=(file) ;;
    'encrypt')
      words_here=()
      kinds=(str) ;;
    'export')
      words_here=()
      kinds=(folder) ;;
    'import')
      words_here=()
      kinds=(folder) ;;
    'log')
      words_here=('brief:Ends debug logging and all tracing.' 'verbose:Starts debug logging.')
      kinds=() ;;
    'pause')
      words_here=('envelope:Suspends delivery of envelopes.' 'mda:Stops local deliveries, relaying, or accepting of sessions.' 'mta:Stops local deliveries, relaying, or accepting of sessions.' 'smtp:Stops local deliveries, relaying, or accepting of sessions.')
      kinds=() ;;
    'pause envelope')
      words_here=('all:Suspends delivery of envelopes.' 'domain:Suspends delivery of envelopes.')
      kinds=(evpid msgid) ;;
    'pause envelope domain')
      words_here=()
      kinds=(domain) ;;
    'remove')
      words_here=('all:Removes envelopes from the queue; nobody is told.' 'domain:Removes envelopes from the queue; nobody is told.')
      kinds=(evpid msgid) ;;
    'remove domain')
      words_here=()
      kinds=(domain) ;;
    'restore')
      words_here=()
      kinds=(folder) ;;
    'resume')
      words_here=('envelope:Ends the suspension of envelopes.' 'mda:Ends a pause of deliveries, relaying, or sessions.' 'mta:Ends a pause of deliveries, relaying, or sessions.' 'smtp:Ends a pause of deliveries, relaying, or sessions.' 'route:Enables a route that was disabled after errors; 0 is all of them.')
      kinds=() ;;
    'resume envelope')
      words_here=('all:Ends the suspension of envelopes.' 'domain:Ends the suspension of envelopes.')
      kinds=(evpid msgid) ;;
    'resume envelope domain')
      words_here=()
      kinds=(domain) ;;
    'resume route')
      words_here=()
      kinds=(routeid) ;;
    'schedule')
      words_here=('all:Makes envelopes due at once.' 'domain:Makes envelopes due at once.')
      kinds=(evpid msgid) ;;
    'schedule domain')
      words_here=()
      kinds=(domain) ;;
    'show')
      words_here=('certificates:Lists the certificates in use: where each is from, when it ends, whether obtaining the next one fails.' 'damaged:Lists what could not be read in the spool and is set aside.' 'envelope:Prints what is known of an envelope.' 'hosts:Lists the hosts that mail is relayed to.' 'hoststats:Lists the last answer of each domain that mail is relayed to.' 'message:Prints a message as it is stored.' 'queue:Lists the envelopes in the queue, or those of one message.' 'relays:Lists the relays that mail waits for, with their connectors.' 'routes:Lists the routes to hosts, with their numbers and penalties.' 'stats:Prints all counters.' 'status:Tells what is paused, what is wrong with the spool, and which walls stand.')
      kinds=() ;;
    'show envelope')
      words_here=()
      kinds=(evpid) ;;
    'show message')
      words_here=()
      kinds=(msgid evpid) ;;
    'show queue')
      words_here=()
      kinds=(msgid) ;;
    'trace')
      words_here=('imsg' 'io' 'smtp' 'mta' 'bounce' 'scheduler' 'lookup' 'stat' 'rules' 'mproc' 'expand' 'tables' 'queue' 'filters' 'all')
      kinds=() ;;
    'untrace')
      words_here=('imsg' 'io' 'smtp' 'mta' 'bounce' 'scheduler' 'lookup' 'stat' 'rules' 'mproc' 'expand' 'tables' 'queue' 'filters' 'all')
      kinds=() ;;
    'update')
      words_here=('dkim:Loads the keys of DKIM again at once.' 'pki:Loads certificates and keys again at once.' 'table:Reads the file of a table again.')
      kinds=() ;;
    'update table')
      words_here=()
      kinds=(str) ;;
  esac
}

_smtpctl_options() {
  options=('--help:Prints what it does.' '--version:Prints the version.')
  case $1 in
    'admin' | 'admin '*) options+=('--read:The token may read only.' '--write:The token may read, and change what the page and smtpctl can; so it is without an option.' '--name:What it is called in lists and in the log; without it token-1, token-2 ...' '--expires:After this time it is good no more: 12h, 30d. Without it, it is until it is revoked.' '--json:Prints one JSON document instead of the token.') ;;
    'admin tokens'*) options+=('--json:Prints JSON.') ;;
    'check' | 'check '*) options+=('--json:Prints one JSON document instead of lines.' '--blocklists:Also asks these blocklists for our addresses, by default zen.spamhaus.org, bl.spamcop.net, b.barracudacentral.org.' '-f:Checks this configuration from here, and asks no daemon.') ;;
    'discover' | 'discover '*) options+=('--again:Takes the messages of a spool of OpenSMTPD into the queue, each once but for --again.') ;;
    'dkim check'*) options+=('--json:Prints JSON.') ;;
    'dmarc read'*) options+=('--json:Prints JSON.') ;;
    'encrypt' | 'encrypt '*) options+=('--scram:Prints a SCRAM verifier of a password, or of each line of standard input.') ;;
    'explain' | 'explain '*) options+=('-f:The sender; <> is the null sender. By default the address of From.' '-t:A recipient, at least one.' '--peer:IP address of the client.' '--peer-name:Name of the client, in the place of what the DNS says.' '--helo:What the client calls itself.' '--tls:The client begins TLS.' '--login:The client logs in as this user, with the right password.' '--listener:The listener that it comes to: a tag, an address and port, or socket.' '--programs:Asks the programs of filters and tables, too.' '--config:Explains by this configuration.' '--record:Writes the message with what was decided, for smtpd -n --expect.' '--json:Prints one JSON document.' '-v:Also says why the rules before did not match.') ;;
    'find' | 'find '*) options+=('--from:Of this sender; <> is the null sender.' '--to:To this recipient.' '--domain:From or to an address of this domain.' '--message-id:With this field Message-ID.' '--id:Of this message, envelope, session, or ref of a refusal.' '--peer:From the client with this IP address.' '--login:Of this login.' '--reply:Whose last reply has this text in it.' '--outcome:queued, delivered, relayed, deferred, bounced, expired, removed, held, refused or mixed.' '--since:Not before this time, such as 2h or yesterday; 30 days ago without it.' '--until:Not after this time.' '--limit:Finds at most so many, 1 to 1000; 50 without it.' '--before:Goes on behind the messages of a search before, which has said where.' '--json:Prints an object of JSON for each message.') ;;
    'import' | 'import '*) options+=('--again:Takes in what export wrote, each message once but for --again.') ;;
    'monitor' | 'monitor '*) options+=('--json:Prints JSON.') ;;
    'restore' | 'restore '*) options+=('--force:Puts back what backup has copied, where there is no queue; --force overwrites files that differ.') ;;
    'setup' | 'setup '*) options+=('--domain:The domain that mail is received for.' '--hostname:The full name of this host; mail. before the domain by default.' '--reader:The account that reads the mail for postmaster, abuse and root.' '--address:A public address, where this host does not have it.' '--certificate:self-signed (the default), acme for Let’s Encrypt, the URL of another ACME directory, or a file.' '--key:The key of a certificate that is a file.' '--mailbox:maildir for ~/Maildir, the default; or mbox for /var/mail.' '--probe:Tries port 25 of an exchanger of this domain: are connections out blocked?' '--root:Puts all files below this folder, for a trial. Needs no root.' '--no-start:Starts no daemon and sends no mail.' '--dry-run:Shows files and records, and writes nothing.') ;;
    'show certificates'*) options+=('--json:Prints JSON.') ;;
    'show damaged'*) options+=('--json:Prints JSON.') ;;
    'show envelope'*) options+=('--json:Prints JSON.') ;;
    'show hosts'*) options+=('--json:Prints JSON.') ;;
    'show hoststats'*) options+=('--json:Prints JSON.') ;;
    'show message'*) options+=('--json:Prints JSON.') ;;
    'show queue'*) options+=('--json:Prints JSON.') ;;
    'show relays'*) options+=('--json:Prints JSON.') ;;
    'show routes'*) options+=('--json:Prints JSON.') ;;
    'show stats'*) options+=('--json:Prints JSON.') ;;
    'show status'*) options+=('--json:Prints JSON.') ;;
    'story' | 'story '*) options+=('--dialogue:Also prints what was said in its sessions, as far as that is kept.' '--json:Prints one JSON document.') ;;
    'top' | 'top '*) options+=('-i:Looks again after so many seconds, 0.1 to 60; 2 without it.' '-n:Ends after so many looks.' '--json:Prints an object of JSON each time.') ;;
  esac
}

_smtpctl() {
  local key= word kind skip=
  local -a words_here kinds options found names
  for word in ${words[2,CURRENT-1]}; do
    if [[ -n $skip ]]; then skip=; continue; fi
    case $word in
      --name | --expires | -f | -t | --peer | --peer-name | --helo | --login | --listener | --config | --record | --from | --to | --domain | --message-id | --id | --reply | --outcome | --since | --until | --limit | --before | --hostname | --reader | --address | --certificate | --key | --mailbox | --probe | --root | -i | -n) skip=1; continue ;;
      -*) continue ;;
    esac
    _smtpctl_place "$key"
    names=(${words_here%%:*})
    if [[ " ${names[*]} " == *" $word "* ]]; then
      key="${key:+$key }$word"
    else
      key="$key *"
    fi
  done
  if [[ -n $skip ]]; then _files; return; fi
  if [[ ${words[CURRENT]} == -* ]]; then
    _smtpctl_options "$key"
    _describe -o option options
    return
  fi
  _smtpctl_place "$key"
  (( $#words_here )) && _describe command words_here
  for kind in $kinds; do
    case $kind in
      evpid) found=(${(f)"$(command smtpctl show queue 2>/dev/null | head -n 200 | cut -d '|' -f 1)"}); compadd -a found ;;
      msgid) found=(${(f)"$(command smtpctl show queue 2>/dev/null | head -n 200 | cut -c 1-8 | sort -u)"}); compadd -a found ;;
      domain) found=(${(f)"$(command smtpctl show hoststats 2>/dev/null | head -n 200 | cut -d '|' -f 1)"}); compadd -a found ;;
      routeid) found=(${(f)"$(command smtpctl show routes 2>/dev/null | head -n 200 | cut -d . -f 1)"}); compadd -a found ;;
      folder) _files -/ ;;
      file | keyfile) _files ;;
    esac
  done
}

_smtpctl "$@"
