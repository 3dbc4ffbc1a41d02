# The runtimes of other architectures, for packages that are made here. Sourced after lib.sh.

# Puts the runtime for the architecture $1 (Debian's name) at $2: this machine's own, or that of npm, compared with its checksum.
place_runtime() {
  case $1 in
    amd64) platform=linux-x64-glibc expected=$deno_sha256_x64 ;;
    arm64) platform=linux-arm64-glibc expected=$deno_sha256_arm64 ;;
    *) fail "There is no runtime for the architecture $1: amd64 and arm64 have one" ;;
  esac
  own=$(readlink -f "$deno")
  if [ "$(sha256 "$own")" = "$expected" ]; then
    runtime=$own
  else
    runtime=$state/packaging/deno-$deno_version-$1
    [ -f "$runtime" ] || load_runtime
    [ "$(sha256 "$runtime")" = "$expected" ] || fail "$runtime is not Deno $deno_version for $1: delete it and try again"
  fi
  rm -f -- "$2"
  cp -- "$runtime" "$2"
  chmod 755 "$2"
}

# Loads $runtime, the one of $platform, from npm's registry.
load_runtime() {
  command -v npm >/dev/null || fail "There is no npm to load the runtime for $platform with: install Node.js with npm, or put that file at $runtime"
  mkdir -p "$state/packaging"
  area=$(mktemp -d "$state/packaging/new.XXXXXX")
  say "Loading @deno/$platform $deno_version from npm (once)"
  # shellcheck disable=SC2086 # the options are words
  (cd "$area" && run_npm pack --silent $npm_retries "@deno/$platform@$deno_version" >/dev/null && tar -xzf ./*.tgz) || {
    rm -rf -- "$area"
    fail "npm could not load @deno/$platform@$deno_version, see above"
  }
  actual=$(sha256 "$area/package/deno")
  [ "$actual" = "$expected" ] || {
    rm -rf -- "$area"
    fail "What npm loaded is not Deno $deno_version: the SHA-256 of @deno/$platform is $actual, not $expected. It is deleted"
  }
  mv -f -- "$area/package/deno" "$runtime"
  rm -rf -- "$area"
}
