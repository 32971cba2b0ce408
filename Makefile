# Two commands matter: `make demo` and `make test`. Both set themselves up.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
ATHERIS_VERSION := 3.0.0
PORT ?= 8080
# Their entry points are written down when they are installed.
PROJECTS := $(wildcard libs/*/pyproject.toml services/*/pyproject.toml examples/*/pyproject.toml)
SYNC := $(BIN)/uv sync --frozen --inexact --quiet --system-certs
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadscope -m "not long"
COMPILED_TESTS := $(addprefix tests/,contract/edge contract/grpc_client contract/serving unit/common_rpc unit/registry \
	unit/serving integration/common_rpc integration/common_service integration/registry/test_registry_metrics.py \
	integration/registry/test_registry_runs.py integration/registry/test_registry_tracking.py integration/serving)
# Long, and of what no compiled module has a part in: learning, trials of versions, decisions of releases, Ray.
BESIDE_THEM := $(addprefix tests/,unit/serving/test_simulated_releases.py unit/serving/test_ray_keeper.py $(addprefix \
	integration/serving/test_,learning.py learning_killed.py versions_tried.py trials_again.py ray_serve.py))
# With it each process of a platform compiles all that it imports anew: 2.3 s of CPU instead of 0.6.
unexport PYTHONDONTWRITEBYTECODE
export UV_PYTHON_DOWNLOADS = never
export UV_PROJECT_ENVIRONMENT = $(CURDIR)/$(VENV)

.PHONY: help demo compiled test coverage test-compiled test-late servers test-servers test-faults fuzz check format proto bench clean

help: ## What there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(BIN)/uv:
	@echo "Making the virtual environment $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.run: $(BIN)/uv uv.lock $(PROJECTS)
	@echo "Installing what uv.lock names ..."
	@$(SYNC)
	@touch $@

$(VENV)/.dev: $(BIN)/uv uv.lock $(PROJECTS)
	@echo "Installing what uv.lock names, with the tools for tests ..."
	@$(SYNC) --all-groups
	@touch $@ $(VENV)/.run

demo: $(VENV)/$(if $(PROFILE),.dev,.run) ## The flights story, from raw data to production; EXIT=1 stops at the end, KEEP=1 keeps the data, PROFILE=servers
	@$(BIN)/python -m flights $(if $(EXIT),--exit) $(if $(KEEP),--keep) $(if $(PROFILE),--profile $(PROFILE))

compiled: $(VENV)/.dev ## Compile what each request goes through, with a C compiler: predictions cost a fifth to a third less; 2 minutes
	@$(BIN)/python -m modelog_common.compiling modelog_common modelog_registry modelog_serving

test coverage test-late fuzz: export MODELOG_COMPILED = 0
test: $(VENV)/.dev ## All tests, on embedded parts
	@$(PYTEST) $(ARGS)

test-compiled: compiled ## The tests of what is compiled, on the compiled modules
	@MODELOG_COMPILED=1 $(PYTEST) $(or $(ARGS),$(COMPILED_TESTS) $(BESIDE_THEM:%=--ignore %))

coverage: $(VENV)/.dev ## The same tests, and which lines they reach: 90 % at least; twice as slow
	@$(PYTEST) --timeout 2400 --cov --cov-report= $(ARGS)
	@$(BIN)/coverage combine --quiet --append 2>/dev/null || true
	@$(BIN)/coverage report --skip-covered --skip-empty --sort=cover > $(VENV)/coverage.txt; \
		status=$$?; tail -n 40 $(VENV)/coverage.txt; exit $$status

test-late: $(VENV)/.dev ## Tests whose background work, and answers to pages, are late: none may lean on its being quick; ARGS=folder
	@PYTHONPATH=$(CURDIR)/tests/late MODELOG_SERVING_TRAFFIC_WINDOW_S=1 MODELOG_TEST_LATE_ANSWERS_MS=1500 $(PYTEST) --timeout 2400 $(or $(ARGS),tests/integration tests/e2e)

servers: $(VENV)/.dev ## Install the real servers, through apt-get, mvn and go, into .servers or MODELOG_SERVERS_DIR
	@$(BIN)/python -m modelog_platform.servers install

test-servers: servers ## The suites on real servers, which it installs, starts and stops
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not long" tests/servers $(ARGS)

test-faults: servers ## The long fault tests: kills by the hundred, a hung broker, a full disk, slow fsync; needs root
	@$(BIN)/python -m pytest -m long tests/chaos tests/integration tests/servers $(ARGS)

fuzz: $(VENV)/.dev ## Coverage-guided fuzzing of our own gRPC edge, gRPC client and HTTP/1.1; SECONDS=3600
	@$(BIN)/uv pip install --quiet --python $(BIN)/python atheris==$(ATHERIS_VERSION)
	@for target in edge client http1 http1_whole; do $(BIN)/python tests/fuzz/run.py $$target --seconds $(or $(SECONDS),300) || exit 1; done

check: $(VENV)/.dev ## Format, lint, types, architecture, contracts
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary libs/*/src services/*/src examples/*/src
	@$(BIN)/lint-imports --verbose > $(VENV)/lint-imports.txt || { cat $(VENV)/lint-imports.txt; exit 1; }
	@$(BIN)/buf lint proto
	@$(BIN)/buf breaking proto --against proto/baseline.binpb
	@$(BIN)/python proto/generate.py --check
	@echo "check: format, lint, types, architecture and contracts are in order"

format: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix .

proto: $(VENV)/.dev ## Generate modelog-proto from the contracts
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python proto/generate.py

bench: $(VENV)/.dev ## Print the benches' figures
	@for bench in tests/bench/bench_*.py; do echo "== $$bench"; $(BIN)/python $$bench || exit 1; done

clean: ## Remove what was made here
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
