# `make` alone lists what there is.  Everything happens in $(VENV), built from the locked packages.

.DEFAULT_GOAL := help
.PHONY: help install dev test check demo bench schemas lock clean
MAKEFLAGS += --no-builtin-rules

VENV ?= .venv
# The first Python that is new enough; PYTHON=... names another.
PYTHON ?= $(shell for one in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$one -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& echo $$one && break; done)
BROKER ?= embedded
BIN := $(abspath $(VENV))/bin
export PATH := $(BIN):$(PATH)

PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
LOCKED := $(PIP) --require-hashes --only-binary :all: --requirement
# The project's own build tool is among the locked packages: nothing is fetched for the build.
PROJECT := $(PIP) --no-deps --no-build-isolation --editable .
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-strip-extras --no-header

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed-demo  ## Create the environment that runs the product and the demo

dev: $(VENV)/.installed-dev  ## Create the environment with everything for tests and checks

test: check  ## Run all checks and all tests (Apache Kafka's need Java and Maven)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: dev  ## Check format, lint, types, layers and the configuration
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/wildfire-ingest lint stream_config.yaml

demo: install  ## See data flow: SECONDS=60 ends by itself, BROKER=embedded|kafka|host:port
	$(BIN)/wildfire-ingest demo --broker $(BROKER) $(if $(SECONDS),--seconds $(SECONDS))

bench: dev  ## Measure the whole path against a plain script, on Apache Kafka
	$(BIN)/python benchmarks/whole_path.py $(BENCH_ARGS)

schemas: dev  ## Write the JSON Schema of each record type to docs/schemas
	$(BIN)/python -c "from pathlib import Path; from wildfire_ingest.sources.schema import schema_files; \
	[Path('docs/schemas', name).write_text(text) for name, text in schema_files().items()]"

lock: $(VENV)/bin/python  ## Resolve the packages anew and write requirements/*.txt
	$(PIP) uv
	$(COMPILE) --upgrade --extra demo --extra dev pyproject.toml requirements/build.in \
		--output-file requirements/dev.txt
	$(COMPILE) --extra demo --constraint requirements/dev.txt pyproject.toml \
		requirements/build.in --output-file requirements/demo.txt
	$(COMPILE) --constraint requirements/dev.txt pyproject.toml requirements/build.in \
		--output-file requirements/run.txt

clean:  ## Remove the environment, the jars and the caches; your data in .wildfire stays
	rm -rf $(VENV) .kafka build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache .tmp_dagster_home_*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer was found on the PATH." \
		"Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make an environment:" \
		"on Debian and Ubuntu install python3-venv" >&2; exit 1; }

# Stamps: a second run installs nothing unless the lock or the project file has changed.
$(VENV)/.installed-%: requirements/%.txt pyproject.toml | $(VENV)/bin/python
	$(LOCKED) $<
	$(PROJECT)
	@touch $@
