# Everything a person or a machine runs here. Needs Python 3.11+ with pip and venv, and make; nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
ARGS   ?=

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo demo-flask test lint bench fuzz audit soak dist dist-test docs clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

# The environment is made again when pyproject.toml changes; otherwise this costs nothing.
$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "kt-cache needs Python 3.11 or later; call make with PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

$(VENV)/.ready-bench: $(VENV)/.ready bench/setup.sh
	VENV=$(VENV) sh bench/setup.sh
	@touch $@

demo: $(VENV)/.ready ## run the example site, drive it cold and warm (ARGS=--once: end after the table)
	$(BIN)/python -m example_project.demo $(ARGS)

demo-flask: $(VENV)/.ready ## the same for the Flask site (ARGS=--shared: beside Django's, on one database)
	$(BIN)/python -m example_project.flask_app.demo $(ARGS)

test: lint ## lint, types and all tests
	@sh tests/browser/setup.sh || echo 'Chromium cannot be installed here: the tests that drive it are left out.'
	$(BIN)/python -X dev -m pytest $(ARGS)

lint: $(VENV)/.ready ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.ready-bench ## measure against every peer found (ARGS=caches, flask, sessions, stampede, patterns, server, client, tyrant, disk, aerospike, replica, scripts or ownership)
	$(BIN)/python -m bench $(ARGS)

# pip reads dependency groups itself only since 25.1; the interpreter reads them everywhere.
$(VENV)/.ready-fuzz: $(VENV)/.ready
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["fuzz"])' \
		| xargs $(BIN)/python -m pip install --quiet
	@touch $@

$(VENV)/.ready-dist: $(VENV)/.ready
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dist"])' \
		| xargs $(BIN)/python -m pip install --quiet
	@touch $@

# The time in the archives is that of the last commit, which an unpacked sdist has in the times of its files: whoever
# builds it with the same hatchling gets the same bytes.
dist: $(VENV)/.ready-dist ## build the packages into dist/, and check them
	rm -rf dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || stat -c %Y PKG-INFO) $(BIN)/python -m build --outdir dist .
	$(BIN)/python -m twine check --strict dist/*
	cd dist && sha256sum *

dist-test: dist ## test them away from the checkout, with the newest and the oldest requirements (ARGS="oldest --python 3.12")
	$(BIN)/python -m tests.packaging $(ARGS)

$(VENV)/.ready-docs: $(VENV)/.ready
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["docs"])' \
		| xargs $(BIN)/python -m pip install --quiet
	@touch $@

docs: $(VENV)/.ready-docs ## build the documentation into .build/site; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

fuzz: $(VENV)/.ready-fuzz ## feed every decoder with whatever breaks it (ARGS="SECONDS TARGET")
	$(BIN)/python -m tests.fuzz $(ARGS)

MINUTES ?= 5
soak: $(VENV)/.ready ## let stores, servers and workers fail for MINUTES=5 while a model checks every answer (ARGS="--store kt")
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(ARGS)

$(VENV)/.ready-audit: $(VENV)/.ready
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["audit"])' \
		| xargs $(BIN)/python -m pip install --quiet
	@touch $@

# Asks the advisory service of the package index; where that cannot be asked, or knows no package, it fails and says so.
audit: $(VENV)/.ready-audit ## look for known vulnerabilities in all dependencies
	$(BIN)/python -m tests.security $(ARGS)

clean: ## remove what the other targets made
	rm -rf $(VENV) .build dist .mypy_cache .ruff_cache .pytest_cache
