#!/usr/bin/env bash
#
# Reads the code with golangci-lint. The pinned version is built once into the
# user's cache, which takes some minutes.

set -euo pipefail
cd "$(dirname "$0")/.."

version=v2.15.0
bin=${XDG_CACHE_HOME:-$HOME/.cache}/primacy/bin/golangci-lint-$version

if ! [ -x "$bin/golangci-lint" ]; then
  echo "building golangci-lint $version, once; this takes some minutes"
  GOBIN=$bin go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version"
fi

"$bin/golangci-lint" run "$@" ./...
"$bin/golangci-lint" run "$@" --build-tags failpoints ./cmd/primacy
