# Which permissions each program gets, and why: the only place that says so. Sourced by the programs' scripts, after lib.sh.
# smtpd's are what its isolates get shares of (`smtpd -n -v` prints them); the isolates themselves hold far less. Each may read its own source,
# of which it loads what a command needs.

spool=${SMTPD_SPOOL:-/var/spool/vaultpost}
socket=${SMTPD_SOCKET:-/run/vaultpost/smtpd.sock}
submission=${socket%.sock}.smtp.sock
dkim=${SMTPD_DKIM:-/etc/vaultpost/dkim}

# A path as an item of a comma-separated permission list. Deno has no way to write a comma in one.
item() {
  case $1 in *,*) fail "$1 has a comma in its path, by which Deno separates paths: name a place without one" ;; esac
  printf '%s' "$1"
}

# Sets verb, first and second to the words behind the program (`--config FILE main.ts PROGRAM` stand before) that are no options.
find_words() {
  shift 4
  verb= first= second= ended=
  for word; do
    case $ended$word in
      --) ended=1 && continue ;;
      -?*) continue ;;
    esac
    if [ -z "$verb" ]; then verb=$word; elif [ -z "$first" ]; then first=$word; elif [ -z "$second" ]; then second=$word; fi
  done
}

# Sets places to what setup may write: below the folder of the option --root, else in /etc.
find_root() {
  places=$(item "$dkim"),/etc/vaultpost,/etc/mailname previous=
  for word; do
    case $previous:$word in
      --root:*) places=$(item "$word") ;;
      *:--root=*) places=$(item "${word#--root=}") ;;
    esac
    previous=$word
  done
}

# Sets record to the file that the option --record of explain names, and runs to what --programs needs; both empty without.
find_record() {
  record= runs= previous=
  for word; do
    case $previous:$word in
      *:--programs) runs=--allow-run ;;
      --record:*) record=$(item "$word") ;;
      *:--record=*) record=$(item "${word#--record=}") ;;
    esac
    previous=$word
  done
}

