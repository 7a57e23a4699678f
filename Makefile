# Each target updates .venv and calls `python -m pipeline`, which reads the settings in .env itself.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PIPELINE := $(BIN)/python -m pipeline
# Images set it, and then each process of the tests compiles this project again.
unexport PYTHONDONTWRITEBYTECODE
LOCKED := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.PHONY: help setup setup-dev run schedule airflow airflow-setup extract gate build recommend migrate grant status \
	report insights connect evaluate erase prune features recommendations train model serve docs docs-serve metrics \
	dashboard dbt psql dump restore stop test lint-and-unit test-unit test-integration test-slow test-machine \
	test-airflow test-programs test-integration-all test-all soak lint bench lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Install the lock file $(2) with the Python $(1), and say how far it is: with uv where there is one, else with pip.
define INSTALL
if command -v uv >/dev/null; then uv pip install --python $(1) --no-deps --require-hashes -r $(2); else \
	( $(1) -m pip install --disable-pip-version-check --progress-bar off --no-deps --require-hashes -r $(2) 2>&1; echo "exit $$?" ) \
	| awk -v all=$$(grep -c == $(2)) '/^Collecting /{printf "\r%d of %d packages", ++n, all; fflush()} /^ERROR/{print} \
		/^exit /{code = $$2} END{print ""; exit code}'; fi
endef

