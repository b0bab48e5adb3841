# `make` alone lists the targets. People and CI use the same ones.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CHROMIUM ?= chromium
TOOLS := build/node_modules
REDOCLY := REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true $(TOOLS)/.bin/redocly
DOCUMENT ?= openapi/users.yaml
RELEASED ?= openapi/released.yaml
VERSION = $(shell sed -n 's/^  version: "\(.*\)"$$/\1/p' $(DOCUMENT))
COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header --no-annotate

IMAGE ?= users-api
DOCKER_SANDBOX ?= $(wildcard ../shared/tools/docker-sandbox)
BUILD = BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build \
	--build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null) --build-arg VERSION=$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

# npm copies the packages' funding links into the lock file, where they have no effect.
WITHOUT_FUNDING := const fs = require("fs"), lock = JSON.parse(fs.readFileSync(process.argv[1])); \
	for (const each of Object.values(lock.packages)) delete each.funding; \
	fs.writeFileSync(process.argv[1], JSON.stringify(lock, null, 2) + "\n");

.PHONY: help run test check fmt bench bench-access bench-growth bench-observability bench-guard bench-transfer lock clean contract fuzz mutants lint compat released sdk chromium picture
.PHONY: costs dashboard dashboard-picture delivery image push release resilience faults soak desync proxies front-ends redis prometheus

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/run.stamp ## Serve two users on 127.0.0.1:5000 (PORT overrides) from an SQLite file, and reload on changes
	@exec $(BIN)/users-api run --migrate --seed

test: .venv/dev.stamp redis ## Run all tests on SQLite and PostgreSQL with coverage (ARGS="-k name" selects some, without coverage)
	@$(if $(ARGS),$(BIN)/python -m pytest $(ARGS),tests/with-coverage $(BIN)/python)

contract: .venv/dev.stamp chromium lint compat sdk ## Test the engine, the document, the clients and Swagger UI against the service
	@CHROMIUM=$(CHROMIUM) $(if $(ARGS),$(BIN)/python -m pytest $(ARGS),tests/in-parallel \
		"$(BIN)/python -m pytest tests/contract/engine tests/contract/issuer tests/contract/sdk tests/contract/browser tests/extending" \
		"$(BIN)/python -m pytest tests/contract/fuzz tests/contract/mutants tests/contract/document")

fuzz: .venv/dev.stamp ## Fuzz the service on PostgreSQL until Ctrl-C (ARGS="--max-time 60" and other options of Schemathesis)
	@$(BIN)/python -m tests.contract.fuzz.run $(ARGS)

costs: .venv/dev.stamp ## Search for requests that cost more than their budget, and add them to the tests (ARGS=600: seconds)
	@$(BIN)/python -m tests.performance.costs.search $(ARGS)

mutants: .venv/dev.stamp ## Change each constraint of the document in turn, and check that the change is detected
	@$(BIN)/python -m pytest tests/contract/mutants --all-mutants

lint: $(TOOLS)/.package-lock.json ## Lint the document with all of Redocly's rules
	@$(REDOCLY) lint --config tools/redocly.yaml --format stylish $(DOCUMENT)

compat: $(TOOLS)/.package-lock.json ## Compare the document with the released one; breaking changes need a higher major version
	@$(REDOCLY) diff --fail-on none $(RELEASED) $(DOCUMENT)
	@needed=$$($(REDOCLY) diff --fail-on none --format next-version $(RELEASED) $(DOCUMENT) 2>/dev/null) && \
		[ "$(firstword $(subst ., ,$(VERSION)))" -ge "$${needed%%.*}" ] || \
		{ echo "The document has breaking changes: info.version must be $$needed or higher, not $(VERSION)."; exit 1; }

released: ## Copy the document to the released one; commit it with the release
	@cp openapi/users.yaml $(RELEASED)

sdk: build/sdk/python/pyproject.toml build/sdk/typescript/dist/index.js ## Build the Python and the TypeScript client into build/sdk

picture: ## Update README's screenshot of Swagger UI
	@$(MAKE) contract ARGS="tests/contract/browser -k listed"
	@cp build/documentation.png docs/documentation.png

dashboard: .venv/dev.stamp ## Write deploy/grafana.json from the document's operations
	@mkdir -p build
	@$(BIN)/python -m tools.dashboard >build/grafana.json
	@mv build/grafana.json deploy/grafana.json

