# `make` alone lists the verbs: the same ones for a person and for CI.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header --no-annotate

.PHONY: help run test check fmt bench bench-growth bench-guard lock clean

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/run.stamp ## Serve on 127.0.0.1:5000 (PORT overrides) with an SQLite file, reload on changes
	@$(BIN)/users-api db upgrade
	@exec $(BIN)/users-api run

test: .venv/dev.stamp ## Run all tests on SQLite and PostgreSQL with coverage (ARGS="-k name" picks some, then without coverage)
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),--cov)

check: .venv/dev.stamp ## Lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fmt: .venv/dev.stamp ## Format, and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/bench.stamp ## Measure this service beside its peers, under 10 minutes (QUICK=1: fewer rounds and peers, README stays)
	@$(BIN)/python -m bench compare $(if $(QUICK),--quick) $(ARGS)

bench-growth: .venv/bench.stamp ## Measure what a request costs as table, connections, bodies and uptime grow, under 10 minutes
	@$(BIN)/python -m bench growth

bench-guard: .venv/bench.stamp ## Fail where this service lost more than a fifth of its lead over the tutorial, a minute
	@$(BIN)/python -m bench guard

lock: .venv/dev.stamp ## Lock the newest versions that pyproject.toml allows, with hashes
	$(COMPILE) --group=build --output-file requirements/run.txt pyproject.toml
	$(COMPILE) --group=build --group=dev --output-file requirements/dev.txt pyproject.toml
	$(COMPILE) --group=bench --constraint=requirements/dev.txt --output-file requirements/bench.txt

clean: ## Remove everything that make and the tests have made, the development database too
	rm -rf .venv build dist instance .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache

.venv/run.stamp: requirements/run.txt pyproject.toml
	@echo "Installing what the service needs (once) …"
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.13 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) install --require-hashes --requirement $<
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/run.stamp
	@echo "Installing what the tests need (once) …"
	@$(PIP) install --require-hashes --requirement $<
	@touch $@

.venv/bench.stamp: requirements/bench.txt .venv/dev.stamp
	@echo "Installing what the benchmarks need (once) …"
	@$(PIP) install --require-hashes --requirement $<
	@command -v wrk >/dev/null || { apt-get update -qq && apt-get install -qq --yes wrk; } >/dev/null || { echo "Install wrk: as root on Debian, make does."; exit 1; }
	@touch $@