setup:  ## create .venv from requirements.lock, if it is missing or outdated
	@cmp -s requirements.lock .venv/requirements.lock || { \
		echo "creating .venv from requirements.lock (once) ..." && \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is required; select it with: make PYTHON=python3.12 ...")' && \
		$(PYTHON) -m venv --clear .venv && \
		$(call INSTALL,$(BIN)/python,requirements.lock) && \
		cp requirements.lock .venv/requirements.lock; }

setup-dev: setup  ## add the tools of requirements-dev.lock, which tests and lint need
	@cmp -s requirements-dev.lock .venv/requirements-dev.lock || { \
		echo "adding the development tools from requirements-dev.lock (once) ..." && \
		$(call INSTALL,$(BIN)/python,requirements-dev.lock) && \
		cp requirements-dev.lock .venv/requirements-dev.lock; }

run: setup  ## run the whole pipeline: extract, gate, build, recommend
	@$(PIPELINE) run $(ARGS)

schedule: setup  ## start the run each day until Ctrl-C: ARGS="--pipeline-runtime 00:00 --timezone America/Montreal"
	@exec $(PIPELINE) schedule $(ARGS)

airflow: setup airflow-setup  ## start Airflow with the run as its DAG, on 127.0.0.1:8080 until Ctrl-C
	@exec $(PIPELINE) airflow

# Create .airflow/venv from orchestration/requirements.lock, if it is missing or outdated.
airflow-setup:
	@cmp -s orchestration/requirements.lock .airflow/venv/requirements.lock || { \
		echo "creating .airflow/venv from orchestration/requirements.lock (once) ..." && \
		$(PYTHON) -m venv --clear .airflow/venv && \
		$(call INSTALL,.airflow/venv/bin/python,orchestration/requirements.lock) && \
		cp orchestration/requirements.lock .airflow/venv/requirements.lock; }

extract: setup  ## only load changed rows from the API
	@$(PIPELINE) extract $(ARGS)

gate: setup  ## check pending loads; ARGS="show [LOAD]" shows the failed rules; also release, reject, replay
	@$(PIPELINE) gate $(ARGS)

build: setup  ## only build the marts and features from published rows
	@$(PIPELINE) build $(ARGS)

recommend: setup  ## only make lists of recommendations for all users, and publish them whole
	@$(PIPELINE) recommend $(ARGS)

migrate: setup  ## prepare the warehouse for this version: tables, typed views, privileges; ARGS=--dry-run prints the SQL
	@$(PIPELINE) migrate $(ARGS)

grant: setup  ## create roles with the least privileges of each step and reader; ARGS=--dry-run prints the SQL
	@$(PIPELINE) grant $(ARGS)

status: setup  ## show the last runs, open loads, quarantine, freshness and the next command
	@$(PIPELINE) status $(ARGS)

report: setup  ## write a report of the newest runs as one page: ARGS="--timezone America/Montreal"
	@$(PIPELINE) report $(ARGS)

insights: setup  ## write what people listen to as one page: listeners, listens, genres, retention, artists
	@$(PIPELINE) insights $(ARGS)

connect: setup  ## print how to read the warehouse with Metabase, DBeaver, psql and SQLAlchemy
	@$(PIPELINE) connect $(ARGS)

evaluate: setup  ## compare the recommendation models: ARGS="--budget 30 --json figures.json"
	@$(PIPELINE) evaluate $(ARGS)

erase: setup  ## delete all data of a user permanently: ARGS="USER_ID --reason '...' [--dry-run]"
	@$(PIPELINE) erase $(ARGS)

prune: setup  ## delete old superseded versions of users and tracks: ARGS="--keep 90d --reason '...' [--dry-run]"
	@$(PIPELINE) prune $(ARGS)

features: setup  ## store or show the features of users as known at a moment: ARGS="snapshot"; also list, show, drop
	@$(PIPELINE) features $(ARGS)

recommendations: setup  ## show the recommendations of a user: ARGS="show USER_ID"; also releases, rollback --reason
	@$(PIPELINE) recommendations $(ARGS)

train: setup  ## train models, and promote only better ones: ARGS="--budget 300"; also prepare, tune, evaluate, promote
	@$(PIPELINE) train $(ARGS)

model: setup  ## show the models: ARGS="list"; also show, compare, promote, rollback
	@$(PIPELINE) model $(ARGS)

serve: setup  ## answer requests for recommendations on 127.0.0.1:8090, with a page to try it; ARGS="--workers 2"
	@exec $(PIPELINE) serve $(ARGS)

docs: setup  ## generate the dbt docs as one static page
	@$(PIPELINE) docs $(ARGS)

docs-serve: setup  ## serve the dbt docs on 127.0.0.1:8080 until Ctrl-C; ARGS="--port 8081"
	@$(PIPELINE) docs-serve $(ARGS)

metrics: setup  ## serve metrics to Prometheus on 127.0.0.1:9464 until Ctrl-C; ARGS="--port 9465"
	@exec $(PIPELINE) metrics $(ARGS)

dashboard: setup  ## write a Grafana dashboard and its provisioning files: ARGS="FOLDER"
	@$(PIPELINE) dashboard $(ARGS)

dbt: setup  ## run a dbt command on the warehouse: ARGS="test"
	@$(PIPELINE) dbt $(ARGS)

psql: setup  ## open psql on the warehouse; ARGS="-c 'select ...'"
	@$(PIPELINE) psql $(ARGS)

dump: setup  ## run pg_dump on the warehouse: ARGS="-Fc -f warehouse.dump"
	@$(PIPELINE) pg-dump $(ARGS)

restore: setup  ## run pg_restore into the warehouse: ARGS="warehouse.dump"
	@$(PIPELINE) pg-restore $(ARGS)

stop: setup  ## stop the embedded Postgres, its data stays; refused during a run: ARGS=--force
	@$(PIPELINE) stop $(ARGS)

# Two workers, and each file on one of them: most files share fixtures that are slow to build.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile
# For long tests: a third worker uses the time in which they wait, and a worker without work takes half of another one's, so
# that all end at the same time.
PYTEST_LONG := $(BIN)/python -m pytest --numprocesses 3 --dist worksteal
# The files with a marked test, unless ARGS names some: to import all of them takes seconds of each worker.
MARKED = $(if $(findstring tests/,$(ARGS)),,$$(grep -rlw "mark.$(1)" --include="test_*.py" tests))

# The markers of the unit tests to run
UNIT := not slow and not soak

test: lint-and-unit  ## run what every change must pass: lint, unit tests, short integration tests
	@$(MAKE) --no-print-directory test-integration

lint-and-unit:
	@$(MAKE) --no-print-directory --jobs=2 lint test-unit UNIT="$(UNIT)" || { \
		echo "lint or a unit test has failed, see above; repeat them with: make lint test-unit"; exit 1; }

test-unit: setup-dev  ## run the short tests that need no database
	@$(PYTEST) -m "$(UNIT)" tests/unit $(ARGS)

test-integration: setup-dev  ## run the short tests on a real Postgres
	@$(PYTEST) -m "not slow and not soak and not machine and not airflow" tests/integration $(ARGS)

test-slow: setup-dev  ## run the long tests: random histories, kills, mutations, roles
	@$(PYTEST_LONG) -m "slow and not soak and not machine and not airflow" $(call MARKED,slow) $(ARGS)

test-machine: setup-dev  ## run the tests that need Chromium, Postgres 15, Prometheus, nginx, ...; skipped without
	@$(PYTEST) -m machine $(call MARKED,machine) $(ARGS)

test-airflow: setup-dev airflow-setup  ## run the tests that need Airflow
	@$(BIN)/python -m pytest -m airflow tests/integration/orchestration $(ARGS)

# With less priority: beside other tests, it uses the time in which these wait.
test-programs: setup-dev airflow-setup  ## run test-machine and test-airflow as one
	@nice -n 5 $(BIN)/python -m pytest -m "machine or airflow" $(call MARKED,machine) tests/integration/orchestration $(ARGS)

# One session for short and long tests: it starts servers, imports libraries and builds fixtures once.
test-integration-all: setup-dev
	@$(PYTEST_LONG) -m "not soak and not machine and not airflow" tests/integration $(ARGS)

test-all: UNIT := not soak
test-all: lint-and-unit  ## run all tests
	@$(MAKE) --no-print-directory --jobs=2 test-integration-all test-programs

soak: setup-dev  ## retrain over thirty simulated nights, with five seeds, for minutes: the right champion at every point
	@$(PYTEST) -m soak --dist load tests/integration/recommender/test_soak.py $(ARGS)

lint: setup-dev  ## run ruff, import rules, sqlfluff, dbt parse and the rules of the dbt project
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/sqlfluff lint --processes 2 dbt_project
	@mkdir -p .dbt && cp profiles.yml.example .dbt/profiles.yml
	@$(BIN)/dbt parse --quiet --warn-error --show-all-deprecations --project-dir dbt_project --profiles-dir .dbt
	@$(BIN)/dbt-bouncer run --config-file dbt_project/dbt-bouncer.yml

bench: setup-dev  ## measure the ratios and their targets; SCALE=small for a quick check, SCALE="full warehouse" for a part
	@$(BIN)/python -m benchmarks $(SCALE)

lock:  ## update the lock files from pyproject.toml and orchestration/requirements.in (needs uv)
	uv pip compile $(LOCKED) pyproject.toml -o requirements.lock
	uv pip compile $(LOCKED) --extra dev --constraint requirements.lock pyproject.toml -o requirements-dev.lock
	uv pip compile $(LOCKED) orchestration/requirements.in -o orchestration/requirements.lock

clean: setup  ## remove the embedded warehouse and all generated files; keeps the environments and the erasure key
	@$(PIPELINE) clean
