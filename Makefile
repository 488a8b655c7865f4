# make run   installs into .venv and starts the program
# make test  the same, then every check there is
# make soak  long trials of what must never be lost, up to 40 minutes; ARGS='disk names' for some of them
# make pictures   take the README's pictures anew; ARGS="train runs" for some of them
# make gpu   tests and benchmark on an NVIDIA GPU, from this checkout, without installing anything
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: run test pictures soak gpu check install clean

run: install
	$(BIN)/fmnist-tui $(ARGS)

# Three workers on two cores, because many tests wait for processes.
test: check
	$(BIN)/pytest -n 3 --dist worksteal

pictures: install
	$(BIN)/python -m tests.pictures $(ARGS)

soak: install
	$(BIN)/python -m tests.soak $(ARGS)

# On a machine without a GPU it tells what it skips. With OUT=folder (or $OUT) the tables go there.
gpu: export PYTHONPATH := $(CURDIR):$(PYTHONPATH)
gpu: RUN := $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))
gpu:
	@$(RUN) -m fmnist_tui.bench.machine
	@$(RUN) -m pytest -m gpu tests/gpu
	@if $(RUN) -c 'import torch, sys; sys.exit(not torch.cuda.is_available())'; then \
		$(RUN) -m fmnist_tui bench --part gpu --markdown $${OUT:-.}/gpu-results.md $(ARGS); \
	else \
		echo "bench --part gpu: skipped, no NVIDIA GPU that torch can use"; \
	fi

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/vulture
	$(BIN)/lint-imports

install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("fmnist-tui needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
