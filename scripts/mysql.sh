#!/usr/bin/env bash
#
# Finds a MySQL server for the sandbox and the tests, and fetches a private copy
# where the machine has none. Nothing is installed: the copy lives in the user's
# cache directory, needs no root, and `rm -r` of that directory removes it.
#
#   scripts/mysql.sh           find or fetch; the last line is "mysqld: PATH"
#   scripts/mysql.sh --print   print the path when there is one, never fetch
#   scripts/mysql.sh --fetch   ignore $PRIMACY_MYSQLD and PATH, use the private copy
#
# Order: $PRIMACY_MYSQLD, PATH and the usual directories, the private copy, and
# then (Debian and its relatives) a download of the distribution's own packages.
# mysqld/local.Find in Go searches in the same order.
#
# Written for bash 3.2, which is what macOS has.

set -euo pipefail

minimum=8.0.26
HOME=${HOME:-$(cd ~ && pwd)}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/primacy/mysql
current=$cache/current

say()  { printf '%s\n' "$*" >&2; }
fail() { say "mysql: $*"; exit 1; }

# --- is this a server that we can use? -------------------------------------

# server_version prints 8.4.3 for MySQL and Percona Server, nothing for MariaDB,
# whose GTIDs and semi-synchronous replication are different ones.
server_version() {
  local line
  line=$("$1" --version 2>/dev/null </dev/null) || return 0
  case $line in *[Mm]aria[Dd][Bb]*) return 0 ;; esac
  printf '%s\n' "$line" | sed -n 's/.*Ver \([0-9][0-9]*\.[0-9][0-9]*\.[0-9][0-9]*\).*/\1/p'
}

at_least() { # at_least VERSION MINIMUM
  local a1 a2 a3 b1 b2 b3
  IFS=. read -r a1 a2 a3 <<<"$1"
  IFS=. read -r b1 b2 b3 <<<"$2"
  (( a1 != b1 )) && { (( a1 > b1 )); return; }
  (( a2 != b2 )) && { (( a2 > b2 )); return; }
  (( a3 >= b3 ))
}

usable() {
  local version
  [ -x "$1" ] && [ ! -d "$1" ] || return 1
  version=$(server_version "$1")
  [ -n "$version" ] && at_least "$version" "$minimum"
}

# confined tells whether AppArmor ties this server to /var/lib/mysql, as Ubuntu's
# own package does: it could not even read a data directory of ours.
confined() {
  [ "$1" = /usr/sbin/mysqld ] && [ -e /etc/apparmor.d/usr.sbin.mysqld ] &&
    [ -r /sys/module/apparmor/parameters/enabled ] &&
    grep -q Y /sys/module/apparmor/parameters/enabled
}

installed() {
  local dir candidate
  while IFS= read -r dir; do
    candidate=$dir/mysqld
    if usable "$candidate" && ! confined "$candidate"; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done < <(printf '%s\n' "$PATH" | tr : '\n'
           printf '%s\n' /usr/sbin /usr/libexec /usr/local/sbin /usr/local/bin \
             /usr/local/mysql/bin /opt/homebrew/opt/mysql/bin /usr/local/opt/mysql/bin)
  return 1
}

find_server() {
  if [ -n "${PRIMACY_MYSQLD:-}" ] && [ "$mode" != fetch ]; then
    usable "$PRIMACY_MYSQLD" ||
      fail "PRIMACY_MYSQLD=$PRIMACY_MYSQLD is no MySQL or Percona Server of $minimum or later; correct it or unset it"
    printf '%s\n' "$PRIMACY_MYSQLD"
    return 0
  fi
  [ "$mode" != fetch ] && installed && return 0
  usable "$current/mysqld" && printf '%s\n' "$current/mysqld"
}

# --- what to do where nothing can be fetched --------------------------------

