# The only entrance. `make help` lists what there is.

SHELL := /bin/bash
# How long make chaos keeps three nodes under load.
CHAOS ?= 10m

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Where the price catalog's facts lie, beside the clone.
PRICE_FACTS ?= $(CURDIR)/../shared/catalog/prices.json

GOLANGCI_VERSION := v2.15.0
GOLANGCI := .tools/bin/golangci-lint-$(GOLANGCI_VERSION)

.DEFAULT_GOAL := help
.PHONY: help run build test e2e chaos check lint fix generate web screenshots bench bench-quick bench-console fuzz

# The console as it is embedded, and what it is made of.
CONSOLE := internal/console/dist/site/index.html
CONSOLE_SOURCES := $(shell find web -name node_modules -prune -o -type f -print)
# Empty where there is no Node that can build the console.
NODE := $(shell command -v npm >/dev/null && node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null && echo yes)

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: build ## build and start the demo: SQLite in ./data/demo, nothing to configure
	@exec ./bin/halley demo

build: $(if $(NODE),web,without-console) ## build ./bin/halley, one static binary, with the console where Node is
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/halley ./cmd/halley

test: ## install what the suites need and run all of them
	@scripts/test

screenshots: web ## every screen of the console in both themes, widths and languages, also empty, waiting and refused, into ./screenshots
	HALLEY_LOOKS=all HALLEY_SCREENSHOTS='$(CURDIR)/screenshots' go test -count=1 -timeout=25m -run 'TestEveryScreen|TestStates|TestEmptyScreens' ./test/browser
	@ls screenshots | wc -l | xargs -I{} echo '{} pictures in ./screenshots'

e2e: ## only the suites that drive the real binary from outside
	@scripts/test ./test/...

chaos: ## break nodes, databases, clocks and disks under load for CHAOS=10m, and count the money
	go test -tags chaos -count=1 -run Moved ./internal/app
	go test -v -count=1 -timeout=3h ./test/chaos -args -chaos.duration=$(CHAOS)

check: test lint ## what CI runs

lint: $(GOLANGCI) $(if $(NODE),web/node_modules/.installed) ## the linters, import arrows included
	$(GOLANGCI) run
	$(if $(NODE),cd web && npm run --silent lint)

fix: $(GOLANGCI) $(if $(NODE),web/node_modules/.installed) ## format and mend what can be mended by itself
	$(GOLANGCI) fmt
	$(GOLANGCI) run --fix
	$(if $(NODE),cd web && npm run --silent fix)

generate: ## write what is generated: the configuration's reference page, the price catalog, the console's API types
	PRICE_FACTS='$(PRICE_FACTS)' go generate ./...
	$(if $(NODE),$(MAKE) --no-print-directory web/node_modules/.installed && cd web && npm run --silent api)

web: $(CONSOLE) ## build the console; needs Node 20.19 or newer

$(CONSOLE): web/node_modules/.installed $(CONSOLE_SOURCES)
	cd web && npm run --silent build

# As test/harness does: what is installed is what the lock file says.
web/node_modules/.installed: web/package-lock.json
	cd web && npm ci --no-audit --no-fund --ignore-scripts
	@cp $< $@

.PHONY: without-console
without-console:
	@echo "No npm with Node 20.19 or newer here: the binary will be without the console, and say how to build it."

bench: ## the benchmark with steady figures, five to seven minutes
	go run ./bench/runner -assert

bench-quick: ## the benchmark in about a minute; fails when a bound is broken
	go run ./bench/runner -quick -assert

bench-console: web ## how soon the keys page shows its rows with 100,000 keys; fails beyond a second
	HALLEY_BENCH=1 go test -v -count=1 -timeout=5m -run TestPageOfManyKeys ./test/browser

fuzz: ## every fuzz target, FUZZTIME=30s each
	@scripts/fuzz

# Built with our Go, as golangci-lint must not be older than the language.
$(GOLANGCI):
	@mkdir -p .tools/bin
	GOFLAGS= GOBIN='$(CURDIR)/.tools/bin' go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv .tools/bin/golangci-lint $@
