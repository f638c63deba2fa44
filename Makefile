# Everything a developer does here. `make` lists the targets.

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n 2
C_FILES := $(wildcard firmware/*/*.[ch] firmware/ports/*/*.[ch] host_tests/*/*.[ch] benchmarks/*.c)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-quick check format goldens code-sizes kernel-costs clean
.DELETE_ON_ERROR:

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: .venv/.setup .venv/.setup-test ## make .venv and install what is missing, Debian packages included

demo: .venv/.setup ## compile shipped models, and show that C and Python agree (MNIST=mnist.npz: where MNIST is)
	$(BIN)/python examples/demo.py $(MNIST)

test: setup ## run every test
	$(PYTEST)

test-quick: setup ## run the tests that take under two minutes together
	$(PYTEST) -m "not slow" --hypothesis-profile=quick host_tests/unit host_tests/contract host_tests/errors

check: .venv/.setup ## formatting, lint and types
	$(BIN)/ruff format --check .
	@$(BIN)/clang-format --dry-run --Werror $(C_FILES)
	@awk 'length > 120 { print FILENAME ":" FNR ": over 120 columns"; bad = 1 } END { exit bad }' $(C_FILES)
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/.setup ## format Python and C
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)

goldens: .venv/.setup ## write the checked-in C of the tiny models anew and show the difference
	$(BIN)/python host_tests/golden/update.py

code-sizes: .venv/.setup-test ## measure what arm-none-eabi-gcc makes of every kernel, after changes of firmware/
	$(BIN)/python benchmarks/code_size.py

kernel-costs: .venv/.setup-test ## measure what kernels take on every emulated core, after changes of firmware/runtime/
	$(BIN)/python benchmarks/kernel_costs.py

clean: ## remove caches and build leftovers (.venv stays)
	rm -rf build dist out .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
	find firmware -name '*.o' -exec rm -f {} +

.venv/.setup: pyproject.toml constraints.txt tools/setup.sh tools/find_python.sh tools/system_packages.sh
	@PYTHON='$(PYTHON)' sh tools/setup.sh
	@touch $@

.venv/.setup-test: .venv/.setup tools/system_packages.sh
	@sh tools/system_packages.sh test
	@touch $@
