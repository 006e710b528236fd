# make setup | demo | test | format
TOOLS := $(CURDIR)/.tools
UV := $(shell command -v uv 2>/dev/null || echo $(TOOLS)/bin/uv)
BIN := .venv/bin

.PHONY: setup demo test lint format clean

setup: $(UV)
	@$(UV) sync --locked --quiet

# uv in a folder of its own where it isn't on PATH
$(TOOLS)/bin/uv:
	@echo "installing uv into .tools"
	@python3 -m venv $(TOOLS)
	@$(TOOLS)/bin/pip install --quiet --disable-pip-version-check uv

demo: setup
	@$(BIN)/python -P tests/demo.py

test: setup lint
	@$(BIN)/pytest -q -n 2 --dist worksteal

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/basedpyright --level error
	@$(BIN)/lint-imports

format: setup
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

clean:
	rm -rf .venv .tools .demo build dist
