#!/usr/bin/env bash
#
# Finds a Chromium for the browser tests, and fetches a private copy where the
# machine has none. Nothing is installed: the copy lives in the user's cache
# directory, needs no root, and `rm -r` of that directory removes it.
#
#   scripts/chromium.sh           find or fetch; the last line is "chromium: PATH"
#   scripts/chromium.sh --fetch   ignore $PRIMACY_CHROMIUM and PATH, use the private copy
#
# Order: $PRIMACY_CHROMIUM, PATH, the private copy, and then (Debian, which has a
# package without a window system) a download of the distribution's own packages.

set -euo pipefail

HOME=${HOME:-$(cd ~ && pwd)}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/primacy/chromium
current=$cache/current
wanted=(chromium-headless-shell fonts-dejavu-core)

say()  { printf '%s\n' "$*" >&2; }
fail() { say "chromium: $*"; exit 1; }

# shellcheck source=scripts/apt.sh
. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"

# usable is asked with --version, since on some systems the name is a script that only says what to install.
usable() { [ -x "$1" ] && [ ! -d "$1" ] && "$1" --version 2>/dev/null </dev/null | grep -qi chrom; }

installed() {
  local name found
  for name in chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
    found=$(command -v "$name") && usable "$found" && { printf '%s\n' "$found"; return; }
  done
  for found in "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" /Applications/Chromium.app/Contents/MacOS/Chromium; do
    usable "$found" && { printf '%s\n' "$found"; return; }
  done
  return 1
}

remedy() {
  say "The browser tests need Chromium or Chrome. Debian: this script fetches it if apt-get update works. Elsewhere install one"
  say "(macOS: brew install --cask chromium), or name one that you have:  export PRIMACY_CHROMIUM=/path/to/chromium"
}

download() {
  say "chromium: reading package lists"
  private_apt apt-get update -q -o APT::Update::Error-Mode=any >&2 && private_apt apt-get autoclean -q >&2 || return 1
  say "chromium: downloading ${wanted[*]} and what they need (about 90 MB; an interrupted download goes on where it stopped)"
  private_apt apt-get install -q -d "${wanted[@]}" 2>&1 | { grep --line-buffered -E '^(Get:|Need to get|Fetched|Err:|E:|W:)' || true; } >&2
}

unpack() { # unpack INTO
  local deb
  mkdir -p "$1"
  for deb in "$apt"/archives/*.deb; do
    dpkg -x "$deb" "$1" || return 1
  done
  rm -rf "${1:?}"/usr/share/{doc,man,locale,info} "${1:?}/var"
  [ -x "$1/usr/lib/chromium/chromium-headless-shell" ]
}

# launcher makes one path behave as the program. Its own loader cannot start it, as it does for MySQL: Chromium starts
# itself anew for each page. So the machine's libraries are used, and the private ones where it has none.
launcher() { # launcher PREFIX
  local libraries
  libraries=$(cd "$1" && find . -name '*.so' -o -name '*.so.*' | sed 's,/[^/]*$,,; s,^\.,$p,' | sort -u | paste -sd:)
  # shellcheck disable=SC2016
  {
    echo '#!/bin/sh'
    echo 'self=$(readlink -f "$0") || exit 1'
    echo 'p=${self%/*}'
    echo "export LD_LIBRARY_PATH=\"$libraries\" FONTCONFIG_FILE=\"\$p/fonts.conf\""
    echo 'exec "$p/usr/lib/chromium/chromium-headless-shell" "$@"'
  } >"$1/chromium"
  chmod 755 "$1/chromium"
  cat >"$1/fonts.conf" <<-FONTS
	<?xml version="1.0"?>
	<fontconfig>
	<include ignore_missing="yes">/etc/fonts/fonts.conf</include>
	<dir>$current/usr/share/fonts</dir><dir>/usr/share/fonts</dir><cachedir>$current/fonts.cache</cachedir>
	$(for family in sans-serif system-ui; do echo "<alias><family>$family</family><prefer><family>DejaVu Sans</family></prefer></alias>"; done)
	<alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
	</fontconfig>
	FONTS
}

# verify renders a page.
verify() { # verify PREFIX
  "$1/chromium" --no-sandbox --disable-gpu --timeout=20000 --dump-dom 'data:text/html,<p>it runs' 2>/dev/null </dev/null | grep -q 'it runs' ||
    { say "chromium: the unpacked program does not run on this machine"; return 1; }
}

# A function that is called for its exit status runs without errexit, so each
# stage here says itself what its failure means.
fetch() {
  local fresh
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
  mkdir -p "$cache"
  if command -v flock >/dev/null; then
    exec 9>"$cache/lock"
    flock -n 9 || { say "chromium: another run is fetching; waiting for it"; flock 9; }
    if usable "$current/chromium"; then return 0; fi
  fi
  private_apt_conf "$cache/apt" /var/lib/dpkg/status || return 1
  own_suites >>"$apt/apt.conf"
  rm -rf "$cache"/unpacking.*
  download || { say "chromium: the download failed; run this again"; return 1; }
  fresh=$cache/unpacking.$$
  unpack "$fresh" || { say "chromium: this machine's mirrors have no chromium-headless-shell that can be unpacked"; return 1; }
  launcher "$fresh"
  verify "$fresh" || return 1
  rm -rf "$current" && mv "$fresh" "$current"
  rm -rf "$apt/archives" "$apt"/*.bin
}

mode=${1:-}
case $mode in
  '' | --fetch) ;;
  *) say "usage: scripts/chromium.sh [--fetch]"; exit 2 ;;
esac

if [ -n "${PRIMACY_CHROMIUM:-}" ] && [ -z "$mode" ]; then
  program=$PRIMACY_CHROMIUM
  usable "$program" || fail "PRIMACY_CHROMIUM=$program is no Chromium; correct it or unset it"
elif [ -z "$mode" ] && program=$(installed); then
  :
elif program=$current/chromium && usable "$program"; then
  :
else
  fetch || { remedy; exit 1; }
fi

say "chromium: $("$program" --version 2>/dev/null </dev/null)"
printf 'chromium: %s\n' "$program"
