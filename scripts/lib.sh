# What the scripts of this folder share: where the project is, and its Deno with the locked packages. Sourced, never run; knows nothing of mail.

set -eu

root=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
# Handing a connection to an isolate rests on one version's internals (src/isolate/handover.ts): other versions do not fit.
deno_version=2.9.6
state=$root/.deno
deno=$state/deno-$deno_version

export DENO_DIR="$state/cache" DENO_NO_UPDATE_CHECK=1

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# Prints the usage $1 and ends when one of the arguments behind it asks for help.
help_or_go_on() {
  usage=$1
  shift
  for argument; do
    case $argument in -h | --help) printf '%s\n' "$usage" && exit 0 ;; esac
  done
}

# True when the program $1 is Deno of the wanted version.
fits() {
  case $("$1" --version 2>/dev/null) in
    "deno $deno_version "*) return 0 ;;
    *) return 1 ;;
  esac
}

# Checksum of what decides which packages belong here.
locked() { cksum "$root/deno.json" "$root/deno.lock" | cut -d ' ' -f 1,2 | tr '\n' ' '; }

installed() {
  [ -x "$deno" ] && fits "$deno" && [ -f "$state/installed" ] && [ "$(cat "$state/installed")" = "$(locked)" ]
}

# Makes Deno and the packages ready; silent and quick, and without the network, when they are.
ensure_deno() {
  installed && return
  { mkdir -p "$state" && [ -w "$state" ]; } 2>/dev/null ||
    fail "Deno is not ready in $state, and you may not write there: let the owner of the folder run scripts/smtpd -h once"
  # The lock keeps two first runs from loading everything twice; each step is also safe without it (built aside, then renamed).
  (
    command -v flock >/dev/null && flock 9
    installed || install_all
  ) 9>"$state/lock"
}

install_all() {
  if ! { [ -x "$deno" ] && fits "$deno"; }; then link_deno; fi
  install_packages
  locked >"$state/installed.$$"
  mv -f "$state/installed.$$" "$state/installed"
}

# Points .deno/deno-VERSION at a fitting Deno: one of the PATH, else one installed from npm into .deno/.
link_deno() {
  found=$(command -v deno || true)
  if [ -n "$found" ] && fits "$found"; then
    # The deno of an npm installation is a Node program that starts the real one and swallows signals.
    target=$("$found" eval 'console.log(Deno.execPath())')
  else
    target=$(npm_deno)
  fi
  ln -s "$target" "$deno.$$"
  mv -f "$deno.$$" "$deno"
}

npm_deno() {
  place=$state/npm-$deno_version
  if [ ! -d "$place" ]; then
    command -v npm >/dev/null || fail "Deno $deno_version is not on the PATH, and there is no npm to install it: install Node.js with npm, or Deno $deno_version"
    say "Installing Deno $deno_version from npm into $place (once)"
    mkdir -p "$place.$$"
    printf '{ "private": true }\n' >"$place.$$/package.json"
    # The platform's binary is inside a package of its own: no install script needs to run.
    npm install --prefix "$place.$$" --ignore-scripts --no-save --no-audit --no-fund --no-package-lock "deno@$deno_version" >&2 ||
      { rm -rf "$place.$$"; fail "npm could not install deno@$deno_version, see above"; }
    mv "$place.$$" "$place" 2>/dev/null || rm -rf "$place.$$"
  fi
  for binary in "$place"/node_modules/@deno/*/deno; do
    if [ -x "$binary" ] && fits "$binary"; then
      printf '%s\n' "$binary"
      return
    fi
  done
  fail "The deno package of npm holds no binary that runs on this machine ($(uname -sm)): put Deno $deno_version on the PATH"
}

# Value of npm's setting $1; empty when npm has none.
npm_setting() {
  command -v npm >/dev/null || return 0
  value=$(npm config get "$1" 2>/dev/null || true)
  case $value in null | undefined | false) ;; *) printf '%s' "$value" ;; esac
}

# Loads the packages of deno.lock. What npm was told about its registry, proxy and authorities holds for Deno too.
install_packages() {
  say "Installing the locked packages into $DENO_DIR"
  if [ -z "${NPM_CONFIG_REGISTRY:-}" ] && [ -n "$(npm_setting registry)" ]; then
    NPM_CONFIG_REGISTRY=$(npm_setting registry)
    export NPM_CONFIG_REGISTRY
  fi
  if [ -z "${DENO_CERT:-}" ] && [ -n "$(npm_setting cafile)" ]; then
    DENO_CERT=$(npm_setting cafile)
    export DENO_CERT
  fi
  if [ -z "${HTTPS_PROXY:-}${https_proxy:-}" ] && [ -n "$(npm_setting https-proxy)" ]; then
    HTTPS_PROXY=$(npm_setting https-proxy)
    export HTTPS_PROXY
  fi
  (cd "$root" && "$deno" install --frozen --quiet >&2) || fail "Deno could not install the locked packages, see above"
}
