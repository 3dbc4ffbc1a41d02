# fish completion for smtpctl(8). Written by scripts/tidy.ts --write from the commands in src/cli/smtpctl/commands.ts.

function __smtpctl_words
    set -l words
    switch "$argv[1]"
        case ''
            set words admin backup check discover dkim dmarc encrypt explain export find import log monitor pause remove restore resume schedule setup show reload stop story top trace untrace update
        case 'admin'
            set words revoke token tokens
        case 'admin revoke'
            set words 
        case 'backup'
            set words 
        case 'discover'
            set words 
        case 'discover *'
            set words 
        case 'dkim'
            set words check generate rotate
        case 'dkim generate'
            set words 
        case 'dkim generate *'
            set words 
        case 'dkim rotate'
            set words 
        case 'dmarc'
            set words read
        case 'dmarc read'
            set words 
        case 'encrypt'
            set words 
        case 'export'
            set words 
        case 'import'
            set words 
        case 'log'
            set words brief verbose
        case 'pause'
            set words envelope mda mta smtp
        case 'pause envelope'
            set words all domain
        case 'pause envelope domain'
            set words 
        case 'remove'
            set words all domain
        case 'remove domain'
            set words 
        case 'restore'
            set words 
        case 'resume'
            set words envelope mda mta smtp route
        case 'resume envelope'
            set words all domain
        case 'resume envelope domain'
            set words 
        case 'resume route'
            set words 
        case 'schedule'
            set words all domain
        case 'schedule domain'
            set words 
        case 'show'
            set words certificates damaged envelope hosts hoststats message queue relays routes stats status
        case 'show envelope'
            set words 
        case 'show message'
            set words 
        case 'show queue'
            set words 
        case 'trace'
            set words imsg io smtp mta bounce scheduler lookup stat rules mproc expand tables queue filters all
        case 'untrace'
            set words imsg io smtp mta bounce scheduler lookup stat rules mproc expand tables queue filters all
        case 'update'
            set words dkim pki table
        case 'update table'
            set words 
    end
    printf '%s\n' $words
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
            case --name --expires -f -t --peer --peer-name --helo --login --listener --config --record --from --to --domain --message-id --id --reply --outcome --since --until --limit --before --hostname --reader --address --certificate --key --mailbox --probe --root -i -n
                set skip 1
                continue
            case '-*'
                continue
        end
        if contains -- $word (__smtpctl_words "$key")
            set key $key $word
        else
            set key $key '*'
        end
        set key "$key"
    end
    echo "$key"
end