dashboard-picture: .venv/bench.stamp prometheus ## Draw the dashboard from the metrics of a service under load into docs/dashboard.svg
	@$(BIN)/python -m bench dashboard

check: .venv/dev.stamp ## Check lint rules, formatting, types, deployment files, and for secrets and vulnerable dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	$(BIN)/hadolint Dockerfile tests/delivery/*/Dockerfile
	$(BIN)/shellcheck .ci/run tests/in-parallel tests/with-coverage tests/delivery/production/pgbouncer.sh
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml compose.prod.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci .gitlab-ci.yml
	$(BIN)/check-jsonschema --quiet --schemafile tests/delivery/heroku.schema.json heroku.yml
	$(BIN)/check-jsonschema --quiet --schemafile tests/delivery/app.schema.json app.json
	@mkdir -p build
	$(BIN)/python scripts/find-secrets
	$(BIN)/python scripts/audit

resilience: .venv/dev.stamp proxies redis prometheus ## Inject faults under load: no acknowledged write is lost, the service recovers automatically, and alerts fire
	@$(BIN)/python -m pytest $(or $(ARGS),tests/resilience tests/monitoring)

faults: ## Write the results of the last `make resilience` to docs/safety.md and docs/safety.svg
	@$(BIN)/python -m tests.resilience.report

soak: .venv/dev.stamp ## Inject random faults under mixed load for ten minutes (ARGS="--seconds 60 --seed 1": shorter, repeatable)
	@$(BIN)/python -m tests.resilience.soak $(ARGS)

desync: .venv/dev.stamp front-ends ## Smuggle requests through HAProxy, nginx and Caddy: no client affects the responses to another one
	@$(BIN)/python -m pytest $(or $(ARGS),tests/desync)

delivery: .venv/dev.stamp ## Rehearse image, Compose, pipeline, release and deployment (needs a Docker Engine; DOCKER_SANDBOX is a command that provides one)
	@$(DOCKER_SANDBOX) $(BIN)/python -m pytest $(or $(ARGS),tests/delivery)

fmt: .venv/dev.stamp ## Format the code, and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/bench.stamp ## Compare this service with its peers, up to 10 minutes (QUICK=1: fewer rounds and peers, writes no files)
	@$(BIN)/python -m bench compare $(if $(QUICK),--quick) $(ARGS)

bench-growth: .venv/bench.stamp ## Measure how costs grow with table, connections, bodies and uptime, up to 10 minutes
	@$(BIN)/python -m bench growth

bench-access: .venv/bench.stamp ## Compare this service with and without access tokens, half an hour
	@$(BIN)/python -m bench access

bench-observability: .venv/bench.stamp ## Compare this service with and without logs, metrics and traces, half an hour
	@$(BIN)/python -m bench observability

bench-guard: .venv/bench.stamp ## Fail if a request exceeds its CPU goal relative to the tutorial by 20 %, two minutes
	@$(BIN)/python -m bench guard

bench-transfer: .venv/bench.stamp ## Export and import a million users, also with bad lines and killed processes, five minutes
	@$(BIN)/python -m bench transfer $(ARGS)

lock: .venv/dev.stamp ## Lock the newest versions that pyproject.toml allows, with hashes
	$(COMPILE) --group=build --output-file requirements/build.txt
	$(COMPILE) --output-file requirements/run.txt pyproject.toml
	$(COMPILE) --group=build --group=dev --output-file requirements/dev.txt pyproject.toml
	$(COMPILE) --group=bench --constraint=requirements/dev.txt --output-file requirements/bench.txt
	@cd tools && rm -f package-lock.json && npm install --package-lock-only --ignore-scripts --loglevel=error --no-audit --no-fund
	@node -e '$(WITHOUT_FUNDING)' tools/package-lock.json

image: ## Build the images IMAGE, IMAGE-test for the tests, and IMAGE-release for Heroku's release phase
	$(BUILD) --tag $(IMAGE) .
	$(BUILD) --tag $(IMAGE)-test --target test .
	$(BUILD) --tag $(IMAGE)-release --target release .

push: ## Push the images built by `make image` to IMAGE's registry
	docker push --quiet $(IMAGE)
	docker push --quiet $(IMAGE)-test
	docker push --quiet $(IMAGE)-release

