# Everything happens in one virtual environment, made once: VENV=… puts it elsewhere, PYTHON=… names the interpreter.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# What computes, and what travels to other processors; tests that restrict themselves are among all tests.
SLICE := tests/engine/native/test_memory.py tests/engine/native/test_pictures.py tests/engine/test_choose.py tests/engine/test_demands.py tests/engine/test_record.py \
	tests/nn/test_step.py tests/nn/test_recurrent.py \
	$(addprefix tests/export/test_export.py::test_,weights_in_eight_bits_are_smaller_and_nearly_the_same \
	eight_bit_products_fit_where_two_are_added_in_sixteen_bits)

.PHONY: demo test test-instructions check docs format env clean

demo: $(VENV)/.installed
	rm -rf runs/demo
	$(BIN)/recurra train demo-char-lm --out runs/demo

# The README's commands train by the clock, so nothing else may run beside them.
test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder --ignore tests/test_readme.py
	$(BIN)/python -m pytest tests/test_readme.py

test-instructions: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses auto --instructions avx2 $(SLICE) tests/training/test_trainer.py \
		tests/training/test_resume.py
	$(BIN)/python -m pytest --numprocesses auto --instructions portable $(SLICE)

check: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site in build/site; a warning (a broken link, a formula or docstring that is none) ends it.
docs: $(VENV)/.installed-dev
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet --conf-dir docs/site --doctree-dir build/doctrees docs build/site

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

env: $(VENV)/.installed-dev

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(INSTALL) --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build/site build/doctrees .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
