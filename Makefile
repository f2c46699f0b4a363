# Everything a person does here. Needs make and Python 3.11 or later; `make install` brings the rest into .venv.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
ONCE ?=
SLOW ?=
PARTS ?=
WORKERS ?= 2

.PHONY: help install demo up test torture check openapi configuration scripts audit bench lock clean

help:
	@echo "make demo           score small networks on drawn scenes and digits, then open the page of the best score (ONCE=1: exit instead)"
	@echo "make up             start the service alone"
	@echo "make test           tests on PostgreSQL and Redis of their own (SLOW=1: the slow ones too)"
	@echo "make check          style, types, import rules, openapi.json, the configuration page, the page's scripts"
	@echo "make torture        try to break every promise: faults, load, hostile input, tenants (PARTS=faults: only that)"
	@echo "make audit          known vulnerabilities of the locked packages, from the advisory database of PyPI"
	@echo "make bench          speed beside that of others, in one run"
	@echo "make openapi        write openapi.json anew"
	@echo "make configuration  write docs/configuration.md anew"
	@echo "make install        the virtual environment, which the others make by themselves"
	@echo "make lock           pin every dependency anew (requirements*.txt)"
	@echo "make clean          remove what demo and tools left (not .venv)"

install: $(STAMP)

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; name one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: install
	$(BIN)/python -m demo $(if $(ONCE),--once)

up: install
	$(BIN)/iis up

test: install
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(if $(SLOW),,-m "not slow")

check: install scripts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m app.openapi_document --check openapi.json
	$(BIN)/python -m app.configuration_page --check docs/configuration.md

openapi: install
	$(BIN)/python -m app.openapi_document > openapi.json

configuration: install
	$(BIN)/python -m app.configuration_page > docs/configuration.md

# The page's scripts: types, and the tests of modules without a DOM. Both need node, which the service itself does not.
scripts:
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
		npm install --prefix app/ui --no-package-lock --no-audit --no-fund --silent && \
		app/ui/node_modules/.bin/tsc --project app/ui/jsconfig.json && \
		node --test app/ui/tests/*.test.js; \
	else \
		echo "NOT CHECKED: the page's scripts; node and npm are not installed here" >&2; \
		[ -z "$(CI)" ] || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; \
	fi

torture: install
	PYTHONPATH=tests OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m torture $(PARTS)

audit: install
	PYTHONPATH=tests $(BIN)/python -m audit

bench: install
	$(BIN)/python -m benchmarks

lock: install
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --all-extras pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --extra api --extra traces -c requirements.txt pyproject.toml -o requirements-api.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --extra worker --extra traces -c requirements.txt pyproject.toml -o requirements-worker.txt

clean:
	rm -rf demo-output .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist build app/ui/node_modules
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