family() {
  [ "$(uname -s)" = Darwin ] && { echo macos; return; }
  local ids=
  # shellcheck disable=SC1091
  [ -r /etc/os-release ] && ids=$(. /etc/os-release; echo " ${ID:-} ${ID_LIKE:-} ")
  case $ids in
    *" ubuntu "*)                     echo ubuntu ;;
    *" debian "*)                     echo debian ;;
    *" rhel "*|*" fedora "*|*" centos "*) echo rhel ;;
    *" suse "*|*" opensuse "*)        echo suse ;;
    *" arch "*)                       echo arch ;;
    *" alpine "*)                     echo alpine ;;
    *)                                echo other ;;
  esac
}

remedy() {
  say ""
  say "Primacy needs a mysqld of MySQL or Percona Server, $minimum or later (MariaDB does not do)."
  case $(family) in
    macos)  say "  macOS:        brew install mysql          (it need not be started)" ;;
    rhel)   say "  RHEL family:  sudo dnf install mysql-server   (RHEL 10: mysql8.4-server; Fedora: community-mysql-server)"
            say "                the service need not be started" ;;
    ubuntu) say "  Ubuntu:       sudo apt-get install mysql-server-core-8.0   (or -8.4), then run this again" ;;
    debian) say "  Debian:       check that apt-get update works against a full Debian mirror, then run this again" ;;
    suse)   say "  SUSE:         unpack the generic Linux archive of MySQL Community Server or Percona Server" ;;
    arch)   say "  Arch:         unpack the generic Linux archive of MySQL Community Server or Percona Server" ;;
    alpine) say "  Alpine:       MySQL is not built for musl; use a glibc system or a container of one" ;;
    *)      say "  unpack the generic Linux archive of MySQL Community Server or Percona Server" ;;
  esac
  say "Or name one that you have:  export PRIMACY_MYSQLD=/path/to/bin/mysqld"
}

# --- the private copy, from the distribution's own packages -----------------

# shellcheck source=scripts/apt.sh
. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"

# mirrors prints "URI|source file" for each archive that this machine itself uses,
# the likeliest first. No mirror is written down here.
mirrors() {
  local found
  # shellcheck disable=SC2016
  found=$(apt-get indextargets --format '$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SOURCESENTRY)' 'Created-By: Packages' 2>/dev/null |
    awk -F'|' '$3 == "main" && $1 !~ /security/ && $2 !~ /-(security|updates|backports)$/ {sub(/:[0-9]+$/, "", $4); print $1 "|" $4}' |
    awk '!seen[$0]++')
  printf '%s\n' "$found" | grep '/debian/|' || true
  printf '%s\n' "$found" | grep -v '/debian/|' || true
}

# sid_line writes the one source of the private state: suite sid on a mirror that
# the machine already trusts, checked with the keys that it already has.
sid_line() { # sid_line URI SOURCE_FILE
  local keys='' key options=''
  for key in $(grep -oiE 'signed-by[:=][[:space:]]*/[^] ]+' "$2" 2>/dev/null | grep -oE '/[^] ]+' | tr ',' ' ') \
             /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp; do
    [ -r "$key" ] || continue
    case ",$keys," in *",$key,"*) ;; *) keys=${keys:+$keys,}$key ;; esac
  done
  [ -z "$keys" ] || options="signed-by=$keys"
  if grep -qiE '(^|[[ ])trusted[:=][[:space:]]*yes' "$2" 2>/dev/null; then options="$options trusted=yes"; fi
  printf 'deb %s%s sid main\n' "${options:+[$options] }" "$1"
}

# newest_package prints the best name of the server's core package in the private lists.
newest_package() {
  private_apt apt-cache search --names-only '^mysql-server-core(-[0-9.]+)?$' 2>/dev/null |
    awk '{print $1}' | sort -V | awk '$1 == "mysql-server-core" {plain = $1} {last = $1} END {print plain ? plain : last}'
}

refresh_lists() {
  say "mysql: reading package lists of $1"
  private_apt apt-get update -q -o APT::Update::Error-Mode=any >&2 && [ -n "$(newest_package)" ]
}

