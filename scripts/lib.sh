# What the scripts of this folder share: where the project is, and its Deno with the locked packages. Sourced, never run; knows nothing of mail.

set -eu

# The scripts have said where they are; a script that has not is one of them.
if [ -z "${here:-}" ]; then
  here=$(readlink -f -- "$0")
  here=${here%/*}
fi
root=${here%/*}
# Handing a connection to an isolate rests on one version's internals (src/sockets/handover.ts): other versions do not fit.
deno_version=2.9.6
# SHA-256 of the file `deno` in that version's npm packages @deno/linux-x64-glibc and @deno/linux-arm64-glibc.
deno_sha256_x64=bceb5b6a6239b0b010418406d8c77a508f67cf4337d94288f1c19fe71304aab0
deno_sha256_arm64=d08d392418df53f4e6e88a08909c0e1bccbf9adcead7232df72b6ad6075ec416
state=$root/.deno
deno=$state/deno-$deno_version

export DENO_DIR="$state/cache" DENO_NO_UPDATE_CHECK=1
# An installation has its packages under the name of this registry (.npmrc), whatever the environment says.
if [ -f "$state/installation" ]; then export NPM_CONFIG_REGISTRY=https://registry.npmjs.org/; fi

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# Prints the usage $1 and ends when one of the arguments behind it asks for help; the same for the version.
help_or_go_on() {
  usage=$1
  shift
  for argument; do
    case $argument in
      -h | --help) printf '%s\n' "$usage" && exit 0 ;;
      --version) printf '%s (Vaultpost) %s\n' "${0##*/}" "$(sed -n 's/^export const VERSION = "\(.*\)";$/\1/p' "$root/src/config/paths.ts")" && exit 0 ;;
    esac
  done
}

# Prints the first of the files and folders named, or of what is in them, that others than root may change.
find_writable_by_others() {
  find "$@" ! -type l \( ! -user 0 -o -perm -0002 -o -perm -0020 ! -group 0 \) -print 2>/dev/null | head -n 1
}

