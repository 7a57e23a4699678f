# Thin: each target makes sure of .venv and calls `python -m pipeline`, which reads the settings in .env itself.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PIPELINE := $(BIN)/python -m pipeline
LOCKED := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.PHONY: help setup run schedule airflow airflow-setup extract gate build grant status report metrics dashboard erase prune docs \
	docs-serve dbt psql dump restore stop test test-machine test-airflow lint bench lock clean

help:  ## these lines
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## .venv from requirements.lock, if it is missing or the lock changed
	@cmp -s requirements.lock .venv/requirements.lock || { \
		echo "making .venv from requirements.lock (once) ..." && \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with: make PYTHON=python3.12 ...")' && \
		$(PYTHON) -m venv --clear .venv && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock && \
		cp requirements.lock .venv/requirements.lock; }

run: setup  ## the whole night: extract, gate, build
	@$(PIPELINE) run $(ARGS)

schedule: setup  ## stay up, and run the night each day: ARGS="--pipeline-runtime 00:00 --timezone America/Montreal"
	@exec $(PIPELINE) schedule $(ARGS)

airflow: setup airflow-setup  ## an Airflow of this machine alone, with the night as its DAG, on 127.0.0.1:8080 until Ctrl-C
	@exec $(PIPELINE) airflow

# .airflow/venv from orchestration/requirements.lock, if it is missing or the lock changed
airflow-setup:
	@cmp -s orchestration/requirements.lock .airflow/venv/requirements.lock || { \
		echo "making .airflow/venv from orchestration/requirements.lock (once) ..." && \
		$(PYTHON) -m venv --clear .airflow/venv && \
		.airflow/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r orchestration/requirements.lock && \
		cp orchestration/requirements.lock .airflow/venv/requirements.lock; }

extract: setup  ## only land what changed in the API
	@$(PIPELINE) extract $(ARGS)

gate: setup  ## judge what is pending; ARGS="show [LOAD]" tells what was found; release, reject, replay
	@$(PIPELINE) gate $(ARGS)

build: setup  ## only build marts and features from what is published
	@$(PIPELINE) build $(ARGS)

grant: setup  ## roles with no more rights than each step and each reader needs; ARGS=--dry-run shows the SQL
	@$(PIPELINE) grant $(ARGS)

status: setup  ## last runs, open loads, quarantine, freshness, the next thing to do
	@$(PIPELINE) status $(ARGS)

report: setup  ## the newest nights as one page, and where it is; ARGS="--timezone America/Montreal"
	@$(PIPELINE) report $(ARGS)

erase: setup  ## all that is held of a user goes for good: ARGS="USER_ID --reason '...' [--dry-run]"
	@$(PIPELINE) erase $(ARGS)

prune: setup  ## superseded versions of users and tracks go: ARGS="--keep 90d --reason '...' [--dry-run]"
	@$(PIPELINE) prune $(ARGS)

docs: setup  ## dbt docs as one static page, and where it is
	@$(PIPELINE) docs $(ARGS)

docs-serve: setup  ## the same page on 127.0.0.1:8080 until Ctrl-C; ARGS="--port 8081"
	@$(PIPELINE) docs-serve $(ARGS)

metrics: setup  ## the metrics of the runs for a Prometheus, on 127.0.0.1:9464 until Ctrl-C; ARGS="--port 9465"
	@exec $(PIPELINE) metrics $(ARGS)

dashboard: setup  ## a Grafana dashboard of the metrics, and the files that provision it: ARGS="FOLDER"
	@$(PIPELINE) dashboard $(ARGS)

dbt: setup  ## any dbt command on the warehouse: ARGS="test"
	@$(PIPELINE) dbt $(ARGS)

psql: setup  ## psql on the warehouse; ARGS="-c 'select ...'"
	@$(PIPELINE) psql $(ARGS)

dump: setup  ## pg_dump of the warehouse: ARGS="-Fc -f warehouse.dump"
	@$(PIPELINE) pg-dump $(ARGS)

restore: setup  ## pg_restore into the warehouse: ARGS="warehouse.dump"
	@$(PIPELINE) pg-restore $(ARGS)

stop: setup  ## stop the embedded Postgres; its data stays
	@$(PIPELINE) stop

test: setup lint  ## everything a change must pass: lint, and pytest on a real Postgres
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not machine and not airflow" $(ARGS)

test-machine: setup  ## the tests that need programs of the machine: Prometheus, Alertmanager; skipped without them
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m machine $(ARGS)

test-airflow: setup airflow-setup  ## what needs Airflow: its DAG parsed, and run on a real Postgres
	@$(BIN)/python -m pytest -m airflow tests/orchestration $(ARGS)

lint: setup  ## ruff, sqlfluff, import rules, dbt parse with warnings as errors, house rules of the dbt project
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/sqlfluff lint dbt_project
	@mkdir -p .dbt && cp profiles.yml.example .dbt/profiles.yml
	@$(BIN)/dbt parse --quiet --warn-error --show-all-deprecations --project-dir dbt_project --profiles-dir .dbt
	@$(BIN)/dbt-bouncer run --config-file dbt_project/dbt-bouncer.yml

bench: setup  ## ratios of pulls and builds, each with its target; SCALE=small for a first look, SCALE="full warehouse" for a part
	@$(BIN)/python -m benchmarks $(SCALE)

lock:  ## both lock files anew from pyproject.toml and orchestration/requirements.in (needs uv)
	uv pip compile $(LOCKED) --extra dev pyproject.toml -o requirements.lock
	uv pip compile $(LOCKED) orchestration/requirements.in -o orchestration/requirements.lock

clean: setup  ## remove the embedded warehouse and everything that was generated; keeps the environments and the erasure key
	@$(PIPELINE) clean
