# The other people's programs that tests and bench drive. Sourced, after lib.sh. Commands are installed as Debian packages; mail servers
# are unpacked into .deno/tools/ instead, because their packages exclude each other and would start services.

tools=$state/tools

# Commands and the packages that bring them.
test_commands='ps:procps db5.3_load:db5.3-util swaks:swaks msmtp:msmtp mutt:mutt openssl:openssl python3:python3 curl:curl ip:iproute2 hostname:hostname'

# Runs a command as root, directly or through a sudo that asks nothing.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo -n "$@"; else return 1; fi
}

# Prints the packages of test_commands that are missing here.
missing_packages() {
  for pair in $test_commands; do
    command -v "${pair%%:*}" >/dev/null || printf '%s ' "${pair#*:}"
  done
}

ensure_commands() {
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || fail "The tests drive these programs, which are not here: $missing"
  say "Installing for the tests, with apt-get: $missing"
  # shellcheck disable=SC2086 # the names are words
  install_packages_of_debian $missing || fail "Could not install: $missing(install them as root, then run this again)"
}

install_packages_of_debian() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 && return
  as_root apt-get update -qq >&2 &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# Unpacks the Debian package $1 and what it needs of shared libraries into .deno/tools/$1; needs no root.
ensure_unpacked() {
  place=$tools/$1
  [ -d "$place" ] && return
  command -v apt-get >/dev/null || return 1
  say "Unpacking Debian's $1 into $place (it is not installed)"
  mkdir -p "$place.$$/debs"
  (
    cd "$place.$$/debs"
    # The package, and those it depends on that this machine lacks; -s only prints. (--print-uris leaves out what apt has in its cache.)
    names=$(apt-get -s install -qq --no-install-recommends "$1" 2>/dev/null | awk '$1 == "Inst" { print $2 }' | sort -u)
    case " $names " in *"$1"*) ;; *) names="$names $1" ;; esac
    wanted=
    for name in $names; do
      # Databases and scripts of a system are of no use in a folder.
      case $name in libjs-* | fonts-* | adduser | ssl-cert | cpio | lsb-base | exim4*) continue ;; esac
      wanted="$wanted $name"
    done
    # Together, for apt reads its lists each time. One that cannot be had must not keep the others away.
    # shellcheck disable=SC2086 # the names are words
    apt-get download -qq -o APT::Sandbox::User=root $wanted >&2 ||
      for name in $wanted; do apt-get download -qq -o APT::Sandbox::User=root "$name" >&2; done
    for deb in *.deb; do dpkg -x "$deb" ..; done
    rm -f ./*.deb
  ) || { rm -rf "$place.$$"; return 1; }
  mv "$place.$$" "$place"
}

# Makes .deno/tools/bin/NAME start the unpacked program $2 of package $1 with its own libraries.
link_tool() {
  mkdir -p "$tools/bin"
  name=$(basename "$2")
  cat >"$tools/bin/$name.$$" <<SCRIPT
#!/bin/sh
here=\$(dirname -- "\$(dirname -- "\$(readlink -f -- "\$0")")")/$1
LD_LIBRARY_PATH=\$here/usr/lib/postfix:\$here/usr/lib:\$here/usr/lib/$(uname -m)-linux-gnu:\$here/lib/$(uname -m)-linux-gnu:\$here/usr/lib/$(uname -m)-linux-gnu/pulseaudio exec "\$here/$2" "\$@"
SCRIPT
  chmod +x "$tools/bin/$name.$$"
  mv -f "$tools/bin/$name.$$" "$tools/bin/$name"
}

# smtp-source and smtp-sink, Postfix's own load tools.
ensure_postfix_tools() {
  command -v smtp-source >/dev/null && command -v smtp-sink >/dev/null && return
  [ -x "$tools/bin/smtp-sink" ] && return
  ensure_unpacked postfix || refresh_lists_and ensure_unpacked postfix ||
    fail "Postfix's smtp-source and smtp-sink are not here and could not be had from Debian's archive"
  link_tool postfix usr/sbin/smtp-source
  link_tool postfix usr/sbin/smtp-sink
}

# Prints where libfaketime is: it shows programs another time than the machine has. Empty when it could not be had.
faketime_library() {
  for library in "$tools"/libfaketime/usr/lib/*/faketime/libfaketimeMT.so.1; do
    if [ -e "$library" ]; then printf '%s' "$library"; fi
  done
}

refresh_lists_and() {
  as_root apt-get update -qq >&2 || return 1
  "$@"
}

ensure_package() {
  ensure_unpacked "$1" || refresh_lists_and ensure_unpacked "$1" || say "Debian's $1 could not be had"
}

ensure_opendkim() {
  ensure_package opendkim
  if [ -x "$tools/opendkim/usr/sbin/opendkim" ]; then link_tool opendkim usr/sbin/opendkim; fi
}

# Chromium for the tests of the admin page: one that is installed, or Debian's, which is large: while it loads there is the file $chromium_loads.
ensure_chromium() {
  if ! command -v chromium >/dev/null && [ ! -x "$tools/bin/chromium" ]; then
    ensure_package chromium
    if [ -x "$tools/chromium/usr/lib/chromium/chromium" ]; then link_tool chromium usr/lib/chromium/chromium; fi
  fi
  rm -f "$chromium_loads"
}

# Sets chromium_pid: that process may go on, and the tests that need it wait for it.
ensure_test_tools() {
  ensure_commands
  ensure_postfix_tools
  # Next hops of a test, and another clock for some; those who have to do without say so. The first one brings new lists where they are needed, the others
  # are loaded together.
  ensure_package postfix
  : >"$chromium_loads"
  ensure_chromium &
  chromium_pid=$!
  loading=
  for package in opensmtpd libfaketime python3-dkim python3-authres rspamd pebble zsh fish prometheus dovecot-imapd dovecot-lmtpd; do
    ensure_package $package &
    loading="$loading $!"
  done
  ensure_opendkim
  for pid in $loading; do wait "$pid" || :; done
  for name in pebble pebble-challtestsrv; do
    if [ -x "$tools/pebble/usr/bin/$name" ]; then link_tool pebble "usr/bin/$name"; fi
  done
  # Reads the examples of alerts.
  if [ -x "$tools/prometheus/usr/bin/promtool" ]; then link_tool prometheus usr/bin/promtool; fi
  # Shells that complete smtpctl.
  if [ -x "$tools/zsh/bin/zsh" ]; then link_tool zsh bin/zsh; fi
  if [ -x "$tools/fish/usr/bin/fish" ]; then link_tool fish usr/bin/fish; fi
}
