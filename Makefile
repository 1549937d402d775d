# The verbs of this repository. People and CI use the same ones.
#   make demo     a whole onboarding on this machine, by itself        (Python 3.11+, no root)
#   make sandbox  the same servers, for you to play both people        (Python 3.11+, no root)
#   make test     everything that is checked                           (root, for Debian's packages)
#   make soak     2,000 random rotations that nobody has tried before (no root)
#   make bench    what pages cost when the fleet grows, as ratios       (no root)
#   make check    the quick part: style, types, import rules
#   make fmt      put the code in order
#   make docs     rewrite what the documents take from the code: settings and commands
#   make lock     pin the newest dependencies that pyproject.toml allows

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
READY := .venv/ready
# Debian's packages that the tests use, each beside what shows that it is there.
DEBIAN := $(strip $(if $(wildcard /usr/lib/postgresql/*/bin/initdb),,postgresql) \
	$(foreach need,chromium:chromium promtool:prometheus node:nodejs npm:npm,\
	$(if $(shell command -v $(firstword $(subst :, ,$(need)))),,$(lastword $(subst :, ,$(need))))))

.PHONY: help demo sandbox test soak bench check fmt docs lock debian clean
.DEFAULT_GOAL := help

help:
	@sed -n '2,10s/^# *//p' Makefile

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "keyturn needs Python 3.11 or newer; set PYTHON=…" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)
	$(BIN)/keyturn demo

sandbox: $(READY)
	$(BIN)/keyturn sandbox

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(READY) debian check
	$(BIN)/pytest --numprocesses=$(WORKERS) --durations=25

soak: $(READY)
	KEYTURN_MACHINE_SEED=$${KEYTURN_MACHINE_SEED:-$$(od -An -N4 -tu4 /dev/urandom | tr -d " ")} $(BIN)/pytest -p no:xdist tests/services/rotation/test_machine.py

bench: $(READY)
	$(BIN)/python benchmarks/console_fleet.py
	$(BIN)/python benchmarks/console_pages.py

debian:
ifneq ($(DEBIAN),)
	@[ "$$(id -u)" = 0 ] || { echo "make test installs Debian's $(DEBIAN) and needs root for it" >&2; exit 2; }
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBIAN)
endif

fmt: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)
	$(BIN)/python docs/write.py

lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--upgrade --custom-compile-command "make lock" --output-file requirements.lock --quiet

clean:
	rm -rf .venv var dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
