# make run   installs into .venv and starts the program
# make test  the same, then every check there is
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: run test check install clean

run: install
	$(BIN)/fmnist-tui $(ARGS)

test: check
	$(BIN)/pytest -n 2 --dist worksteal

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("fmnist-tui needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
