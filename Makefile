# Every target does its own set-up; nothing has to be installed first but Python 3.11 with venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.installed-for-tests

KERNEL_CACHE := src/linkspan/engine/user/kernel_cache.bpf

LABS := tests/lab tests/cli
NETWORKS := tests/uplink tests/services tests/examples

.PHONY: demo test checked labs networks parts bench bench-scale lint install clean packages

demo: $(STAMP)
	@$(BIN)/python examples/demo.py

install: $(STAMP)
	@echo "installed: $(BIN)/linkspan"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "linkspan needs Python 3.11 or later; make PYTHON=python3.11 … uses another one" >&2; exit 4; }
	@$(PYTHON) -m venv $(VENV)

# An editable installation compiles the in-kernel cache too, where clang is. pip compiles what it
# installs, but no sources that it links to; a command that has to takes twice as long to start.
$(STAMP): pyproject.toml constraints.txt hatch_build.py $(KERNEL_CACHE).c $(BIN)/python
	@echo "installing linkspan and its dependencies into $(VENV) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@

$(TEST_STAMP): $(STAMP)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	@touch $@

# What was built before its compiler came is built again.
packages:
	@sh tests/install-debian-packages.sh
	@sh tests/unpack-debian-packages.sh
	@if command -v clang >/dev/null && ! test -e $(KERNEL_CACHE).o; then rm -f $(STAMP); fi

# A make of its own looks at the stamps only when the packages are there.
test: packages
	@$(MAKE) --no-print-directory checked

checked: lint
	@$(MAKE) --no-print-directory --jobs=3 --keep-going --output-sync=target labs networks parts

# Labs mostly wait for what they started, so the rest runs beside them.
labs:
	$(BIN)/python -m pytest $(LABS)

networks:
	$(BIN)/python -m pytest -p no:cacheprovider $(NETWORKS)

parts:
	$(BIN)/python -m pytest -p no:cacheprovider tests $(LABS:%=--ignore=%) $(NETWORKS:%=--ignore=%)

lint: $(TEST_STAMP)
	$(BIN)/ruff format --check src tests bench examples
	$(BIN)/ruff check src tests bench examples
	$(BIN)/mypy

bench: $(TEST_STAMP)
	$(BIN)/python bench/run.py

bench-scale: $(TEST_STAMP)
	$(BIN)/python bench/run.py scale --output bench/scale.md

clean:
	rm -rf $(VENV) .debian .mypy_cache .ruff_cache .hypothesis $(KERNEL_CACHE).o
