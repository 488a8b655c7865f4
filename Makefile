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

gpu: export PYTHONPATH := $(CURDIR):$(PYTHONPATH)
gpu: RUN := $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))
gpu:
	@if ! $(RUN) -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then \
		echo "no NVIDIA GPU that torch can use: nothing to test"; \
	else \
		$(RUN) -m pytest -m gpu tests/gpu && $(RUN) -m fmnist_tui bench --part throughput \
			--batch 256 --batch 2048 --images 50000 --turns 1 $(ARGS); \
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
