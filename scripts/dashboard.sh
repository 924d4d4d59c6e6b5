#!/usr/bin/env bash
#
# Makes the dashboard's files of its sources. The result is committed, so that
# `go build` alone gives a whole program; whoever changes dashboard/ runs this.
#
#   scripts/dashboard.sh           checks, tests, builds, and replaces api/pages/dashboard
#   scripts/dashboard.sh --check   the same, but compares instead, and names what differs
#
# Needs Node 18 or later with npm. The work is done in .cache/dashboard, from
# the committed files alone: the same sources give the same bytes everywhere.

set -euo pipefail
cd "$(dirname "$0")/.."

built=api/pages/dashboard
work=.cache/dashboard
mode=${1:-}

fail() { printf 'dashboard: %s\n' "$*" >&2; exit 1; }

command -v npm >/dev/null || fail "npm is missing; it comes with Node 18 or later"
case $mode in '' | --check) ;; *) fail "unknown option $mode" ;; esac

# Everything but what was installed is copied anew, so that no deleted file lives on.
mkdir -p "$work"
find "$work" -mindepth 1 -maxdepth 1 ! -name node_modules ! -name installed -exec rm -rf {} +
(cd dashboard && find . -type f -not -path './node_modules/*' -not -path './dist/*') | while IFS= read -r file; do
  mkdir -p "$work/$(dirname "$file")"
  cp "dashboard/$file" "$work/$file"
done

# The api's document stands where `npm run types` looks for it.
cp api/openapi.json .cache/openapi.json
cd "$work"
if ! cmp -s package-lock.json installed; then
  rm -rf installed node_modules
  npm ci --loglevel=error
  cp package-lock.json installed
fi
npx --no-install openapi-typescript ../openapi.json -o types.d.ts >/dev/null
cmp -s types.d.ts src/api/schema.d.ts ||
  fail "dashboard/src/api/schema.d.ts is not what api/openapi.json says; run (cd dashboard && npm run types) and look at what changed"
npx --no-install tsc
npx --no-install vitest run --reporter=default
npx --no-install vite build --logLevel warn
cd - >/dev/null

if [ "$mode" = --check ]; then
  diff -rq "$work/dist" "$built" ||
    fail "$built is not what dashboard/ gives; run make dashboard and commit the result"
  echo "dashboard: $built is what dashboard/ gives"
  exit
fi
rm -rf "$built"
mkdir -p "$built"
cp -R "$work/dist/." "$built/"
echo "dashboard: built $built"
