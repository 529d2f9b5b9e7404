# make demo: set up and train table 3 on synthetic rooms. make test: set up and run the tests. Needs Python 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# More than the two cores of a small machine: many tests wait for processes.
# A worker that has ended its tests takes over some of another's, so that none is left alone with the long ones.
TEST_WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-cuda test-slow lint docs bench clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1: /p' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rdc-sweeps needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,docs,html,sam,slurm,transformers,tune,postgres,dashboard,huggingface]'
	touch $@

setup: $(READY) ## virtual environment with everything pinned, in .venv

demo: $(READY) ## the twelve rows of table 3 on synthetic rooms, trained and reported, also as pages
	$(BIN)/rdc-sweep run table3 --profile demo
	$(BIN)/rdc-sweep report table3 --profile demo --strict
	$(BIN)/rdc-sweep report table3 --profile demo --format html --output report

test: $(READY) ## the default tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal

test-all: $(READY) ## all tests, the slow ones too
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal -m 'slow or not slow'

# Exact comparisons need cuBLAS to sum in a fixed order.
test-cuda: $(READY) ## only the tests that need a GPU; elsewhere they are skipped
	OMP_NUM_THREADS=1 CUBLAS_WORKSPACE_CONFIG=:4096:8 $(BIN)/python -m pytest -n 0 -rsx -m cuda

test-slow: $(READY) ## only the slow tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal -m slow

lint: $(READY) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY) ## the documentation site, in build/site; it needs no network to be read
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

bench: $(READY) ## fidelity, the contrast against alternatives, what tuning saves and costs, 10,000 simulated runs, data, starts, the training step, storms
	$(BIN)/python -m benchmarks.fidelity
	$(BIN)/python -m benchmarks.contrast --json docs/contrast/benchmark.json --plots docs/contrast
	$(BIN)/python -m benchmarks.tuning --json docs/tuning/benchmark.json
	$(BIN)/python -m benchmarks.dispatch
	$(BIN)/python -m benchmarks.data
	$(BIN)/python -m benchmarks.data.reading
	$(BIN)/python -m benchmarks.start --page docs/performance.md
	$(BIN)/python -m benchmarks.growth --json docs/scaling/growth.json --page docs/scaling.md
	$(BIN)/python -m benchmarks.step --json docs/performance/step.json --page docs/performance.md
	$(BIN)/python -m benchmarks.storm

clean: ## remove the environment, caches and build files; runs/ stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