# Ubuntu and its relatives carry MySQL in their own suites; Debian only in sid.
use_own_suites() {
  own_suites >>"$apt/apt.conf"
  refresh_lists "this machine's suites"
}

use_sid() {
  local uri file
  echo "Dir::Etc::sourcelist \"$apt/sources.list\";" >>"$apt/apt.conf"
  echo 'Dir::Etc::sourceparts "/dev/null";' >>"$apt/apt.conf"
  while IFS='|' read -r uri file; do
    [ -n "$uri" ] || continue
    sid_line "$uri" "$file" >"$apt/sources.list"
    refresh_lists "suite sid at $uri" && return 0
  done < <(mirrors)
  return 1
}

# client_of names the client that belongs to a server package: both carry the
# same version suffix on Ubuntu, and none on Debian.
client_of() { printf '%s\n' "mysql-client-core${1#mysql-server-core}"; }

download() {
  local package=$1
  say "mysql: downloading $package and what it needs (about 60 MB; an interrupted download goes on where it stopped)"
  private_apt apt-get install -q -d --no-install-recommends "$package" "$(client_of "$package")" 2>&1 |
    { grep --line-buffered -E '^(Get:|Need to get|Fetched|Err:|E:|W:)' || true; } >&2
}

# packages prints the files of this closure, and only those: the cache may also
# hold packages of an earlier, different closure.
packages() { # packages PACKAGE
  private_apt apt-get install -qq -d --no-install-recommends --print-uris \
    -o Dir::Cache::archives="$apt/none" "$1" "$(client_of "$1")" 2>/dev/null | awk '{print $2}'
}

unpack() { # unpack PACKAGE INTO
  local deb n=0 total list
  mkdir -p "$apt/none/partial" "$2"
  list=$(packages "$1")
  total=$(printf '%s\n' "$list" | grep -c .) || fail "apt named no packages for $1"
  for deb in $list; do
    [ -s "$apt/archives/$deb" ] || fail "$deb was not downloaded; run this again"
    n=$((n + 1))
    [ ! -t 2 ] || printf '\rmysql: unpacking %d of %d' "$n" "$total" >&2
    dpkg -x "$apt/archives/$deb" "$2" || fail "cannot unpack $deb; remove $apt/archives/$deb and run this again"
  done
  [ ! -t 2 ] || printf '\n' >&2
  say "mysql: unpacked $total packages"
}

# write_launcher makes one path behave as the program. It is the program's own
# process in the end (exec), so that signals reach it. Options of the caller come
# first, because --defaults-file is only understood there.
write_launcher() { # write_launcher PREFIX NAME PROGRAM TRAILING_OPTIONS
  # shellcheck disable=SC2016
  {
    echo '#!/bin/sh'
    echo '# Runs the private copy with its own loader and libraries.'
    echo 'self=$(readlink -f "$0") || exit 1'
    echo 'p=${self%/*}'
    echo "exec \"\$p/$loader\" --library-path \"$libraries\" \"\$p/$3\" \"\$@\" $4"
  } >"$1/$2"
  chmod 755 "$1/$2"
}

launchers() { # launchers PREFIX
  local triplet messages charsets
  loader=$(cd "$1" && find . -name 'ld-linux*.so.*' -path '*-linux-gnu*' | sed 's,^\./,,' | head -n 1)
  [ -n "$loader" ] || fail "no dynamic loader among the unpacked packages"
  triplet=$(basename "$(dirname "$loader")")
  libraries="\$p/usr/lib/$triplet:\$p/lib/$triplet:\$p/usr/lib/mysql/private"
  plugins=$(cd "$1" && find . -name semisync_source.so | sed 's,^\./,,' | head -n 1)
  plugins=${plugins%/semisync_source.so}
  messages=$(cd "$1" && find . -path '*/english/errmsg.sys' | sed 's,^\./,,' | head -n 1)
  charsets=$(cd "$1" && find . -path '*/charsets/Index.xml' | sed 's,^\./,,' | head -n 1)
  if [ -z "$plugins" ] || [ -z "$messages" ] || [ -z "$charsets" ]; then
    fail "the unpacked packages lack the semi-sync plugins or the server's messages"
  fi
  write_launcher "$1" mysqld usr/sbin/mysqld \
    "\"--basedir=\$p/usr\" \"--plugin-dir=\$p/$plugins\" \"--lc-messages-dir=\$p/${messages%/english/errmsg.sys}\" \"--character-sets-dir=\$p/${charsets%/Index.xml}\" --secure-file-priv=NULL"
  [ ! -x "$1/usr/bin/mysql" ] || write_launcher "$1" mysql usr/bin/mysql ''
}

