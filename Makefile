# The verbs of this repository. People and CI use the same ones.
#   make demo     a whole onboarding on this machine, by itself        (Python 3.11+, no root)
#   make sandbox  the same servers, for you to play both people        (Python 3.11+, no root)
#   make cluster  several of each server, as in production             (root, for Debian's packages)
#   make test     everything that is checked                           (root, for Debian's packages)
#   make test-cluster  the end-to-end tests on the cluster              (root, for Debian's packages)
#   make soak     2,000 random rotations that nobody has tried before (no root)
#   make storm    200 onboardings at once on the cluster, with kill -9 of each part (root, for Debian's packages)
#   make bench    all benchmarks; PART=decision for one of them         (no root)
#   make check    the quick part: style, types, import rules, what is deployed (Debian's nginx and prometheus)
#   make fmt      put the code in order
#   make docs     rewrite what the documents take from the code: settings and commands
#   make lock     pin the newest dependencies that pyproject.toml allows

PYTHON ?= python3
WORKERS ?= 3
BIN := .venv/bin
READY := .venv/ready
# Debian's packages that the tests use, each beside what shows that it is there.
DEBIAN := $(strip $(if $(wildcard /usr/lib/postgresql/*/bin/initdb),,postgresql) \
	$(if $(wildcard /usr/sbin/nginx),,nginx-light) $(if $(wildcard /usr/lib/nginx/modules/ngx_stream_module.so),,libnginx-mod-stream) \
	$(foreach need,chromium:chromium promtool:prometheus node:nodejs npm:npm redis-server:redis-server,\
	$(if $(shell command -v $(firstword $(subst :, ,$(need)))),,$(lastword $(subst :, ,$(need))))))

.PHONY: help demo sandbox cluster test test-cluster storm soak bench peers-lock check fmt docs lock debian clean
.DEFAULT_GOAL := help

help:
	@sed -n '2,13s/^# *//p' Makefile

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

cluster: $(READY) debian
	$(BIN)/keyturn sandbox --cluster

test-cluster: $(READY) debian
	KEYTURN_TEST_ON=cluster $(BIN)/pytest tests/e2e

storm: $(READY) debian
	$(BIN)/python -m tests.cluster.storm --onboardings 200 --out var/storm

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -p no:xdist tests/deployments/shapes

test: $(READY) debian check
	$(BIN)/pytest --numprocesses=$(WORKERS) --durations=25 --ignore=tests/deployments/shapes

soak: $(READY)
	KEYTURN_MACHINE_SEED=$${KEYTURN_MACHINE_SEED:-$$(od -An -N4 -tu4 /dev/urandom | tr -d " ")} $(BIN)/pytest -p no:xdist tests/services/rotation/test_machine.py

bench: $(READY)
	$(BIN)/python -m benchmarks.report $(PART)

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

# What Airflow and DBOS are measured with, in environments of their own.
peers-lock: $(READY)
	for peer in airflow dbos; do $(BIN)/uv pip compile benchmarks/peers/$$peer/requirements.in --python-version 3.11 \
		--generate-hashes --no-emit-index-url --upgrade --custom-compile-command "make peers-lock" \
		--output-file benchmarks/peers/$$peer/requirements.lock --quiet || exit 1; done

clean:
	rm -rf .venv var dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
