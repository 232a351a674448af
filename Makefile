# The commands of the README: `make demo`, `make capacity` and `make test`. Each does everything from a bare clone.
# PYTHON=python3.12 picks the interpreter (3.11 or newer).

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# Containers often set it, and then every process that a run starts compiles our sources anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo capacity test nightly check wheel lock clean

help:
	@echo "make demo     watch a 504 incident happen and be cured (the set-up, then six loads of 35 s)"
	@echo "make capacity find out what rate a service carries, in health and with a slow backend (about twelve minutes)"
	@echo "make test     static checks, and every test but the nightly ones"
	@echo "make nightly  the long ones: the whole ladder table and kill matrix, the fuzzer, the soak, true capacities (over four hours)"
	@echo "make setup    the virtual environment and Toxiproxy, which those above call themselves"
	@echo "make check    formatting, lint, types, import contracts"
	@echo "make wheel    dist/tailgate: the wheel, its locked requirements and the documents, for machines without a clone"
	@echo "make lock     renew the hashed requirements (needs uv)"

setup: $(VENV)/.app
	@$(BIN)/python -m compileall -q harness scenarios fake_backends reports aggregator
	@$(BIN)/tailgate toxiproxy install

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: $(PYTHON) is older than Python 3.11"; echo "fix: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "error: $(PYTHON) cannot make virtual environments"; echo "fix: apt-get install python3-venv"; exit 1; }

# Locked with hashes; the project itself is built without network (--no-build-isolation) from what the lock brought.
$(VENV)/.app: requirements/app.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing the locked requirements into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/app.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.app
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

demo: setup
	@$(BIN)/tailgate run ladder

# One version of the service: one that times out its calls. The first line says how long it takes.
capacity: setup
	@$(BIN)/tailgate capacity ladder --only timeout --within 20% --soak 60s --step 30s --target 500/s

test: setup $(VENV)/.dev
	@tests/system_packages.sh
	@BIN=$(BIN) tests/run_parts.sh

# What is long and repeats: for a schedule, on a machine that does nothing else. Each goes on if one before it failed.
nightly: setup $(VENV)/.dev
	@tests/system_packages.sh
	@failed=0; \
	TAILGATE_THOROUGH=1 $(BIN)/python -m pytest -m "nightly or thorough" || failed=1; \
	$(BIN)/python bench/ladder_table.py || failed=1; \
	$(BIN)/python -m bench.kill_matrix || failed=1; \
	for seed in 1 2 3; do $(BIN)/python bench/fuzz_scenarios.py --count 10000 --seed $$seed || failed=1; done; \
	$(BIN)/python bench/many_runs.py || failed=1; \
	$(BIN)/python -m bench.plan_times || failed=1; \
	$(BIN)/python -m bench.capacity_truth || failed=1; \
	$(BIN)/tailgate run soak || failed=1; \
	exit $$failed

check: $(VENV)/.dev
	@$(BIN)/ruff format --check --quiet . || { echo "fix: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

# A folder to hand on as it is. The README leads to the other documents, so they come along.
wheel: $(VENV)/.app
	@rm -rf dist/tailgate
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist/tailgate .
	@cp -R requirements/app.txt LICENSE *.md docs examples dist/tailgate/
	@echo "dist/tailgate is complete; docs/own-service.md says how to install from it"

lock:
	uv pip compile -q pyproject.toml --extra nginx --group build --universal --python-version 3.11 --generate-hashes --no-header -o requirements/app.txt
	uv pip compile -q pyproject.toml --extra nginx --group build --group dev --universal --python-version 3.11 --generate-hashes --no-header -c requirements/app.txt -o requirements/dev.txt
	uv pip compile -q examples/trip-quote/requirements.in --universal --python-version 3.11 --generate-hashes --no-header -c requirements/dev.txt -o examples/trip-quote/requirements.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist
