# Two commands need nothing but make and a Python: `make study` and `make test`. Both leave what is up to date alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq

# CI tests every Python. Elsewhere those that the machine lacks are named and skipped.
PYTHONS := 3.10 3.11 3.12 3.13
ifneq ($(CI),true)
SKIP := --skip-missing-interpreters=true
endif
ifneq ($(MAKE_TERMOUT),)
SPINNER :=
else
SPINNER := --parallel-no-spinner
endif

.DEFAULT_GOAL := help
.PHONY: help study test fast lint format bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

study: $(VENV)/.package ## install Prism into .venv and run the default study; ends by naming its report
	@$(BIN)/prism study

test: $(VENV)/.tox ## run every test, on every Python that this machine has
	@$(if $(SKIP),for v in $(PYTHONS); do python$$v -c '' 2>/dev/null || echo "make test: no Python $$v here: skipped"; done)
	@$(BIN)/tox run-parallel --parallel 2 $(SPINNER) $(SKIP)

fast: $(VENV)/.tox ## run the fast loop, under a minute
	@$(BIN)/tox run --quiet -e fast

lint: $(VENV)/.tox ## check style, layers and types
	@$(BIN)/tox run --quiet -e lint,architecture,types

format: $(VENV)/.tox ## rewrite the code in the project's style
	@$(BIN)/tox exec --quiet -e lint -- ruff format
	@$(BIN)/tox exec --quiet -e lint -- ruff check --fix

bench: $(VENV)/.tox ## print the figures for speed
	@$(BIN)/tox run --quiet -e bench

clean: ## remove everything that the targets made
	rm -rf $(VENV) .tox build dist out htmlcov .coverage .coverage.* .hypothesis .benchmarks \
		.import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.python:
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) here; install Python 3.10 or newer, or: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "make: $(PYTHON) is older than 3.10; give a newer one: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "make: $(PYTHON) has no venv (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@touch $@

$(VENV)/.package: $(VENV)/.python pyproject.toml
	@echo "installing Prism into $(VENV)"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.tox: $(VENV)/.python
	@echo "installing tox into $(VENV)"
	@$(PIP) install 'tox>=4.28'
	@touch $@