# Warns root of files that somebody else may change: who may change them may do what root may. `-O` (the effective user owns it) needs no
# other program, so that ordinary users pay nothing and root's tools little; what runs for long or loads much is looked at file by file.
warn_root() {
  [ -O / ] && [ -z "${VAULTPOST_OWNER_WARNED:-}" ] || return 0
  suspect=
  above=$root
  while [ -n "$above" ]; do
    [ -O "$above" ] || suspect=$above
    above=${above%/*}
  done
  for part in scripts scripts/lib.sh src src/main.ts workers deno.json .deno; do
    [ -n "$suspect" ] || [ ! -e "$root/$part" ] || [ -O "$root/$part" ] || suspect=$root/$part
  done
  case ${0##*/} in
    smtpd | start | install | test | bench | crash | deno)
      above=$root
      while [ -n "$above" ]; do
        # In a folder with the sticky bit only the owner may rename what is his.
        [ -n "$suspect" ] || suspect=$(find_writable_by_others "$above" -prune ! -perm -1000)
        above=${above%/*}
      done
      for part in deno.json deno.lock scripts src workers conf .deno; do
        [ -n "$suspect" ] || suspect=$(find_writable_by_others "$root/$part")
      done
      ;;
  esac
  [ -n "$suspect" ] && [ "$(id -u)" = 0 ] || return 0
  # What this script starts need not say it again.
  export VAULTPOST_OWNER_WARNED=1
  say "warning: root runs files that others may change: $suspect is of $(stat -c '%U, mode %a' "$suspect"). $(remedy_for "$suspect")"
}

# Prints what ends the warning about the file or folder $1. A folder above the project is often a home: that stays as it is, and the project goes elsewhere.
remedy_for() {
  case $1 in
    "$root" | "$root"/*) printf '%s' "Make them root's (chown -R root:root and chmod -R go-w $root), or run this as their owner" ;;
    *)
      printf '%s' "That folder is above the project: scripts/install puts the program where root alone may write, below /usr/local; or run this as its owner"
      ;;
  esac
}

warn_root

# True when the program $1 is Deno of the wanted version.
fits() {
  case $("$1" --version 2>/dev/null) in
    "deno $deno_version "*) return 0 ;;
    *) return 1 ;;
  esac
}

# Checksum of what decides which packages belong here.
locked() { cksum "$root/deno.json" "$root/deno.lock" 2>/dev/null | cut -d ' ' -f 1,2 | tr '\n' ' '; }

# True in an installation (scripts/install), which has the runtime and the packages from the start, and is not looked at file by file.
is_installation() { [ -f "$state/installation" ] && [ -x "$deno" ] && has_glibc && { [ ! -e /etc/alpine-release ] || fits "$deno"; }; }

# False where the C library is another one, such as the musl of Alpine: the runtime does not start there.
has_glibc() {
  for loader in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1; do
    [ ! -e "$loader" ] || return 0
  done
  return 1
}
no_glibc="Vaultpost does not run here: its runtime, Deno, needs the C library glibc, which Alpine and other systems with musl do not have. Run it on Debian, Ubuntu, Fedora or Arch, or in a container of one of them"

installed() {
  is_installation && return
  [ -x "$deno" ] && [ -f "$state/installed" ] || return 1
  # What has been looked at and has not been replaced since need not be started and read again, at each call of each program.
  is_seen && return
  fits "$deno" && [ "$(cat "$state/installed")" = "$(locked)" ] || return 1
  [ ! -w "$state" ] || { printf '%s\n' "$identity" >"$state/seen.$$" && mv -f "$state/seen.$$" "$state/seen"; } 2>/dev/null || :
}

# True when the runtime, deno.json, deno.lock and the mark are the files that $state/seen tells of: inode, size, and the times of both changes.
is_seen() {
  identity=$(stat -L -c '%d:%i:%s:%Y:%Z' "$deno" "$root/deno.json" "$root/deno.lock" "$state/installed" 2>/dev/null) || return 1
  seen=
  if [ -f "$state/seen" ]; then
    while read -r line; do
      seen="$seen${seen:+
}$line"
    done <"$state/seen"
  fi
  [ "$seen" = "$identity" ]
}

# Makes Deno and the packages ready; silent and quick, and without the network, when they are.
ensure_deno() {
  if installed; then return; fi
  if [ -f "$state/installation" ]; then
    reason="The runtime $deno is missing or does not run: install Vaultpost again"
    if ! has_glibc || [ -e /etc/alpine-release ]; then reason=$no_glibc; fi
    not_ready "$reason" "$@"
    return
  fi
  { mkdir -p "$state" && [ -w "$state" ]; } 2>/dev/null || {
    not_ready "Deno is not ready in $state, and you may not write there: let the owner of the folder run scripts/smtpd --version once" "$@"
    return
  }
  # The lock keeps two first runs from loading everything twice; each step is also safe without it (built aside, then renamed).
  (
    command -v flock >/dev/null && flock 9
    installed || install_all
  ) 9>"$state/lock" || not_ready "Deno could not be made ready in $state, see above" "$@"
}

# Puts all modules of the daemon into the runtime's cache, once for each version of them. Root's daemon has processes of other users, which may only
# read the cache: what the parent does not load itself they would translate at each start, with some 12 MB more of memory. Silent; without it they do that.
cache_modules() {
  [ -O / ] && [ -w "$DENO_DIR" ] && grep -q "^${SMTPD_USER:-smtpd}:" /etc/passwd || return 0
  modules=$(find "$root/src" "$root/workers" -name '*.ts' -exec cat {} + | cksum)
  if [ -f "$state/modules" ] && [ "$(cat "$state/modules")" = "$modules" ]; then return 0; fi
  (cd "$root" && "$deno" install --frozen --quiet --cached-only --entrypoint src/main.ts src/cli/isolates.ts workers/*.ts) >/dev/null 2>&1 </dev/null || return 0
  { printf '%s\n' "$modules" >"$state/modules.$$" && mv -f "$state/modules.$$" "$state/modules"; } 2>/dev/null || :
}

# Where things cannot be made ready, for the reason $1: who has a Deno that fits goes on with the packages that are there, if the program starts with them,
# though deno.json or deno.lock may have changed since; else what the program was given is kept, if it keeps anything, and it ends.
not_ready() {
  reason=$1
  shift
  if [ "$keeps_input" = yes ] || [ ! -w "$state" ]; then
    if [ -x "$deno" ] && fits "$deno" && find_lock; then
      say "warning: $reason"
      return
    fi
  fi
  [ "$keeps_input" = no ] || keep_input "$@"
  fail "$reason"
}
keeps_input=no

# How Deno is to take the lock file, in words that have no blanks, and which one instead of deno.lock: what the program starts with when deno.lock is
# missing, damaged, half merged or newer than the packages that are there.
lock_words=--frozen
lock_file=
find_lock() {
  [ -n "${program:-}" ] || return 0
  starts && return
  lock_file=$state/deno.lock
  [ -f "$lock_file" ] && starts && return
  lock_file=
  lock_words=--no-lock
  starts
}

# True when the program can be loaded.
starts() {
  "$deno" run --no-prompt --cached-only "$lock_words" ${lock_file:+"--lock=$lock_file"} --quiet --no-check --allow-read --allow-env --allow-sys \
    --config "$root/deno.json" "$root/src/main.ts" "$program" --version >/dev/null 2>&1 </dev/null
}

install_all() {
  if ! { [ -x "$deno" ] && fits "$deno"; }; then link_deno; fi
  install_packages
  cp "$root/deno.lock" "$state/deno.lock.$$"
  chmod 644 "$state/deno.lock.$$"
  mv -f "$state/deno.lock.$$" "$state/deno.lock"
  locked >"$state/installed.$$"
  mv -f "$state/installed.$$" "$state/installed"
}

# What fails ends the installation by `exit`: where the caller asks whether it succeeded, `set -e` ends nothing.
# Points .deno/deno-VERSION at a fitting Deno: one of the PATH, else one installed from npm into .deno/.
link_deno() {
  found=$(command -v deno || true)
  if [ -n "$found" ] && fits "$found"; then
    # The deno of an npm installation is a Node program that starts the real one and swallows signals.
    target=$("$found" eval 'console.log(Deno.execPath())') || exit 1
  else
    target=$(npm_deno) || exit 1
  fi
  # What is in .deno/ stays right when the project is moved.
  ln -s "${target#"$state"/}" "$deno.$$"
  mv -f "$deno.$$" "$deno"
}

# Value of npm's setting $1; empty when npm has none.
npm_setting() {
  command -v npm >/dev/null || return 0
  value=$(npm config get "$1" 2>/dev/null || true)
  case $value in null | undefined | false) ;; *) printf '%s' "$value" ;; esac
}

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d ' ' -f 1
}

# Prints the path of Deno from npm, installed if need be; before it runs for the first time it is compared with the checksum above.
npm_deno() {
  case $(uname -sm) in
    'Linux x86_64') platform=linux-x64-glibc expected=$deno_sha256_x64 ;;
    'Linux aarch64' | 'Linux arm64') platform=linux-arm64-glibc expected=$deno_sha256_arm64 ;;
    *) fail "Deno $deno_version is not on the PATH, and no checksum of npm's is known for this machine ($(uname -sm)): put Deno $deno_version on the PATH" ;;
  esac
  has_glibc || fail "$no_glibc"
  place=$state/npm-$deno_version
  binary=$place/node_modules/@deno/$platform/deno
  [ -d "$place" ] || install_npm_deno
  [ -f "$binary" ] || fail "npm's package deno@$deno_version came without @deno/$platform: delete $place and try again, or put Deno $deno_version on the PATH"
  actual=$(sha256 "$binary")
  if [ "$actual" != "$expected" ]; then
    rm -rf "$place"
    fail "What npm installed is not Deno $deno_version: the SHA-256 of @deno/$platform is $actual, not $expected.
It was not run, and is deleted. Look at npm's registry setting ($(npm_setting registry)), or put Deno $deno_version on the PATH"
  fi
  fits "$binary" || fail "Deno from npm does not run on this machine ($(uname -sm)): put Deno $deno_version on the PATH"
  printf '%s\n' "$binary"
}

# Options with which npm does not try for minutes what does not work: one more try after a second.
npm_retries='--fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=1000'

# Installs into $place. The platform's binary is inside a package of its own: no install script needs to run.
install_npm_deno() {
  command -v npm >/dev/null || fail "Deno $deno_version is not on the PATH, and there is no npm to install it: install Node.js with npm, or Deno $deno_version"
  say "Installing Deno $deno_version from npm into $place (once)"
  # A registry that is not there is found out with a small question, which has 10 seconds.
  # shellcheck disable=SC2086 # the options are words
  run_npm view "deno@$deno_version" version --prefer-offline $npm_retries --fetch-timeout=10000 >/dev/null || fail "npm could not ask its registry for deno@$deno_version, see above.
${trust_hint}Look at the network and at npm's settings (registry, proxy), or put Deno $deno_version on the PATH"
  mkdir -p "$place.$$"
  printf '{ "private": true }\n' >"$place.$$/package.json"
  # With --prefix npm would look for its global settings (registry, cafile) below that folder. The download itself may take its time.
  # shellcheck disable=SC2086 # the options are words
  run_npm install --prefix "$place.$$" --globalconfig "$(npm_setting globalconfig)" --ignore-scripts --no-save --no-audit --no-fund \
    --no-package-lock --prefer-offline $npm_retries "deno@$deno_version" >&2 || {
    rm -rf "$place.$$"
    fail "npm could not install deno@$deno_version, see above.
${trust_hint}Look at the network and at npm's settings (registry, proxy), or put Deno $deno_version on the PATH"
  }
  mv "$place.$$" "$place" 2>/dev/null || rm -rf "$place.$$"
}

# Runs npm; when it fails for a certificate that it does not trust, trust_hint tells what to do.
run_npm() {
  trust_hint=
  said=$(mktemp "$state/npm.XXXXXX")
  if npm "$@" 2>"$said"; then failed=no; else failed=yes; fi
  cat "$said" >&2
  if [ $failed = yes ]; then hint_at_trust "$said"; fi
  rm -f "$said"
  [ $failed = no ]
}

# Sets trust_hint when the file $1 says that a certificate is not trusted: a proxy that looks into TLS signs with an authority of its own.
hint_at_trust() {
  grep -Eq 'SELF_SIGNED_CERT|UNABLE_TO_(GET_ISSUER_CERT|VERIFY_LEAF)|DEPTH_ZERO_SELF|[Cc]ertificate|UnknownIssuer' "$1" || return 0
  trust_hint="The certificate of the registry, or of a proxy in front of it, is of an authority that is not trusted here. Name the file of that authority's certificate
(NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt for those of the system), or make it npm's setting: npm config set cafile FILE
"
}
trust_hint=

# Loads the packages of deno.lock. What npm was told about its registry, proxy and authorities holds for Deno too.
install_packages() {
  say "Installing the locked packages into $DENO_DIR"
  if [ -z "${NPM_CONFIG_REGISTRY:-}" ] && [ -n "$(npm_setting registry)" ]; then
    NPM_CONFIG_REGISTRY=$(npm_setting registry)
    export NPM_CONFIG_REGISTRY
  fi
  if [ -z "${DENO_CERT:-}" ]; then
    DENO_CERT=${NODE_EXTRA_CA_CERTS:-$(npm_setting cafile)}
    if [ -n "$DENO_CERT" ]; then export DENO_CERT; fi
  fi
  if [ -z "${HTTPS_PROXY:-}${https_proxy:-}" ] && [ -n "$(npm_setting https-proxy)" ]; then
    HTTPS_PROXY=$(npm_setting https-proxy)
    export HTTPS_PROXY
  fi
  cd "$root"
  # Nothing is asked of the network when all is here.
  "$deno" install --frozen --quiet --cached-only >/dev/null 2>&1 && return
  # A registry that accepts and says nothing would be waited for without end.
  reached=yes
  said=$(mktemp "$state/registry.XXXXXX")
  "$deno" eval --no-config 'await fetch(Deno.args[0], { method: "HEAD", signal: AbortSignal.timeout(10_000) }).catch((error) => {
    console.error(error.cause?.message ?? error.message);
    Deno.exit(1);
  })' "${NPM_CONFIG_REGISTRY:-https://registry.npmjs.org/}" >"$said" 2>&1 || reached=no
  cat "$said" >&2
  [ "$reached" = yes ] || hint_at_trust "$said"
  rm -f "$said"
  [ "$reached" = yes ] ||
    fail "The registry of npm packages cannot be reached, see above. ${trust_hint}Look at the network and at npm's settings (registry, proxy), and run this again"
  "$deno" install --frozen --quiet >&2 || fail "Deno could not install the locked packages, see above"
}
