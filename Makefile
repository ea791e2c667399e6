# make demo      set up what serving needs, start the platform, screen four lots, stop
# make test      complete the set-up and pass every test
# make evaluate  report on the shipped committee: out/evaluation/index.html, in a few minutes
PYTHON ?= $(shell command -v python3.11 || command -v python3)
export PYTHON
PIP := .venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt
BIN := .venv/bin

.PHONY: demo test setup check evaluate format models proto triton system clean bench

demo: .venv/serving .triton/installed models
	$(BIN)/python scripts/demo

test: setup models
	$(BIN)/pytest -n auto --dist loadgroup --no-loadscope-reorder

evaluate: setup models
	$(BIN)/python -m lotwise_training.report

setup: .venv/complete .triton/installed

check: .venv/complete
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p lotwise -p lotwise_training -p lotwise_simulator -p benchmarks
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf breaking --against proto/released.binpb
	scripts/generate-proto --check

format: .venv/complete
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Committee and gradient graphs are put together from the weights that the repository holds once.
models: .venv/serving
	@$(BIN)/python -m lotwise.runtime.assemble model_repository

bench: setup models
	$(BIN)/python -m benchmarks.simulator
	$(BIN)/python -m benchmarks.serving

proto: .venv/complete
	scripts/generate-proto

triton: .triton/installed

system:
	scripts/install-system

.venv/serving: pyproject.toml constraints.txt
	scripts/install-system
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip==26.3
	$(PIP) -e '.[serving]'
	touch $@

.venv/complete: .venv/serving
	$(PIP) -e '.[training,tracing,cluster]' --group dev
	touch $@

.triton/installed: deploy/triton/requirements.txt
	scripts/install-triton
	mkdir -p .triton && touch $@

clean:
	rm -rf .venv .triton .lotwise .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
