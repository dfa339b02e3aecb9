# Everything a person or a machine does with this tree is one word after "make".
# The longer steps are in scripts/; what they say goes to stderr, so stdout is the program's own.

PYTHON ?= python3
BIN := .venv/bin
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo test check lint documents screenshots lock runtime dev packages clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

demo: runtime ## Run the organisation's day with sample people (PAGE=file, ARGS="--exit --json")
	@$(BIN)/mailer demo $(if $(PAGE),--page "$(PAGE)") $(ARGS)

test: dev packages lint ## Everything: the rules of the house, then all tests (ARGS="-k words")
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: dev lint ## What to run before a commit: rules and fast tests, under two minutes
	@$(BIN)/pytest -q -n 3 --dist worksteal -m "not browser and not journey and not postgresql and not slow" $(ARGS)

lint: dev ## The rules alone: ruff, formatting, types, import contracts
	@$(BIN)/ruff check --quiet --output-format concise .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@scripts/quietly.sh "The import contracts are broken." $(BIN)/lint-imports

documents: dev ## Write the generated parts of docs/ anew
	@$(BIN)/python scripts/document.py

screenshots: dev packages ## Take the pictures in docs/images from a demo of its own (ARGS="--inbox URL" for a running one)
	@$(BIN)/python scripts/screenshots.py $(ARGS)

lock: dev ## Resolve the dependencies anew (ARGS=--upgrade for the newest versions)
	@scripts/lock.sh $(ARGS)

runtime:
	@scripts/ensure-venv.sh runtime

dev:
	@scripts/ensure-venv.sh dev

packages: dev
	@scripts/ensure-packages.sh

clean: ## Remove what was made here, but never var/, which holds people
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find mailer workers tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: bench
bench: dev ## The speed tables, about 12 minutes (ARGS=quick: under two; ARGS=profile: where CPU goes)
	@$(BIN)/python -m bench $(ARGS)

.PHONY: drill
drill: dev packages ## Real processes under every fault, about 25 minutes (ARGS=quick: under three; ARGS='--only "term"')
	@$(BIN)/python -m drills $(ARGS)
