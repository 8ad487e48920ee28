# Penstock: every target that people and tools rely on.  `make help` lists them.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock

# Bytecode is kept, whatever the shell says: compiling the package takes a server's process as long as all else of its start, and tests
# start hundreds; collecting the tests takes three times as long.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run demo setup test test-compat native test-native test-workers oracle faults fuzz sim sim-hunt check format bench bench-quick bench-storage docs lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

run: $(VENV)/.runtime ## Set up what is needed and start the server (ARGS="--port 0" passes options)
	@exec $(BIN)/penstock serve $(ARGS)

demo: $(VENV)/.demo ## Stream this machine's metrics through a server for 10 seconds
	@$(BIN)/penstock demo --seconds 10 $(ARGS)

setup: $(VENV)/.dev ## Install everything that development needs

# More workers than cores, because tests wait more than they compute; who is done takes tests of who is not, so that no core idles at the end.
test: $(VENV)/.dev ## Run every test (ARGS="-k name" passes options)
	@$(BIN)/pytest --numprocesses $(or $(CORES),6) --dist worksteal $(ARGS)

native: $(VENV)/.runtime ## Build the hot path in Rust and install it (needs cargo); the server finds it by itself
	@cargo --version >/dev/null 2>&1 || { echo "make native needs Rust: https://rustup.rs"; exit 1; }
	@$(PIP) maturin
	@$(BIN)/maturin build --quiet --release --manifest-path native/Cargo.toml --out native/build --interpreter $(BIN)/python
	@$(BIN)/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps native/build/*.whl
	@echo "native: installed; take it away with $(BIN)/pip uninstall penstock-native"

test-native: $(VENV)/.dev ## Hold the native part against Python, byte by byte, and run what uses it (needs cargo)
	@cargo fmt --manifest-path native/Cargo.toml --check
	@cargo clippy --quiet --release --manifest-path native/Cargo.toml -- --deny warnings
	@PYO3_BUILD_EXTENSION_MODULE=1 cargo build --quiet --release --manifest-path native/Cargo.toml
	@mkdir -p native/build && cp native/target/release/libpenstock_native.so native/build/penstock_native.abi3.so
	@PYTHONPATH=native/build $(BIN)/pytest tests/native/native_*.py $(ARGS)
	@PYTHONPATH=native/build $(BIN)/pytest $(NATIVE_USERS) $(ARGS)

test-workers: $(VENV)/.dev ## Run what clients see once more, on servers with workers; left out is what counts what one process lets in or logs
	@PYTHONPATH=tests/wire $(BIN)/pytest -p with_workers tests/wire tests/compat/test_records.py tests/compat/test_fan_out.py \
		tests/compat/test_enforced.py tests/compat/test_tls_files.py tests/compat/test_mutual_tls.py \
		--deselect tests/wire/test_fairness.py --deselect \
		tests/compat/test_tls_files.py::test_certificates_when_given_and_changed_are_shown_to_new_connections_and_broken_ones_are_not $(ARGS)

NATIVE_USERS := tests/property/wire/test_fast_decoders.py tests/unit/wire/test_aggregate.py tests/compat/test_producer.py tests/compat/test_records.py tests/compat/test_large_records.py \
	tests/compat/test_reshard_under_load.py tests/compat/test_sealed_streams.py tests/compat/test_quotas.py tests/compat/test_fan_out.py \
	tests/compat/test_audit.py tests/wire/test_cbor_calls.py tests/wire/test_large_cbor.py tests/unit/server/test_http1.py \
	tests/wire/test_http_oddities.py tests/unit/server/test_http2_connection.py tests/wire/test_http2_abuse.py tests/unit/wire/test_signature.py tests/unit/wire/test_signature_vectors.py tests/compat/test_enforced.py

oracle: $(VENV)/.dev tests/oracle/node_modules/.installed ## Hold our decisions on policies against an independent judge's (needs Node.js)
	@$(BIN)/pytest tests/oracle/policies_oracle.py --log-cli-level=INFO $(ARGS)

test-compat: $(VENV)/.dev ## Real clients in Java, JavaScript and Go, side by side; about seven minutes
	@$(BIN)/pytest -p compat_plugin tests/compat/clients -o python_files='*_compat.py' --durations=0 --durations-min=1 $(ARGS)

faults: $(VENV)/.dev ## Kill, fill and damage, for longer than make test does
	@PENSTOCK_KILL_ROUNDS=30 $(BIN)/pytest tests/faults $(ARGS)

fuzz: $(VENV)/.fuzz ## Fuzz every entrance, two at a time (SECONDS=s each, TARGET=name for one of tests/fuzz/fuzz_targets.py)
	@$(BIN)/python tools/fuzz.py run $(TARGET) --seconds $(or $(SECONDS),60)

sim: $(VENV)/.dev ## Replay one simulated world with its trace (SEED=n WORLD=engine|streams|consumer|mapping|delivery)
	@$(BIN)/python tools/sim.py replay $(or $(SEED),1) --world $(or $(WORLD),engine)

sim-hunt: $(VENV)/.dev ## Look for failing worlds with fresh seeds (MINUTES=m WORLD=engine|streams|consumer|mapping|delivery)
	@$(BIN)/python tools/sim.py hunt --minutes $(or $(MINUTES),5) --world $(or $(WORLD),engine)

check: $(VENV)/.dev ## Lint, format, types, import rules, style ratchet, generated pages
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports >$(VENV)/lint-imports.log || { cat $(VENV)/lint-imports.log; exit 1; }
	@$(BIN)/python tools/ratchet.py
	@$(BIN)/python tools/pages.py --check
	@echo "check: all passed"

format: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

bench: $(VENV)/.dev ## Measure this server and its peers; results go to bench/results/
	@$(BIN)/python -m bench $(ARGS)

bench-quick: $(VENV)/.dev ## Compare this code's speed with the kept ratios, in under 3 minutes (ARGS=--keep keeps new ones)
	@$(BIN)/python -m bench.quick $(ARGS)

bench-storage: $(VENV)/.dev ## Measure the durable engine alone, with 10 GB and a soak of 20 minutes
	@$(BIN)/python -m bench.storage $(ARGS)

docs: $(VENV)/.dev ## Write docs/parity.md and docs/configuration.md anew
	@$(BIN)/python tools/pages.py

LOCKED := demo s3 postgres functions firehose iceberg fuzz dev  # snowflake's SDK pins an older msgspec

lock: $(VENV)/.dev ## Pin every dependency anew in requirements.lock
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || $(BIN)/pip install --quiet uv
	@$(BIN)/python -m uv pip compile --quiet --universal --upgrade $(LOCKED:%=--extra %) --no-header --no-annotate \
		--python-version 3.11 --output-file requirements.lock pyproject.toml

clean: ## Remove the virtual environment and caches
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Penstock needs Python 3.11 or newer; say make PYTHON=python3.12"; exit 1; }
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing Penstock ..."
	@$(PIP) --editable .
	@touch $@

$(VENV)/.demo: pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing Penstock and the demo ..."
	@$(PIP) --editable '.[demo]'
	@touch $@ $(VENV)/.runtime

$(VENV)/.dev: pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing Penstock and its development tools ..."
	@$(PIP) --editable '.[demo,dev]'
	@touch $@ $(VENV)/.runtime $(VENV)/.demo

$(VENV)/.fuzz: $(VENV)/.dev
	@echo "Installing the fuzzer ..."
	@$(PIP) --editable '.[demo,dev,fuzz]'
	@touch $@

tests/oracle/node_modules/.installed: tests/oracle/package.json tests/oracle/package-lock.json
	@npm --version >/dev/null 2>&1 || { echo "make oracle needs Node.js, with npm"; exit 1; }
	@npm ci --prefix tests/oracle --ignore-scripts --no-audit --no-fund --silent
	@touch $@
