# The commands of this project. `make demo` and `make test` are all that a new
# clone needs: the demo only Go, the tests PostgreSQL and a C compiler as well,
# which they install on Debian.

GO            ?= go
GOLANGCI_LINT ?= $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME      ?= 60s
VERSION       ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS       := -X github.com/prometheus/common/version.Version=$(VERSION)

.PHONY: build demo test e2e storm e2e-backends bench bench-trace bench-history fuzz docs lint fmt help

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## bin/triagebot
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/triagebot ./cmd/triagebot

demo: ## a simulated service with a fault, and the thread it causes, in the browser
	$(GO) build -ldflags '$(LDFLAGS)' -o .cache/triagebot ./cmd/triagebot
	@exec .cache/triagebot demo

test: ## all tests, on SQLite and on PostgreSQL, with the race detector
	.ci/need c-compiler postgresql
	$(GO) test -race -timeout 20m ./...

e2e: ## end to end with Debian's Prometheus, Alertmanager, PostgreSQL and Chromium, installed where missing, and Slack's own clients
	.ci/need postgresql prometheus prometheus-alertmanager nodejs npm chromium
	npm ci --prefix cmd/e2e/slackclients --ignore-scripts --no-audit --no-fund
	$(GO) test -tags e2e -count=1 -timeout 15m ./cmd/e2e ./cmd/demo/... ./cmd/triagebot

storm: ## the whole storm, 1,000 alerts in 200 groups, on both databases; a quarter of an hour, for Slack takes a message a second
	.ci/need postgresql
	TRIAGEBOT_STORM=full $(GO) test -count=1 -timeout 40m -v -run '^TestStorm' ./cmd/crashtest

e2e-backends: ## trace lookups in a real Loki, built once from its Go module; records what the ordinary tests replay
	TRIAGEBOT_LOKI=$$(.ci/loki .cache) $(GO) test -tags e2ebackends -count=1 -timeout 15m -run '^TestLoki' ./triage/tracelog/backend

bench: ## the benchmarks of docs/performance.md
	.ci/need postgresql prometheus
	$(GO) test -run '^$$' -bench . -benchmem -timeout 30m ./...

bench-trace: ## trace lookups beside ripgrep and cat, on TRIAGEBOT_TRACE_GB of logs (default 1), and what they cost acknowledgements
	$(GO) test -run '^$$' -bench 'Trace|Pick' -benchtime 3x -timeout 30m ./triage/tracelog
	$(GO) test -run '^$$' -bench DuringScan -benchtime 2x -timeout 30m ./cmd/bench

bench-history: ## whole runs of shipped playbooks against a Prometheus with 15 days of 5,000 series, which take a minute or two to build
	.ci/need prometheus
	$(GO) test -run '^$$' -bench WholeRun -benchtime 3x -timeout 15m -v ./cmd/bench

fuzz: ## the webhook decoder, the playbook loader, the Slack escaping and what Slack sends for FUZZTIME each, the other fuzz targets briefly
	.ci/fuzz $(FUZZTIME)

docs: ## the reference in docs/playbooks.md, from the code; a test says when it is old
	$(GO) generate ./cmd/internal/docs

lint: ## gofumpt, vet, staticcheck and more, see .golangci.yml
	$(GOLANGCI_LINT) run ./...
	$(GOLANGCI_LINT) fmt --diff

fmt: ## rewrite the files as lint wants them
	$(GOLANGCI_LINT) fmt
