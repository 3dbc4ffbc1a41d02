# What an installation consists of, and where each part goes below its prefix: laid out aside, then renamed into place. For scripts/install, scripts/uninstall
# and the packages. Sourced after lib.sh.

# Scripts that an installation has; those of development stay behind.
runtime_scripts='lib.sh permissions.sh smtpd smtpctl sendmail mailq newaliases makemap smtp mail.maildir mail.mboxfile mail.lmtp deno install uninstall'
# Names of programs below the prefix, each a link to the script of that name.
sbin_programs='smtpd smtpctl sendmail makemap'
bin_programs='mailq newaliases smtp'
home=lib/vaultpost
manifest=$home/installed-files
# The packages are looked for under this name, whatever registry they have come from.
packages_of=registry.npmjs.org

# Sets prefix, destdir and others from the environment and the arguments; what the caller knows besides is in $known, as ` --users `, and ends up in $chosen.
read_places() {
  prefix=${PREFIX:-/usr/local} destdir=${DESTDIR:-} chosen=
  while [ $# -gt 0 ]; do
    case $1 in
      --prefix | --destdir)
        [ $# -gt 1 ] || fail "$1 needs a folder: $1 /usr/local"
        if [ "$1" = --prefix ]; then prefix=$2; else destdir=$2; fi
        shift
        ;;
      --prefix=*) prefix=${1#*=} ;;
      --destdir=*) destdir=${1#*=} ;;
      PREFIX=*) prefix=${1#*=} ;;
      DESTDIR=*) destdir=${1#*=} ;;
      *)
        case $known in
          *" $1 "*) chosen="$chosen $1 " ;;
          *) fail "scripts/${0##*/}: unknown argument $1, did you mean$known--prefix DIR, --destdir DIR or --help?" ;;
        esac
        ;;
    esac
    shift
  done
  while :; do
    case $prefix in ?*/) prefix=${prefix%/} ;; *) break ;; esac
  done
  # Permissions of the runtime separate paths by commas, smtpd.conf and unit files expand %, and the shell splits at blanks.
  case $prefix in
    /) fail 'The prefix cannot be /: did you mean /usr?' ;;
    /*) ;;
    *) fail "The prefix \"$prefix\" is relative: name a folder that begins with /, such as /usr/local" ;;
  esac
  case $prefix in
    *[!A-Za-z0-9_./+@~-]*) fail "The prefix \"$prefix\" has a character that paths of programs cannot have: use letters, digits and any of _ . + @ ~ - (no blank, comma or %)" ;;
  esac
  case $prefix/ in
    *//* | */./* | */../*) fail "The prefix \"$prefix\" has //, /./ or /../: name the folder itself" ;;
  esac
  case $destdir in
    '' | /*) ;;
    *) destdir=$PWD/$destdir ;;
  esac
  [ "$destdir" != / ] || destdir=
  while :; do
    case $destdir in ?*/) destdir=${destdir%/} ;; *) break ;; esac
  done
  dest=$destdir$prefix
}

# Prints "NAME VERSION" of each package in the lock file.
locked_packages() { sed -n 's/^    "\(@\{0,1\}[^@"]*\)@\([0-9][^"_]*\)[^"]*": {.*$/\1 \2/p' "$root/deno.lock"; }

# Lays out what goes below the prefix in the folder $1. Needs Deno and the packages ready (ensure_deno). What follows runs in subshells: its variables are its own.
lay_out() {
  lay_out_outside "$1"
  lay_out_home "$1"
}

# The program with its runtime and packages.
lay_out_home() (
  tree=$1
  base=$tree/$home
  mkdir -p "$base/scripts/packaging" "$base/.deno/cache/npm/$packages_of"
  for part in src workers conf docs deno.json deno.lock LICENSE README.md CHANGELOG.md SECURITY.md; do
    cp -R "$root/$part" "$base/"
  done
  for name in $runtime_scripts packaging/layout.sh; do
    cp "$root/scripts/$name" "$base/scripts/$name"
  done
  lay_out_runtime
  settle_modes "$base"
)