complete -c smtpctl -f
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a admin
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a backup -d 'Copies the queue, the configuration and the keys into an empty folder, while mail flows.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a check -d 'Checks DNS, certificates, queue, disks and files, a line per finding; exits with 0, 1 (warnings) or 2 (errors).'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a discover
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a dkim
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a dmarc -d 'Sums up what others report of mail in our name, one line per source; - is standard input.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a encrypt
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a explain -d 'Tells what would happen to a message, with the lines of the configuration; nothing is sent or stored.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a export -d 'Writes the queue into a folder of files, and keeps it.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a find -d 'Finds messages of the history by any word, or by the options, the newest first; exits with 1 for none.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a import -d 'Takes in what export wrote, each message once but for --again.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a log
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a monitor -d 'Prints a line of counters every second until it is interrupted.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a pause
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a remove -d 'Removes envelopes from the queue; nobody is told.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a restore -d 'Puts back what backup has copied, where there is no queue; --force overwrites files that differ.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a resume
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a schedule -d 'Makes envelopes due at once.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a setup -d 'Makes this machine a mail host: asks, writes the configuration and keys, prints the records, sends a mail.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a show
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a reload -d 'Has smtpd read its configuration again; what is wrong with it is printed, and changes nothing.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a stop -d 'Ends the daemon in good order.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a story -d 'Tells what became of a message and why, by its id, that of an envelope or a session, a ref, or its Message-ID.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a top -d 'Shows what goes on: rates, sessions, the queue by destination, the slowest hosts.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a trace -d 'Starts the trace lines of a subsystem, or of all, in the log.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a untrace -d 'Ends the trace lines of a subsystem, or of all.'
complete -c smtpctl -n "test (__smtpctl_key) = ''" -a update
complete -c smtpctl -n "test (__smtpctl_key) = 'admin'" -a revoke -d 'Makes a token of the admin page useless at once; its sessions end.'
complete -c smtpctl -n "test (__smtpctl_key) = 'admin'" -a token -d 'Makes a token for the admin page and its API, and prints it once.'
complete -c smtpctl -n "test (__smtpctl_key) = 'admin'" -a tokens -d 'Lists the tokens of the admin page: scope, when they were made, when they expire, when they were used last.'
complete -c smtpctl -n "test (__smtpctl_key) = 'backup'" -a "(__fish_complete_directories)"
complete -c smtpctl -n "test (__smtpctl_key) = 'discover'" -a "(command smtpctl show queue 2>/dev/null | head -n 200 | cut -d '|' -f 1)"
complete -c smtpctl -n "test (__smtpctl_key) = 'discover'" -a "(command smtpctl show queue 2>/dev/null | head -n 200 | cut -c 1-8 | sort -u)"
complete -c smtpctl -n "test (__smtpctl_key) = 'discover'" -a "(__fish_complete_directories)"
complete -c smtpctl -n "test (__smtpctl_key) = 'discover *'" -F
complete -c smtpctl -n "test (__smtpctl_key) = 'dkim'" -a check -d 'Compares the records in the DNS with the keys of DKIM, one line per key; exits with 1 if something is wrong.'
complete -c smtpctl -n "test (__smtpctl_key) = 'dkim'" -a generate -d 'Makes keys of DKIM for a domain, and prints the records and the lines of smtpd.conf for them.'
complete -c smtpctl -n "test (__smtpctl_key) = 'dkim'" -a rotate -d 'Makes other keys for a domain, which sign when the DNS has their records.'
complete -c smtpctl -n "test (__smtpctl_key) = 'dkim generate'" -a "(command smtpctl show hoststats 2>/dev/null | head -n 200 | cut -d '|' -f 1)"
complete -c smtpctl -n "test (__smtpctl_key) = 'dkim rotate'" -a "(command smtpctl show hoststats 2>/dev/null | head -n 200 | cut -d '|' -f 1)"
complete -c smtpctl -n "test (__smtpctl_key) = 'dmarc'" -a read -d 'Sums up what others report of mail in our name, one line per source; - is standard input.'
complete -c smtpctl -n "test (__smtpctl_key) = 'dmarc read'" -F
complete -c smtpctl -n "test (__smtpctl_key) = 'export'" -a "(__fish_complete_directories)"
complete -c smtpctl -n "test (__smtpctl_key) = 'import'" -a "(__fish_complete_directories)"
complete -c smtpctl -n "test (__smtpctl_key) = 'log'" -a brief -d 'Ends debug logging and all tracing.'
complete -c smtpctl -n "test (__smtpctl_key) = 'log'" -a verbose -d 'Starts debug logging.'
complete -c smtpctl -n "test (__smtpctl_key) = 'pause'" -a envelope -d 'Suspends delivery of envelopes.'
complete -c smtpctl -n "test (__smtpctl_key) = 'pause'" -a mda -d 'Stops local deliveries, relaying, or accepting of sessions.'
complete -c smtpctl -n "test (__smtpctl_key) = 'pause'" -a mta -d 'Stops local deliveries, relaying, or accepting of sessions.'
complete -c smtpctl -n "test (__smtpctl_key) = 'pause'" -a smtp -d 'Stops local deliveries, relaying, or accepting of sessions.'
complete -c smtpctl -n "test (__smtpctl_key) = 'pause envelope'" -a all -d 'Suspends delivery of envelopes.'
complete -c smtpctl -n "test (__smtpctl_key) = 'pause envelope'" -a domain -d 'Suspends delivery of envelopes.'
complete -c smtpctl -n "test (__smtpctl_key) = 'pause envelope'" -a "(command smtpctl show queue 2>/dev/null | head -n 200 | cut -d '|' -f 1)"
complete -c smtpctl -n "test (__smtpctl_key) = 'pause envelope'" -a "(command smtpctl show queue 2>/dev/null | head -n 200 | cut -c 1-8 | sort -u)"
complete -c smtpctl -n "test (__smtpctl_key) = 'pause envelope domain'" -a "(command smtpctl show hoststats 2>/dev/null | head -n 200 | cut -d '|' -f 1)"
complete -c smtpctl -n "test (__smtpctl_key) = 'remove'" -a all -d 'Removes envelopes from the queue; nobody is told.'
complete -c smtpctl -n "test (__smtpctl_key) = 'remove'" -a domain -d 'Removes envelopes from the queue; nobody is told.'
complete -c smtpctl -n "test (__smtpctl_key) = 'remove'" -a "(command smtpctl show queue 2>/dev/null | head -n 200 | cut -d '|' -f 1)"
complete -c smtpctl -n "test (__smtpctl_key) = 'remove'" -a "(command smtpctl show queue 2>/dev/null | head -n 200 | cut -c 1-8 | sort -u)"
complete -c smtpctl -n "test (__smtpctl_key) = 'remove domain'" -a "(command smtpctl show hoststats 2>/dev/null | head -n 200 | cut -d '|' -f 1)"
complete -c smtpctl -n "test (__smtpctl_key) = 'restore'" -a "(__fish_complete_directories)"
complete -c smtpctl -n "test (__smtpctl_key) = 'resume'" -a envelope -d 'Ends the suspension of envelopes.'
complete -c smtpctl -n "test (__smtpctl_key) = 'resume'" -a mda -d 'Ends a pause of deliveries, relaying, or sessions.'
complete -c smtpctl -n "test (__smtpctl_key) = 'resume'" -a mta -d 'Ends a pause of deliveries, relaying, or sessions.'
complete -c smtpctl -n "test (__smtpctl_key) = 'resume'" -a smtp -d 'Ends a pause of deliveries, relaying, or sessions.'
complete -c smtpctl -n "test (__smtpctl_key) = 'resume'" -a route -d 'Enables a route that was disabled after errors; 0 is all of them.'
complete -c smtpctl -n "test (__smtpctl_key) = 'resume envelope'" -a all -d 'Ends the suspension of envelopes.'
complete -c smtpctl -n "test (__smtpctl_key) = 'resume envelope'" -a domain -d 'Ends the suspension of envelopes.'
complete -c smtpctl -n "test (__smtpctl_key) = 'resume envelope'" -a "(command smtpctl show queue 2>/dev/null | head -n 200 | cut -d '|' -f 1)"
complete -c smtpctl -n "test (__smtpctl_key) = 'resume envelope'" -a "(command smtpctl show queue 2>/dev/null | head -n 200 | cut -c 1-8 | sort -u)"
complete -c smtpctl -n "test (__smtpctl_key) = 'resume envelope domain'" -a "(command smtpctl show hoststats 2>/dev/null | head -n 200 | cut -d '|' -f 1)"
complete -c smtpctl -n "test (__smtpctl_key) = 'resume route'" -a "(command smtpctl show routes 2>/dev/null | head -n 200 | cut -d . -f 1)"
complete -c smtpctl -n "test (__smtpctl_key) = 'schedule'" -a all -d 'Makes envelopes due at once.'
complete -c smtpctl -n "test (__smtpctl_key) = 'schedule'" -a domain -d 'Makes envelopes due at once.'
complete -c smtpctl -n "test (__smtpctl_key) = 'schedule'" -a "(command smtpctl show queue 2>/dev/null | head -n 200 | cut -d '|' -f 1)"
complete -c smtpctl -n "test (__smtpctl_key) = 'schedule'" -a "(command smtpctl show queue 2>/dev/null | head -n 200 | cut -c 1-8 | sort -u)"
complete -c smtpctl -n "test (__smtpctl_key) = 'schedule domain'" -a "(command smtpctl show hoststats 2>/dev/null | head -n 200 | cut -d '|' -f 1)"
complete -c smtpctl -n "test (__smtpctl_key) = 'show'" -a certificates -d 'Lists the certificates in use: where each is from, when it ends, whether obtaining the next one fails.'
complete -c smtpctl -n "test (__smtpctl_key) = 'show'" -a damaged -d 'Lists what could not be read in the spool and is set aside.'
complete -c smtpctl -n "test (__smtpctl_key) = 'show'" -a envelope -d 'Prints what is known of an envelope.'
complete -c smtpctl -n "test (__smtpctl_key) = 'show'" -a hosts -d 'Lists the hosts that mail is relayed to.'
complete -c smtpctl -n "test (__smtpctl_key) = 'show'" -a hoststats -d 'Lists the last answer of each domain that mail is relayed to.'
complete -c smtpctl -n "test (__smtpctl_key) = 'show'" -a message -d 'Prints a message as it is stored.'
complete -c smtpctl -n "test (__smtpctl_key) = 'show'" -a queue -d 'Lists the envelopes in the queue, or those of one message.'
complete -c smtpctl -n "test (__smtpctl_key) = 'show'" -a relays -d 'Lists the relays that mail waits for, with their connectors.'
complete -c smtpctl -n "test (__smtpctl_key) = 'show'" -a routes -d 'Lists the routes to hosts, with their numbers and penalties.'
complete -c smtpctl -n "test (__smtpctl_key) = 'show'" -a stats -d 'Prints all counters.'
complete -c smtpctl -n "test (__smtpctl_key) = 'show'" -a status -d 'Tells what is paused, what is wrong with the spool, and which walls stand.'
complete -c smtpctl -n "test (__smtpctl_key) = 'show envelope'" -a "(command smtpctl show queue 2>/dev/null | head -n 200 | cut -d '|' -f 1)"
complete -c smtpctl -n "test (__smtpctl_key) = 'show message'" -a "(command smtpctl show queue 2>/dev/null | head -n 200 | cut -c 1-8 | sort -u)"
complete -c smtpctl -n "test (__smtpctl_key) = 'show message'" -a "(command smtpctl show queue 2>/dev/null | head -n 200 | cut -d '|' -f 1)"
complete -c smtpctl -n "test (__smtpctl_key) = 'show queue'" -a "(command smtpctl show queue 2>/dev/null | head -n 200 | cut -c 1-8 | sort -u)"
complete -c smtpctl -n "test (__smtpctl_key) = 'trace'" -a imsg
complete -c smtpctl -n "test (__smtpctl_key) = 'trace'" -a io
complete -c smtpctl -n "test (__smtpctl_key) = 'trace'" -a smtp
complete -c smtpctl -n "test (__smtpctl_key) = 'trace'" -a mta
complete -c smtpctl -n "test (__smtpctl_key) = 'trace'" -a bounce
complete -c smtpctl -n "test (__smtpctl_key) = 'trace'" -a scheduler
complete -c smtpctl -n "test (__smtpctl_key) = 'trace'" -a lookup
complete -c smtpctl -n "test (__smtpctl_key) = 'trace'" -a stat
complete -c smtpctl -n "test (__smtpctl_key) = 'trace'" -a rules
complete -c smtpctl -n "test (__smtpctl_key) = 'trace'" -a mproc
complete -c smtpctl -n "test (__smtpctl_key) = 'trace'" -a expand
complete -c smtpctl -n "test (__smtpctl_key) = 'trace'" -a tables
complete -c smtpctl -n "test (__smtpctl_key) = 'trace'" -a queue
complete -c smtpctl -n "test (__smtpctl_key) = 'trace'" -a filters
complete -c smtpctl -n "test (__smtpctl_key) = 'trace'" -a all
complete -c smtpctl -n "test (__smtpctl_key) = 'untrace'" -a imsg
complete -c smtpctl -n "test (__smtpctl_key) = 'untrace'" -a io
complete -c smtpctl -n "test (__smtpctl_key) = 'untrace'" -a smtp
complete -c smtpctl -n "test (__smtpctl_key) = 'untrace'" -a mta
complete -c smtpctl -n "test (__smtpctl_key) = 'untrace'" -a bounce
complete -c smtpctl -n "test (__smtpctl_key) = 'untrace'" -a scheduler
complete -c smtpctl -n "test (__smtpctl_key) = 'untrace'" -a lookup
complete -c smtpctl -n "test (__smtpctl_key) = 'untrace'" -a stat
complete -c smtpctl -n "test (__smtpctl_key) = 'untrace'" -a rules
complete -c smtpctl -n "test (__smtpctl_key) = 'untrace'" -a mproc
complete -c smtpctl -n "test (__smtpctl_key) = 'untrace'" -a expand
complete -c smtpctl -n "test (__smtpctl_key) = 'untrace'" -a tables
complete -c smtpctl -n "test (__smtpctl_key) = 'untrace'" -a queue
complete -c smtpctl -n "test (__smtpctl_key) = 'untrace'" -a filters
complete -c smtpctl -n "test (__smtpctl_key) = 'untrace'" -a all
complete -c smtpctl -n "test (__smtpctl_key) = 'update'" -a dkim -d 'Loads the keys of DKIM again at once.'
complete -c smtpctl -n "test (__smtpctl_key) = 'update'" -a pki -d 'Loads certificates and keys again at once.'
complete -c smtpctl -n "test (__smtpctl_key) = 'update'" -a table -d 'Reads the file of a table again.'
complete -c smtpctl -l help -d 'Prints what it does.'
complete -c smtpctl -l version -d 'Prints the version.'
complete -c smtpctl -n "string match -q -- 'admin *' (__smtpctl_key)' '" -l read -d 'The token may read only.'
complete -c smtpctl -n "string match -q -- 'admin *' (__smtpctl_key)' '" -l write -d 'The token may read, and change what the page and smtpctl can; so it is without an option.'
complete -c smtpctl -n "string match -q -- 'admin *' (__smtpctl_key)' '" -l name -r -F -d 'What it is called in lists and in the log; without it token-1, token-2 ...'
complete -c smtpctl -n "string match -q -- 'admin *' (__smtpctl_key)' '" -l expires -r -F -d 'After this time it is good no more: 12h, 30d. Without it, it is until it is revoked.'
complete -c smtpctl -n "string match -q -- 'admin *' (__smtpctl_key)' '" -l json -d 'Prints one JSON document instead of the token.'
complete -c smtpctl -n "string match -q -- 'admin tokens *' (__smtpctl_key)' '" -l json -d 'Prints JSON.'
complete -c smtpctl -n "string match -q -- 'check *' (__smtpctl_key)' '" -l json -d 'Prints one JSON document instead of lines.'
complete -c smtpctl -n "string match -q -- 'check *' (__smtpctl_key)' '" -l blocklists -d 'Also asks these blocklists for our addresses, by default zen.spamhaus.org, bl.spamcop.net, b.barracudacentral.org.'
complete -c smtpctl -n "string match -q -- 'check *' (__smtpctl_key)' '" -s f -r -F -d 'Checks this configuration from here, and asks no daemon.'
complete -c smtpctl -n "string match -q -- 'discover *' (__smtpctl_key)' '" -l again -d 'Takes the messages of a spool of OpenSMTPD into the queue, each once but for --again.'
complete -c smtpctl -n "string match -q -- 'dkim check *' (__smtpctl_key)' '" -l json -d 'Prints JSON.'
complete -c smtpctl -n "string match -q -- 'dmarc read *' (__smtpctl_key)' '" -l json -d 'Prints JSON.'
complete -c smtpctl -n "string match -q -- 'encrypt *' (__smtpctl_key)' '" -l scram -d 'Prints a SCRAM verifier of a password, or of each line of standard input.'
complete -c smtpctl -n "string match -q -- 'explain *' (__smtpctl_key)' '" -s f -r -F -d 'The sender; <> is the null sender. By default the address of From.'
complete -c smtpctl -n "string match -q -- 'explain *' (__smtpctl_key)' '" -s t -r -F -d 'A recipient, at least one.'
complete -c smtpctl -n "string match -q -- 'explain *' (__smtpctl_key)' '" -l peer -r -F -d 'IP address of the client.'
complete -c smtpctl -n "string match -q -- 'explain *' (__smtpctl_key)' '" -l peer-name -r -F -d 'Name of the client, in the place of what the DNS says.'
complete -c smtpctl -n "string match -q -- 'explain *' (__smtpctl_key)' '" -l helo -r -F -d 'What the client calls itself.'
complete -c smtpctl -n "string match -q -- 'explain *' (__smtpctl_key)' '" -l tls -d 'The client begins TLS.'
complete -c smtpctl -n "string match -q -- 'explain *' (__smtpctl_key)' '" -l login -r -F -d 'The client logs in as this user, with the right password.'
complete -c smtpctl -n "string match -q -- 'explain *' (__smtpctl_key)' '" -l listener -r -F -d 'The listener that it comes to: a tag, an address and port, or socket.'
complete -c smtpctl -n "string match -q -- 'explain *' (__smtpctl_key)' '" -l programs -d 'Asks the programs of filters and tables, too.'
complete -c smtpctl -n "string match -q -- 'explain *' (__smtpctl_key)' '" -l config -r -F -d 'Explains by this configuration.'
complete -c smtpctl -n "string match -q -- 'explain *' (__smtpctl_key)' '" -l record -r -F -d 'Writes the message with what was decided, for smtpd -n --expect.'
complete -c smtpctl -n "string match -q -- 'explain *' (__smtpctl_key)' '" -l json -d 'Prints one JSON document.'
complete -c smtpctl -n "string match -q -- 'explain *' (__smtpctl_key)' '" -s v -d 'Also says why the rules before did not match.'
complete -c smtpctl -n "string match -q -- 'find *' (__smtpctl_key)' '" -l from -r -F -d 'Of this sender; <> is the null sender.'
complete -c smtpctl -n "string match -q -- 'find *' (__smtpctl_key)' '" -l to -r -F -d 'To this recipient.'
complete -c smtpctl -n "string match -q -- 'find *' (__smtpctl_key)' '" -l domain -r -F -d 'From or to an address of this domain.'
complete -c smtpctl -n "string match -q -- 'find *' (__smtpctl_key)' '" -l message-id -r -F -d 'With this field Message-ID.'
complete -c smtpctl -n "string match -q -- 'find *' (__smtpctl_key)' '" -l id -r -F -d 'Of this message, envelope, session, or ref of a refusal.'
complete -c smtpctl -n "string match -q -- 'find *' (__smtpctl_key)' '" -l peer -r -F -d 'From the client with this IP address.'
complete -c smtpctl -n "string match -q -- 'find *' (__smtpctl_key)' '" -l login -r -F -d 'Of this login.'
complete -c smtpctl -n "string match -q -- 'find *' (__smtpctl_key)' '" -l reply -r -F -d 'Whose last reply has this text in it.'
complete -c smtpctl -n "string match -q -- 'find *' (__smtpctl_key)' '" -l outcome -r -F -d 'queued, delivered, relayed, deferred, bounced, expired, removed, held, refused or mixed.'
complete -c smtpctl -n "string match -q -- 'find *' (__smtpctl_key)' '" -l since -r -F -d 'Not before this time, such as 2h or yesterday; 30 days ago without it.'
complete -c smtpctl -n "string match -q -- 'find *' (__smtpctl_key)' '" -l until -r -F -d 'Not after this time.'
complete -c smtpctl -n "string match -q -- 'find *' (__smtpctl_key)' '" -l limit -r -F -d 'Finds at most so many, 1 to 1000; 50 without it.'
complete -c smtpctl -n "string match -q -- 'find *' (__smtpctl_key)' '" -l before -r -F -d 'Goes on behind the messages of a search before, which has said where.'
complete -c smtpctl -n "string match -q -- 'find *' (__smtpctl_key)' '" -l json -d 'Prints an object of JSON for each message.'
complete -c smtpctl -n "string match -q -- 'import *' (__smtpctl_key)' '" -l again -d 'Takes in what export wrote, each message once but for --again.'
complete -c smtpctl -n "string match -q -- 'monitor *' (__smtpctl_key)' '" -l json -d 'Prints JSON.'
complete -c smtpctl -n "string match -q -- 'restore *' (__smtpctl_key)' '" -l force -d 'Puts back what backup has copied, where there is no queue; --force overwrites files that differ.'
complete -c smtpctl -n "string match -q -- 'setup *' (__smtpctl_key)' '" -l domain -r -F -d 'The domain that mail is received for.'
complete -c smtpctl -n "string match -q -- 'setup *' (__smtpctl_key)' '" -l hostname -r -F -d 'The full name of this host; mail. before the domain by default.'
complete -c smtpctl -n "string match -q -- 'setup *' (__smtpctl_key)' '" -l reader -r -F -d 'The account that reads the mail for postmaster, abuse and root.'
complete -c smtpctl -n "string match -q -- 'setup *' (__smtpctl_key)' '" -l address -r -F -d 'A public address, where this host does not have it.'
complete -c smtpctl -n "string match -q -- 'setup *' (__smtpctl_key)' '" -l certificate -r -F -d 'self-signed (the default), acme for Let’s Encrypt, the URL of another ACME directory, or a file.'
complete -c smtpctl -n "string match -q -- 'setup *' (__smtpctl_key)' '" -l key -r -F -d 'The key of a certificate that is a file.'
complete -c smtpctl -n "string match -q -- 'setup *' (__smtpctl_key)' '" -l mailbox -r -F -d 'maildir for ~/Maildir, the default; or mbox for /var/mail.'
complete -c smtpctl -n "string match -q -- 'setup *' (__smtpctl_key)' '" -l probe -r -F -d 'Tries port 25 of an exchanger of this domain: are connections out blocked?'
complete -c smtpctl -n "string match -q -- 'setup *' (__smtpctl_key)' '" -l root -r -F -d 'Puts all files below this folder, for a trial. Needs no root.'
complete -c smtpctl -n "string match -q -- 'setup *' (__smtpctl_key)' '" -l no-start -d 'Starts no daemon and sends no mail.'
complete -c smtpctl -n "string match -q -- 'setup *' (__smtpctl_key)' '" -l dry-run -d 'Shows files and records, and writes nothing.'
complete -c smtpctl -n "string match -q -- 'show certificates *' (__smtpctl_key)' '" -l json -d 'Prints JSON.'
complete -c smtpctl -n "string match -q -- 'show damaged *' (__smtpctl_key)' '" -l json -d 'Prints JSON.'
complete -c smtpctl -n "string match -q -- 'show envelope *' (__smtpctl_key)' '" -l json -d 'Prints JSON.'
complete -c smtpctl -n "string match -q -- 'show hosts *' (__smtpctl_key)' '" -l json -d 'Prints JSON.'
complete -c smtpctl -n "string match -q -- 'show hoststats *' (__smtpctl_key)' '" -l json -d 'Prints JSON.'
complete -c smtpctl -n "string match -q -- 'show message *' (__smtpctl_key)' '" -l json -d 'Prints JSON.'
complete -c smtpctl -n "string match -q -- 'show queue *' (__smtpctl_key)' '" -l json -d 'Prints JSON.'
complete -c smtpctl -n "string match -q -- 'show relays *' (__smtpctl_key)' '" -l json -d 'Prints JSON.'
complete -c smtpctl -n "string match -q -- 'show routes *' (__smtpctl_key)' '" -l json -d 'Prints JSON.'
complete -c smtpctl -n "string match -q -- 'show stats *' (__smtpctl_key)' '" -l json -d 'Prints JSON.'
complete -c smtpctl -n "string match -q -- 'show status *' (__smtpctl_key)' '" -l json -d 'Prints JSON.'
complete -c smtpctl -n "string match -q -- 'story *' (__smtpctl_key)' '" -l dialogue -d 'Also prints what was said in its sessions, as far as that is kept.'
complete -c smtpctl -n "string match -q -- 'story *' (__smtpctl_key)' '" -l json -d 'Prints one JSON document.'
complete -c smtpctl -n "string match -q -- 'top *' (__smtpctl_key)' '" -s i -r -F -d 'Looks again after so many seconds, 0.1 to 60; 2 without it.'
complete -c smtpctl -n "string match -q -- 'top *' (__smtpctl_key)' '" -s n -r -F -d 'Ends after so many looks.'
complete -c smtpctl -n "string match -q -- 'top *' (__smtpctl_key)' '" -l json -d 'Prints an object of JSON each time.'