release: ## Release IMAGE to Heroku's HEROKU_APP with HEROKU_API_KEY; writes the app's URL to release.env
	@scripts/release $(IMAGE) >release.env

clean: ## Delete everything that make and the tests have created, including the development database
	rm -rf .venv build dist instance release.env .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache

proxies:
	@{ command -v pgbouncer && command -v haproxy; } >/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || { \
		echo "Installing PgBouncer and HAProxy (once) …"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends pgbouncer haproxy >/dev/null; }
	@{ command -v pgbouncer && command -v haproxy; } >/dev/null || { echo "These tests need pgbouncer and haproxy in PATH: please install them"; exit 1; }

front-ends:
	@{ command -v haproxy && command -v nginx && command -v caddy; } >/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || { \
		echo "Installing HAProxy, nginx and Caddy (once) …"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends haproxy nginx caddy >/dev/null; }
	@{ command -v haproxy && command -v nginx && command -v caddy; } >/dev/null || { echo "These tests need haproxy, nginx and caddy in PATH: please install them"; exit 1; }

redis:
	@command -v redis-server >/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || { \
		echo "Installing Redis (once) …"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends redis-server >/dev/null; }
	@command -v redis-server >/dev/null || { echo "The tests need redis-server in PATH: please install it"; exit 1; }

prometheus:
	@command -v promtool >/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || { \
		echo "Installing Prometheus (once) …"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends prometheus >/dev/null; }
	@{ command -v prometheus && command -v promtool; } >/dev/null || { echo "This needs prometheus and promtool in PATH: please install them"; exit 1; }

chromium:
	@command -v $(CHROMIUM) >/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || { \
		echo "Installing Chromium (once) …"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium >/dev/null; }
	@command -v $(CHROMIUM) >/dev/null || { echo "The tests need Chromium: install it, or set CHROMIUM=/path/to/chromium"; exit 1; }

build/sdk/python/pyproject.toml: $(DOCUMENT) tools/python-client.yaml .venv/dev.stamp
	@mkdir -p $(dir $(@D))
	@PATH="$(CURDIR)/$(BIN):$$PATH" openapi-python-client generate --path $< --config tools/python-client.yaml --meta uv \
		--output-path $(@D) --overwrite --fail-on-warning
	@touch $@

build/sdk/typescript/dist/index.js: $(DOCUMENT) $(wildcard tools/typescript/*) $(TOOLS)/.package-lock.json
	@mkdir -p build/sdk/typescript/src
	@cp tools/typescript/*.json build/sdk/typescript
	@cd build/sdk/typescript && npm pkg set version=$(VERSION) --loglevel=error
	@$(TOOLS)/.bin/oazapfts $< build/sdk/typescript/src/index.ts
	@$(TOOLS)/.bin/tsc --project build/sdk/typescript

$(TOOLS)/.package-lock.json: tools/package-lock.json
	@echo "Installing the tools for the document (once) …"
	@command -v npm >/dev/null || { echo "Node.js 20.19 or newer with npm is required"; exit 1; }
	@mkdir -p build
	@cp tools/package.json tools/package-lock.json build
	@npm ci --prefix build --loglevel=error --no-audit --no-fund >/dev/null
	@touch $@

# The lock files are complete, hence --no-deps: older versions of pip would otherwise resolve extras to unlocked releases and reject them.
.venv/run.stamp: requirements/build.txt requirements/run.txt pyproject.toml
	@echo "Installing the service's dependencies (once) …"
	@$(PIP) --version >/dev/null 2>&1 || { \
		$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is required: make PYTHON=python3.13 …")' && \
		$(PYTHON) -m venv .venv; }
	@$(PIP) install --no-deps --require-hashes --requirement requirements/build.txt --requirement requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/run.stamp
	@echo "Installing the tests' dependencies (once) …"
	@$(PIP) install --no-deps --require-hashes --requirement $<
	@touch $@

.venv/bench.stamp: requirements/bench.txt .venv/dev.stamp
	@echo "Installing the benchmarks' dependencies (once) …"
	@$(PIP) install --no-deps --require-hashes --requirement $<
	@command -v wrk >/dev/null || { apt-get update -qq && apt-get install -qq --yes wrk; } >/dev/null || { echo "The benchmarks need wrk: please install it (make installs it on Debian when run as root)"; exit 1; }
	@touch $@