# trim drops what no server reads; documentation alone is half of the copy.
trim() {
  local usr=${1:?}/usr
  rm -rf "$usr"/share/{doc,man,locale,info} "$usr"/share/perl* "$usr"/lib/*/perl* "$usr"/lib/*/gconv \
    "${1:?}/var" "${1:?}/etc"
}

verify() { # verify PREFIX
  local version plugin
  version=$(server_version "$1/mysqld")
  [ -n "$version" ] || { "$1/mysqld" --version >&2 || true; fail "the unpacked server does not run on this machine"; }
  at_least "$version" "$minimum" || fail "the packages contain MySQL $version, older than $minimum"
  for plugin in semisync_source semisync_replica mysql_clone; do
    [ -s "$1/$plugins/$plugin.so" ] || fail "the unpacked server lacks $plugin.so"
  done
  printf '%s\n' "$version"
}

# install_copy makes the new copy current in one rename, so that a reader finds
# the old one or the new one and never half of either.
install_copy() { # install_copy PREFIX NAME
  if [ -e "$cache/$2" ]; then mv "$cache/$2" "$cache/unpacking.$2.$$" || return 1; fi
  mv "$1" "$cache/$2" &&
    ln -s "$2" "$cache/current.new.$$" &&
    mv -T "$cache/current.new.$$" "$current" &&
    rm -rf "$cache/unpacking.$2.$$"
}

# A function that is called for its exit status runs without errexit, so each
# stage here says itself what its failure means.
fetch() {
  local package fresh version
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
  mkdir -p "$cache"
  if command -v flock >/dev/null; then
    exec 9>"$cache/lock"
    flock -n 9 || { say "mysql: another run is fetching; waiting for it"; flock 9; }
    if usable "$current/mysqld"; then return 0; fi
  fi
  private_apt_conf "$cache/apt" || return 1
  case $(family) in
    ubuntu) use_own_suites || return 1 ;;
    *)      use_sid || { say "mysql: none of this machine's mirrors offers suite sid with mysql-server-core"; return 1; } ;;
  esac
  package=$(newest_package)
  rm -rf "$cache"/unpacking.*
  download "$package" || { say "mysql: the download failed; run this again, it goes on where it stopped"; return 1; }
  fresh=$cache/unpacking.$$
  unpack "$package" "$fresh" || return 1
  launchers "$fresh"         || return 1
  trim "$fresh"              || return 1
  version=$(verify "$fresh") || return 1
  install_copy "$fresh" "$version-$(dpkg --print-architecture)" || return 1
  rm -rf "$apt/archives" "$apt/none" "$apt"/*.bin
}

mode=any
case ${1:-} in
  '')      ;;
  --print) mode=print ;;
  --fetch) mode=fetch ;;
  *)       say "usage: scripts/mysql.sh [--print|--fetch]"; exit 2 ;;
esac

if server=$(find_server); then
  [ "$mode" = print ] && { printf '%s\n' "$server"; exit 0; }
elif [ "$mode" = print ] || { [ -n "${PRIMACY_MYSQLD:-}" ] && [ "$mode" != fetch ]; }; then
  exit 1
else
  fetch || { remedy; exit 1; }
  server=$current/mysqld
fi

say "mysql: $("$server" --version 2>/dev/null | sed 's/^.*Ver /Ver /')"
printf 'mysqld: %s\n' "$server"
