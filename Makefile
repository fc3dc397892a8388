# What a user types. `make run` and `make test` create their own environments the first time.

PYTHON ?= python3
BIN := .venv/bin
# Nothing here may reach a real AWS account by accident.
unexport AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
export SCENARIO ANSWERS NAMES NETWORK KEEP PORT CONTACT

.DEFAULT_GOAL := help
.PHONY: help run test lint bench clean environments

help: ## list these targets
	@echo "make run [SCENARIO=drop|recorded|FILE.yaml] [ANSWERS=FILE] [NAMES='a.com b.de'|FILE] [NETWORK=live] [KEEP=1] [PORT=n]"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: ## the whole pipeline on this machine: emulator, sandbox, sam build, sam deploy, names on the ladder
	@$(PYTHON) tools/run.py

test: lint ## the linters, then every test
	$(BIN)/python -m pytest

lint: environments ## ruff, mypy, cfn-lint on the template and on its translated form, sam validate
	$(BIN)/ruff check .
	$(BIN)/mypy layers/domainwatch/domainwatch sandbox tools
	$(BIN)/cfn-lint template.yaml
	@mkdir -p .local
	$(BIN)/python -m tools.translate > .local/translated.json
	$(BIN)/cfn-lint .local/translated.json
	AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 $(BIN)/sam validate --lint

bench: environments ## the benchmarks, each against a named peer
	@set -e; for bench in bench/bench_*.py; do echo "== $$bench"; $(BIN)/python "$$bench"; done

clean: ## remove what running and testing made; the environments too
	rm -rf .local .aws-sam .venv .venv-emulator .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

environments:
	@$(PYTHON) tools/environments.py