# What has a place among other programs' files: links to the programs, manual pages, documents, units, completions.
lay_out_outside() (
  tree=$1
  mkdir -p "$tree/sbin" "$tree/bin" "$tree/share/doc/vaultpost"
  for name in $sbin_programs; do ln -s "../$home/scripts/$name" "$tree/sbin/$name"; done
  for name in $bin_programs; do ln -s "../$home/scripts/$name" "$tree/bin/$name"; done
  for page in "$root"/conf/man/*.[1-9]; do
    section=${page##*.}
    mkdir -p "$tree/share/man/man$section"
    cp "$page" "$tree/share/man/man$section/"
  done
  for part in README.md CHANGELOG.md SECURITY.md LICENSE docs conf/examples; do
    cp -R "$root/$part" "$tree/share/doc/vaultpost/"
  done
  cp -R "$root/conf/prometheus" "$root/conf/grafana" "$tree/share/doc/vaultpost/examples/"
  lay_out_if_there vaultpost.logrotate share/doc/vaultpost "$root/conf/vaultpost.logrotate"
  lay_out_if_there service lib/systemd/system "$root"/conf/*.service "$root"/conf/*.socket "$root"/conf/*.timer
  lay_out_if_there smtpctl share/bash-completion/completions "$root/conf/completions/smtpctl.bash"
  lay_out_if_there _smtpctl share/zsh/site-functions "$root/conf/completions/smtpctl.zsh"
  lay_out_if_there smtpctl.fish share/fish/vendor_completions.d "$root/conf/completions/smtpctl.fish"
  settle_modes "$tree"
)

# Whatever the umask, and the modes and owners in the checkout.
settle_modes() {
  chmod -R u=rwX,go=rX "$1"
  find "$1" -type d -exec chmod g-s {} +
  if [ "$(id -u)" = 0 ]; then chown -R 0:0 "$1"; fi
}

# The runtime as a file, the packages of the lock, and the marks by which lib.sh knows that all is there.
lay_out_runtime() {
  cp "$(readlink -f "$deno")" "$base/.deno/${deno##*/}"
  chmod 755 "$base/.deno/${deno##*/}"
  locked_packages | while read -r name version; do
    found=
    for registry in "$DENO_DIR"/npm/*; do
      [ ! -d "$registry/$name/$version" ] || found=$registry/$name/$version
    done
    [ -n "$found" ] || fail "The package $name $version is not in $DENO_DIR/npm: delete $state/installed and try again"
    mkdir -p "$base/.deno/cache/npm/$packages_of/$name"
    cp -R "$found" "$base/.deno/cache/npm/$packages_of/$name/"
  done
  # What a user's own .npmrc says of registries is not for this.
  printf 'registry=https://%s/\n' "$packages_of" >"$base/.npmrc"
  cp "$root/deno.lock" "$base/.deno/deno.lock"
  cp "$state/installed" "$base/.deno/installed"
  sed -n 's/^export const VERSION = "\(.*\)";$/\1/p' "$root/src/config/paths.ts" >"$base/.deno/installation"
}

# Copies those of the files $3 ... that exist into the folder $2; under the name $1 if there can be but one. In units the paths are those of the prefix.
lay_out_if_there() {
  as=$1 folder=$tree/$2
  shift 2
  for file; do
    [ -f "$file" ] || continue
    mkdir -p "$folder"
    case $as in
      service) sed "s|/usr/local/|$prefix/|g" "$file" >"$folder/${file##*/}" ;;
      *) cp "$file" "$folder/$as" ;;
    esac
  done
}

# Prints the files (and, with a slash behind, the folders) of the list of installed files below $dest, sorted. Fails when the list is not whole.
read_manifest() {
  list=$dest/$manifest
  last=$(tail -n 1 "$list")
  lines=$(grep -c '^[^#]' "$list" || :)
  [ "$last" = "# end of $lines" ] || return 1
  # Nothing outside of the prefix.
  ! grep -Eq '^/|(^|/)\.\.(/|$)' "$list" || return 1
  grep '^[^#]' "$list"
}

# Writes the list of installed files, from standard input, into the file $1.
write_manifest() {
  {
    printf '%s\n' '# What scripts/install has put below the prefix; scripts/uninstall removes it. A slash ends the names of folders that it has made.'
    cat
  } >"$1"
  printf '# end of %s\n' "$(grep -c '^[^#]' "$1")" >>"$1"
  chmod 644 "$1"
}

# Removes below $dest the files in the list $1 that are not in the list $2, then the folders in it, as far as they are empty. Where somebody has put a link
# in the place of a folder that was made, what it leads to is theirs.
remove_listed() {
  LC_ALL=C sort -u "$1" >"$1.sorted"
  LC_ALL=C sort -u "$2" | LC_ALL=C comm -23 "$1.sorted" - >"$1.gone"
  { grep '/$' "$1.sorted" || :; } | while read -r folder; do
    if [ "$folder" != "$home/" ] && [ -L "$dest/${folder%/}" ]; then printf '%s\n' "$folder"; fi
  done >"$1.links"
  while read -r link; do
    say "warning: $dest/${link%/} is a link now: what it leads to stays"
    awk -v link="$link" 'index($0, link) != 1' "$1.gone" >"$1.left"
    mv -f -- "$1.left" "$1.gone"
  done <"$1.links"
  while read -r file; do
    case $file in */) continue ;; esac
    [ -d "$dest/$file" ] && [ ! -L "$dest/$file" ] || printf '%s\0' "$dest/$file"
  done <"$1.gone" | xargs -0 rm -f --
  # What is below comes before what is above it.
  { grep '/$' "$1.gone" || :; } | LC_ALL=C sort -r | while read -r folder; do
    [ ! -d "$dest/$folder" ] || printf '%s\0' "$dest/$folder"
  done | xargs -0 rmdir -- 2>/dev/null || :
}

# True when a process runs the program $1.
is_running() {
  for exe in /proc/[0-9]*/exe; do
    [ ! "$exe" -ef "$1" ] || return 0
  done
  return 1
}

# Has the runtime translate and compile the programs of the installation in $dest, for its users may not write into its caches. What fails costs time later.
warm_up() {
  (
    unset SMTPD_SPOOL
    export SMTPD_SOCKET="$dest/$home/none.sock" VAULTPOST_OWNER_WARNED=1
    cd "$dest/$home"
    export DENO_DIR="$dest/$home/.deno/cache"
    find src workers -name '*.ts' -print0 | xargs -0 "./.deno/${deno##*/}" cache --quiet --no-check --frozen --config deno.json
    # As cache_modules of lib.sh notes it, which the daemon's start need not do again.
    find "$dest/$home/src" "$dest/$home/workers" -name '*.ts' -exec cat {} + | cksum >.deno/modules
    scripts/sendmail -bv postmaster
    scripts/smtpctl show status
    scripts/newaliases -f conf/examples/this-host.conf
  ) >/dev/null 2>&1 </dev/null || :
}
