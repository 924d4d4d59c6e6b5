# Primacy. `make` alone explains itself.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help build mysql demo test check bench dashboard planted matrix crowd soak profile clean

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

help: ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/primacy
	@go build -trimpath -pgo cmd/primacy/simulate.pgo -ldflags '-s -w -X main.version=$(VERSION)' -o bin/primacy ./cmd/primacy
	@echo "built bin/primacy"

mysql: ## a MySQL server: the machine's own, or a private copy in the user's cache
	@scripts/mysql.sh

demo: build mysql ## a real fleet on this machine, and what happens when its primary dies
	@bin/primacy sandbox --scenario demo

test: ## everything that says whether it works, real servers included
	@scripts/test.sh

check: ## golangci-lint
	@scripts/check.sh

bench: build mysql ## benchmarks, and the write gaps of five failovers and five planned changes
	@go test -run '^$$' -bench . -benchmem ./gtid/ $$(grep -rl --include='*_test.go' '^func Benchmark' . | xargs -n1 dirname | sort -u | grep -vxF ./gtid)
	@bin/primacy sandbox --scenario kill-primary --rounds 5
	@bin/primacy sandbox --scenario planned --rounds 5

dashboard: ## api/pages/dashboard, from the sources in dashboard/ (needs Node)
	@scripts/dashboard.sh

planted: ## plants bugs in the real code, hunts each with the simulator, and writes the table
	@go run ./sim/planted -record -docs docs/simulation.md

matrix: mysql ## kills and stops electors at every step of a change, on real servers, and writes the table
	@go run ./integration/matrix -record -docs docs/electors.md

crowd: ## three electors share 500 clusters over a real etcd, die and come back; writes the table
	@go run ./integration/crowd -docs docs/electors.md

MINUTES ?= 30
soak: mysql ## leaves real servers alone under strikes and clients, for MINUTES=30; SEED=7 does it once more
	@go run ./integration/soak -minutes $(MINUTES) $(if $(SEED),-seed $(SEED))

profile: ## where lifetimes spend their time, by which build has the compiler arrange the program
	@GOGC=3200 go test ./sim -trimpath -run '^$$' -bench 'BenchmarkLifetime$$' -benchtime 5000x -cpuprofile "$$PWD/cmd/primacy/simulate.pgo" -o /dev/null

clean: ## removes what was built here; cached servers stay in the user's cache
	@rm -rf bin .cache
