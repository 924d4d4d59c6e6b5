#!/usr/bin/env bash
#
# Runs everything that says whether the project works, and ends with one line,
# "N passed, N failed". What cannot run here is named; with CI=true that is a
# failure, too.
#
#   scripts/test.sh                  everything
#   scripts/test.sh ./gtid/ ./sim/   only these packages

set -euo pipefail
cd "$(dirname "$0")/.."

work=$PWD/.cache
mkdir -p "$work"
go build -o "$work/summary" scripts/summary.go

# event writes one result in the form of `go test -json`.
event() { # event ACTION NAME [OUTPUT_FILE]
  if [ -s "${3:-/dev/null}" ]; then
    while IFS= read -r line; do
      line=$(printf '%s' "$line" | sed 's/\\/\\\\/g; s/"/\\"/g' | tr '\t' ' ' | tr -d '\000-\037')
      printf '{"Action":"output","Package":"checks","Test":"%s","Output":"%s\\n"}\n' "$2" "$line"
    done <"$3"
  fi
  printf '{"Action":"%s","Package":"checks","Test":"%s"}\n' "$1" "$2"
}

check() { # check NAME COMMAND...
  local name=$1 log=$work/check.log action=pass
  shift
  "$@" >"$log" 2>&1 || action=fail
  event "$action" "$name" "$log"
}

formatted() {
  local wrong
  wrong=$(find . -name '*.go' -not -path './.*' -not -path '*/node_modules/*' -exec gofmt -l {} +)
  [ -z "$wrong" ] || { printf 'not gofmt-ed:\n%s\n' "$wrong"; return 1; }
}

# Tests with real servers wait for them most of the time, so they run in two rows
# beside each other, and beside nothing else. They are known by what their tests
# import; store starts etcd.
with_servers() {
  { grep -rl --include='*_test.go' -e '"github.com/primacydb/primacy/mysqld/local"' . || true
    ls store/*_test.go mysqld/local/*_test.go integration/*_test.go integration/*/*_test.go cmd/primacy/*_test.go 2>/dev/null || true
  } | sed 's,^\./,,' | xargs -n1 dirname | sort -u | sed 's,^,./,'
}

# Partitions are made in network namespaces. undivided says why none can be made here, and nothing where they can.
undivided() {
  if [ "$(uname)" != Linux ]; then
    echo "needs Linux"
  elif [ "$(id -u)" != 0 ]; then
    echo "needs root"
  elif ! command -v ip >/dev/null; then
    echo "needs ip: apt-get install iproute2"
  elif ! unshare --net sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward' 2>/dev/null; then
    echo "needs the right to make network namespaces that forward packets, as a privileged container has it"
  fi
}

run() { # run OPTIONS... -- PACKAGES...
  local code=0
  go test -json -timeout 70m "$@" || code=$?
  # 1 is a failed test, which has its own event. Anything else has none.
  [ "$code" -le 1 ] || event fail "go test ended with status $code"
}

# The largest package of them takes longer than all others: every third of its
# tests goes into the row of those.
divided=./integration

third() { # a regular expression for every third test
  go test $race -list '^Test' "$divided" | awk '/^Test/ && ++n % 3 == 1 {names = names "|" $1} END {print "^(" substr(names, 2) ")$"}'
}

# Where the host gives much of the processors' time to others, two rows would leave servers without any for seconds.
times() { # of all processors: what was wanted here, and what of it others got
  awk '/^cpu /{printf "%d %d\n", $2+$3+$4+$7+$8+$9, $9}' /proc/stat 2>/dev/null || echo "0 0"
}

robbed() { # robbed WANTED GOT: whether it was more than a tenth since
  local wanted got
  read -r wanted got <<<"$(times)"
  [ $(((got - $2) * 10)) -gt $((wanted - $1)) ]
}

in_rows() { # in_rows PACKAGES...
  if robbed $before; then run $race -p 1 "$@"; else in_two_rows "$@"; fi
}

in_two_rows() { # in_two_rows PACKAGES...
  local few others
  others=$(printf '%s\n' "$@" | grep -vxF "$divided" || true)
  few=$(third) || { event fail "which tests $divided has"; return; }
  # shellcheck disable=SC2086
  "$work/summary" <(run $race -p 1 -skip "$few" "$divided") <(run $race -p 1 $others; run $race -p 1 -run "$few" "$divided")
}

race=-race
events() {
  check gofmt formatted
  check "go vet" go vet ./...
  check "go vet, with failpoints" go vet -tags failpoints ./cmd/primacy
  if ! [ "$(go env CGO_ENABLED)" = 1 ] || ! command -v "$(go env CC)" >/dev/null; then
    race=
    event skip "race detector (needs a C compiler: apt-get install gcc)"
  fi
  if [ $# -gt 0 ]; then
    run $race -p 1 "$@"
    return
  fi
  if server=$(scripts/mysql.sh); then
    export PRIMACY_MYSQLD=${server##*mysqld: }
  else
    event fail "make mysql"
  fi
  local servers before
  servers=$(with_servers)
  before=$(times)
  # shellcheck disable=SC2046
  run $race $(go list ./... | sed "s,^$(go list -m),.," | sed 's,^\.$,./,' | grep -vxF "$servers")
  local why
  why=$(undivided)
  if [ -n "$why" ]; then
    event skip "integration/partition ($why)"
    servers=$(sed '/^\.\/integration\/partition$/d' <<<"$servers")
  fi
  if browser=$(scripts/chromium.sh); then
    export PRIMACY_CHROMIUM=${browser##*chromium: }
  else
    event skip "integration/browser (needs Chromium: scripts/chromium.sh says how to get it)"
    servers=$(sed '/^\.\/integration\/browser$/d' <<<"$servers")
  fi
  # Electors there lose a lease of three seconds where they get no processor for as long: they have the machine for themselves.
  local alone=./integration/partition
  # shellcheck disable=SC2046
  in_rows $(grep -vxF "$alone" <<<"$servers")
  if grep -qxF "$alone" <<<"$servers"; then run $race -p 1 "$alone"; fi
  if command -v npm >/dev/null; then
    check "the dashboard is what its sources give (scripts/dashboard.sh --check)" scripts/dashboard.sh --check
  else
    event skip "the dashboard is what its sources give (needs npm)"
  fi
  # A lifetime is the same on every machine. This is another kind of machine on which the same kernel runs programs.
  if [ "$(go env GOOS)/$(go env GOARCH)" = linux/amd64 ]; then
    check "the same lifetimes on 32 bits" env GOARCH=386 CGO_ENABLED=0 go test ./sim -run Digests
  fi
  check "every policy in clusters of up to five servers (primacy simulate --policies)" go run ./cmd/primacy simulate --policies
  # The race detector makes these ten times as long, and has nothing to find in them: there a fifth is tried.
  check "what a forger can alter in a certificate (go test ./sim -run Certificate)" go test ./sim -run 'Certificate|Forger'
  # The race detector makes a lifetime ten times as long, so most of them are lived without it.
  # Their seeds are new each time: the log of a failure names the one that broke a promise, for sim/testdata/seeds.txt
  # (with cascade=yes or rules=yes behind it where that was asked for).
  check "4000 new lifetimes (primacy simulate)" go run ./cmd/primacy simulate --seeds 4000 --shrink=false
  check "500 new lifetimes with replicas of replicas (primacy simulate --cascade)" go run ./cmd/primacy simulate --cascade --seeds 500 --shrink=false
  check "300 new lifetimes whose rules change (primacy simulate --rules)" go run ./cmd/primacy simulate --rules --seeds 300 --shrink=false
}

events "$@" | "$work/summary"
