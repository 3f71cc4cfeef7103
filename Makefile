# make run and make test are all there is to know; make help lists the rest.

LISTEN ?= 127.0.0.1:4020
DATA   ?=
ARGS   ?=
SOAK   ?= 5m
export LISTEN DATA ARGS SOAK

.PHONY: run dev-chain test vuln bench engines soak tidy clean help

run: ## build, start a node on LISTEN with the data folder DATA and further flags ARGS, deploy examples/
	@scripts/run

dev-chain: ## build and start a blockchain for development, which the node of make run follows as DEV
	@go build -o $${BIN:-bin}/ ./cmd/aleph ./cmd/aleph-dev-chain && $${BIN:-bin}/aleph dev-chain

test: ## install what the tests need, then run all checks and tests
	@scripts/test

vuln: ## look for known vulnerabilities in what is used; fails where the database cannot be reached
	@scripts/vuln

bench: ## measure, beside other servers; ARGS go to bench/run, as in ARGS='--only hot,js'
	@bench/run $(ARGS)

engines: ## rebuild the language engines and say whether their bytes are the committed ones
	@scripts/engines

soak: ## the long forms of the tests: each fuzz target for SOAK, tests under -race again and again, mixed load
	@scripts/soak

tidy: ## format, and make go.mod and the generated documents what the code says
	@gofmt -w .
	@go mod tidy
	@go test -count=1 -run 'Generated' ./docs -update

clean: ## remove what was built
	@rm -rf bin

help: ## list these
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
