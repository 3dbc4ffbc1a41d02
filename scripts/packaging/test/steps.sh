# How the tests of packages say what they find. Sourced by what runs inside of the systems under test.

good=0
bad=0

# Runs the rest of the arguments; $1 is the sentence that is to be true.
check() {
  sentence=$1
  shift
  if "$@" >/tmp/step.log 2>&1; then
    good=$((good + 1))
    printf 'ok: %s\n' "$sentence"
  else
    bad=$((bad + 1))
    printf 'FAILED: %s\n' "$sentence"
    tail -n 30 /tmp/step.log | sed 's/^/  /'
  fi
}

# As check, for what comes true within 30 seconds.
check_soon() { check "$1" within "$@"; }

within() {
  shift
  for _ in $(seq 150); do
    ! "$@" || return 0
    sleep 0.2
  done
  return 1
}

fails() { ! "$@"; }

# True when $1 contains the line, or part of a line, $2.
has() { grep -qF -- "$2" "$1"; }

# The end: what the caller adds up.
summary() { printf 'steps %s %s\n' "$good" "$bad"; }