# Becomes the program $1 with the arguments that follow.
become() {
  program=$1
  shift
  given=$#
  # Here, once: what follows builds permissions in substitutions, which cannot end this script, and each of which is a process more.
  case $program in
    smtpctl | mailq | sendmail | newaliases | makemap) item "$socket" >/dev/null && item "$spool" >/dev/null && item "$root" >/dev/null ;;
  esac
  ensure_deno "$@"
  set -- --config "$root/deno.json" "$root/src/main.ts" "$program" "$@"
  case $program in
    smtpd)
      # What it makes, and what its commands make, has the same modes whoever starts it.
      umask 022
      # How it starts itself again to go into the background.
      export SMTPD_SCRIPT="$root/scripts/smtpd"
      cache_modules
      # read, write: the config names the files. net: listeners, relays, resolvers. run: mda commands, table programs. ffi: whose the other end of
      # the control socket is; RSA of OpenSSL. The isolates get these apart, each its own.
      # Small nurseries: every isolate has its own, and what lives short dies in the processor's cache.
      set -- --v8-flags=--max-semi-space-size=4 \
        --allow-read --allow-write --allow-net --allow-run --allow-ffi \
        --allow-sys=uid,gid,hostname,networkInterfaces,cpus,statfs \
        --allow-env=SMTPD_SPOOL,SMTPD_SOCKET,SMTPD_MAIL,SMTPD_LIBEXEC,ASR_CONFIG,TZ,PATH,SMTPD_SCRIPT \
        --allow-env=SMTPD_USER,SMTPD_QUEUE_USER,SMTPD_STATE,SMTPD_JOURNAL,DENO_DIR,SQLITE_TMPDIR \
        --allow-env=LISTEN_FDS,LISTEN_PID,NOTIFY_SOCKET,JOURNAL_STREAM,WATCHDOG_USEC,WATCHDOG_PID,CREDENTIALS_DIRECTORY "$@"
      ;;
    smtpctl | mailq)
      # The control socket (a unix socket wants all three), and the spool for `show queue` while the daemon is down.
      # What is imported is laid into the spool; folders (and a key) are named on the command line.
      reads=$socket,$spool,$root/src
      writes=$socket
      find_words "$@"
      case $verb in
        expl*) ;;
        ex*) for path in ${first:+"$first"}; do reads=$reads,$(item "$path") writes=$writes,$(item "$path"); done ;;
        # The configuration names the files, of anybody; what is copied goes into that folder alone.
        b*) reads= writes=$writes,$(item "${first:-/nonexistent}") ;;
        rest*) reads= writes= ;;
        dm*) [ -z "$second" ] || [ "$second" = - ] || reads=$reads,$(item "$second") ;;
        dk*)
          # Keys that are made are written there, and never over others; the daemon itself makes those of a rotation.
          case $first in
            g*)
              reads=$reads,$(item "$dkim") writes=$writes,$(item "$dkim")
              [ -d "$dkim" ] || (umask 077 && mkdir -p -- "$dkim") 2>/dev/null || :
              ;;
          esac
          ;;
        i* | d*)
          for path in ${first:+"$first"} ${second:+"$second"}; do reads=$reads,$(item "$path"); done
          writes=$writes,$(item "$spool/import"),$(item "$spool/imported")
          # Root writes into a spool of another user with the rights of that user: setfsuid(2) is a call of the C library.
          [ ! -O / ] || set -- --allow-ffi="/lib/$(uname -m)-linux-gnu/libc.so.6" "$@"
          # A spool that the daemon has not made yet, with the modes that it would have.
          [ -d "$spool" ] || (umask 022 && mkdir -p -- "$spool" && chmod 711 -- "$spool") 2>/dev/null || :
          ;;
      esac
      case $verb in
        se*)
          # What the machine has is looked at in many places; the files are written below /etc/vaultpost, or below a folder for trials. net: the name
          # servers, port 25 here and of an exchanger. run: smtpd, and what starts it; accounts that are not in /etc/passwd.
          find_root "$@"
          runs=$(item "$root/scripts/smtpd")
          for name in getent systemctl; do if command -v $name >/dev/null; then runs=$runs,$name; fi; done
          set -- --allow-read --allow-write="$places,$(item "$socket"),$(item "$submission")" --allow-net --allow-run="$runs" \
            --allow-sys=uid,hostname,networkInterfaces \
            --allow-env=SMTPD_SPOOL,SMTPD_SOCKET,SMTPD_DKIM,SMTPD_MAIL,SMTPD_USER,SMTPD_QUEUE_USER,ASR_CONFIG,SUDO_USER,DOAS_USER "$@"
          ;;
        expl*)
          # No daemon is asked. read: the configuration names the files. net: name servers alone are asked, none is sent mail. ffi: accounts of the name
          # service, and by root .forward files as their users. Nothing is written but the file of --record.
          find_record "$@"
          set -- --allow-read ${record:+"--allow-write=$record"} $runs --allow-net --allow-ffi \
            --allow-sys=uid,gid,hostname,networkInterfaces \
            --allow-env=SMTPD_SPOOL,SMTPD_SOCKET,SMTPD_MAIL,SMTPD_LIBEXEC,SMTPD_STATE,SMTPD_USER,SMTPD_QUEUE_USER,ASR_CONFIG,CREDENTIALS_DIRECTORY "$@"
          ;;
        ch*)
          # While no daemon runs it looks itself: files that the configuration names, name servers, the kernel's clock and accounts (C library).
          set -- --allow-read --allow-write="$(item "$socket")" --allow-net --allow-ffi --allow-sys=uid,gid,hostname,networkInterfaces,statfs \
            --allow-env=SMTPD_SPOOL,SMTPD_SOCKET,SMTPD_MAIL,SMTPD_LIBEXEC,SMTPD_STATE,SMTPD_USER,SMTPD_QUEUE_USER,ASR_CONFIG,SQLITE_TMPDIR,CREDENTIALS_DIRECTORY "$@"
          ;;
        *)
          set -- --allow-read${reads:+="$reads"} --allow-write${writes:+="$writes"} \
            --allow-net="unix:$socket" --allow-sys=uid --allow-env=SMTPD_SPOOL,SMTPD_SOCKET,SMTPD_DKIM,SMTPD_STATE,TERM "$@"
          ;;
      esac
      ;;
    sendmail)
      case ${HOME:-,} in *,*) home=/nonexistent ;; *) home=$HOME ;; esac
      # The submission socket; who the sender is; dead.letter, or the offline folder while the daemon is down.
      set -- --allow-read="$submission,$spool,$root/src,/etc/mailname,/etc/passwd" \
        --allow-write="$submission,$spool/offline,$home/dead.letter" --allow-net="unix:$submission" --allow-sys=uid,hostname,userInfo \
        --allow-env=SMTPD_SPOOL,SMTPD_SOCKET,HOME,USER,LOGNAME "$@"
      ;;
    newaliases | makemap)
      # The files are named in the config or on the command line; afterwards the daemon is told.
      set -- --allow-read --allow-write --allow-net="unix:$socket" --allow-sys=uid \
        --allow-env=SMTPD_SPOOL,SMTPD_SOCKET "$@"
      ;;
    mail.maildir | mail.mboxfile)
      # Where the user that runs it may write; the name of this host is part of a file's name.
      set -- --allow-read --allow-write --allow-sys=hostname,uid,gid --allow-env=HOME,EXTENSION,TZ "$@"
      ;;
    mail.lmtp)
      # The server that its option names, on a unix socket perhaps.
      set -- --allow-net --allow-read --allow-write --allow-env=SENDER,RECIPIENT,USER "$@"
      ;;
    smtp)
      # Any server that the user names; the files of -a and -T.
      set -- --allow-net --allow-read --allow-sys=uid,hostname,userInfo --allow-env=USER,LOGNAME "$@"
      ;;
  esac
  set -- "$deno" run --no-prompt --cached-only "$lock_words" ${lock_file:+"--lock=$lock_file"} --quiet --no-check "$@"
  [ "$keeps_input" = yes ] || exec "$@"
  if ! can_wait; then
    # Looked at beforehand instead, which takes its time.
    if starts; then exec "$@"; fi
    shift $(($# - given))
    broken="the program cannot be loaded from $root" reason="the program cannot be loaded from $root"
    keep_input "$@"
  fi
  said=$(mktemp "${TMPDIR:-/tmp}/${0##*/}.XXXXXXXXXX" 2>/dev/null) || exec "$@"
  run_beside "$@"
  # What the program says of itself begins with its name; src/main.ts says so of a program that it cannot load.
  first_line=
  IFS= read -r first_line <"$said" || :
  case $code:$first_line in
    0:* | 6[4-9]:* | 7[0-46-8]:*) loaded=yes ;;
    "75:$program: the program cannot be loaded"*) loaded=no ;;
    "75:$program: "*) loaded=yes ;;
    *) if starts; then loaded=yes; else loaded=no; fi ;;
  esac
  if [ $loaded = no ]; then
    broken="the program cannot be loaded from $root ($(grep -m 1 . "$said" || echo "status $code"))"
    rm -f "$said"
    reason=$broken
    shift $(($# - given))
    keep_input "$@"
  fi
  [ ! -s "$said" ] || cat "$said" >&2
  rm -f "$said"
  exit "$code"
}

# False when whoever started this has blocked SIGCHLD, as mutt does: `wait` would have no end.
can_wait() {
  # It is signal 17, so bit 16 of the mask.
  while read -r key mask; do
    case $key:$mask in
      SigBlk:*[13579bdf]????) return 1 ;;
      SigBlk:*) return 0 ;;
    esac
  done 2>/dev/null </proc/self/status
  return 0
}

# Runs a command with this script's input and output, and passes on the signals that would end it; what it says as errors is kept in the file $said: what
# Deno says of a program that it cannot load is for nobody's eyes. Sets code to its exit status.
run_beside() {
  exec 3<&0
  "$@" <&3 3<&- 2>"$said" &
  child=$!
  trap 'kill -TERM "$child" 2>/dev/null' TERM INT HUP
  code=0
  wait "$child" || code=$?
  # A signal ends the wait and not the program.
  while kill -0 "$child" 2>/dev/null; do
    code=0
    wait "$child" || code=$?
  done
  trap - TERM INT HUP
  exec 3<&-
}
