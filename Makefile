# Two commands matter: `make demo` and `make test`. Everything else is `capi --help`.
PYTHON ?= python3
BIN := .venv/bin
export UV_COMPILE_BYTECODE := 1

.PHONY: demo up test chaos fuzz bench clean

demo: .venv/ready
	$(BIN)/capi demo

up: .venv/ready
	$(BIN)/capi up

test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check capi_pipeline tests
	$(BIN)/mypy
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

# 20 minutes on two busy cores: 100,000 answers for each function that reads one; ANSWERS=10000 is enough for a look.
fuzz: .venv/ready
	CAPI_FUZZ=$(or $(ANSWERS),100000) $(BIN)/pytest -n 2 --timeout 7200 --durations 0 \
	  tests/platforms/test_any_answer.py tests/delivery/test_any_answer.py

# About 45 minutes; SIZES=10000,100000 is enough for a look.
bench: .venv/ready
	$(BIN)/python benchmarks/throughput.py --write $(if $(SIZES),--sizes $(SIZES))

chaos: .venv/ready  # half an hour: 200 schedules of kills and faults, measured in docs/reliability.md
	$(BIN)/python -m tests.chaos --page docs/reliability.md --results .chaos/results.jsonl

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements.lock)"
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

clean:
	rm -rf .venv .capi .chaos dbt_project/target dbt_project/logs
