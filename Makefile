# Every target runs in .venv, which is made on first use from uv.lock. `make` alone lists the targets.
PYTHON ?= python3
LISTEN ?= 127.0.0.1:8080
WORKERS ?= 2
UV_VERSION := 0.13.9

BIN := .venv/bin
PY := $(BIN)/python
READY := .venv/.ready
URL := http://$(if $(filter :%,$(LISTEN)),127.0.0.1)$(LISTEN)
MCP := $(URL)/api/mcp_catalog/v1alpha1/mcpservers
ROOT_ONLY := [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null

.DEFAULT_GOAL := help
.PHONY: help sample run test check lint types contracts house generated audit docs-check explore mutants format bench soak load clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml uv.lock Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is not; try: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ $(ROOT_ONLY) && apt-get update -qq && apt-get install -qq --yes --no-install-recommends python3-venv; } || \
		{ echo "$(PYTHON) cannot make environments; as root: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(PY) -m pip install --quiet uv==$(UV_VERSION); }
	$(BIN)/uv sync --frozen --all-extras --quiet --compile-bytecode
	@touch $@

sample: $(READY) ## make the git repository of the sample catalog
	@$(PY) tools/make_sample_repo.py
run: sample ## serve the sample catalog on LISTEN (127.0.0.1:8080)
	@printf '%s\n' "catalog-server on $(URL); try:" "  curl '$(URL)/readyz'" "  curl '$(MCP)'" \
		"  curl -G '$(MCP)' --data-urlencode \"filterQuery=deploymentMode='local'\""
	@CATALOG_DATA_DIR=.data CATALOG_APPROVAL_POLICIES=catalog/config/approval-policies.yaml \
		$(BIN)/catalog-server --listen=$(LISTEN) --sources=catalog/config/sources.yaml
test: lint types contracts house generated audit ## everything, on SQLite, PostgreSQL and MariaDB: what CI runs
	$(PY) tools/services.py run -- $(PY) -m pytest -n $(WORKERS)
check: lint types contracts house generated audit ## the fast part of `make test`: no databases, nothing slow
	$(PY) -m pytest -n $(WORKERS) -m "not external_service and not slow"
lint: $(READY) ## ruff: rules and format; hadolint
	$(BIN)/ruff check --quiet && $(BIN)/ruff format --check --quiet
	$(BIN)/hadolint Dockerfile.catalog-server
types: $(READY) ## mypy, strict
	$(BIN)/mypy
contracts: $(READY) ## import-linter: which package may import which
	$(BIN)/lint-imports --no-logo
house: $(READY) ## sizes, and tests where they are looked for
	$(PY) tools/check_sizes.py && $(PY) tools/check_test_mirror.py
generated: $(READY) ## generated files are up to date
	@for tool in $(wildcard tools/gen_*.py); do $(PY) $$tool --check || exit 1; done
audit: $(READY) ## known vulnerabilities in dependencies, where the service for them can be reached
	@$(PY) tools/audit_dependencies.py
docs-check: generated ## generated reference and tests of the documentation
	@test ! -d tests/docs || $(PY) -m pytest tests/docs
explore: $(READY) ## the tests with generated input, each time with other and more input
	CATALOG_TEST_EXPLORE=1 $(PY) tools/services.py run -- $(PY) -m pytest -n $(WORKERS) -m hypothesis
mutants: $(READY) ## mutation testing of tenancy and permissions: a quarter of an hour
	$(BIN)/uv sync --frozen --all-extras --quiet --group mutation
	$(PY) tools/mutants.py
format: $(READY) ## let ruff rewrite what it can
	$(BIN)/ruff format && $(BIN)/ruff check --fix
bench: $(READY) ## measure speed and memory
	$(PY) tools/services.py run -- $(PY) -m bench
soak: $(READY) ## a quarter of an hour of traffic: nothing may grow, nothing may fail
	$(PY) tools/services.py run -- $(PY) -m bench.soak
load: $(READY) ## ten clients: how long they wait
	$(PY) tools/services.py run -- $(PY) -m bench.load
clean: ## remove all that these targets made
	@test ! -e .services || $(PYTHON) tools/services.py stop
	rm -rf .venv .data .services .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
