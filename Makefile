# `make` prints the targets. Two are all a newcomer needs: `make demo` and `make test`.
PY := .venv/bin/python
PYTEST := $(PY) -m pytest -q -n auto --maxprocesses 8 --dist loadgroup
T ?= tests
K ?=

.PHONY: compare fuzz help demo test check format lint types layers rego docs goldens bench lock clean tools dev

help: ## print this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## install what is needed, run the main job on a sample, show one attack refused
	@tools/bootstrap.sh install
	@.venv/bin/policyd demo

test: dev tools ## run the tests; `make test T=tests/policy K=waiver` runs a part
	@$(PYTEST) $(T) $(if $(K),-k "$(K)")

check: dev tools format lint types layers rego docs ## what CI runs: all of the below and every test
	@$(PYTEST) tests

format: dev ## is the code formatted?
	@.venv/bin/ruff format --check .

lint: dev ## does ruff agree?
	@.venv/bin/ruff check .

types: dev ## does mypy --strict agree?
	@.venv/bin/mypy

layers: dev ## do imports point one way?
	@.venv/bin/lint-imports --no-cache --no-logo

rego: dev tools ## are the Rego files formatted and strict?
	@tools/rego.sh

docs: dev ## do the docs match the code?
	@$(PY) tools/docs.py --check

goldens: dev ## rewrite goldens and generated docs; read the difference in review
	@$(PY) tools/docs.py
	@POLICYD_GOLDENS=write $(PY) -m pytest tests/report -q

bench: dev tools ## measure against the named peers; prints ratios
	@$(PY) -m benchmarks

compare: dev ## run zizmor, actionlint and checkov over the fixtures and write docs/comparison.md
	@$(PY) -m tools.compare

fuzz: dev tools ## look longer for policies that the engines answer differently, and for files that break a parser
	@POLICYD_FUZZ=20000 POLICYD_FUZZ_RUNS=500000 $(PYTEST) tests/policies/test_policies_agree.py tests/fuzz

lock: dev ## resolve the dependencies again and write the hashes
	@for f in install dev; do .venv/bin/pip-compile -q --generate-hashes --strip-extras --allow-unsafe \
	  --no-emit-find-links --no-emit-index-url --no-annotate --no-header -o requirements/$$f.txt requirements/$$f.in; done

dev:
	@tools/bootstrap.sh dev

tools:
	@tools/go-tools.sh

clean: ## remove the virtual environment and caches
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
