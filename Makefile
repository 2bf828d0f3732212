# Two commands matter: `make demo` and `make test`. Both set everything up first.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
# Each worker and process of the tests would compile all modules anew: half of its start.
unexport PYTHONDONTWRITEBYTECODE
AUDIT_READY := .venv/audit-ready
ROWS := $(patsubst tests/matrix/%.lock,%,$(wildcard tests/matrix/spark-*.lock))
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-annotate --upgrade

PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
# What an environment with Spark takes: $(call install,FOLDER,LOCK,JARS).
define install
	$(1)/bin/python -m pip install --quiet --require-hashes -r requirements-build.lock
	$(1)/bin/python -m pip install --quiet --require-hashes --no-build-isolation -r $(2)
	$(1)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(1)/bin/python conf/spark/prepare_spark.py $(3)
endef
define need_python_and_java
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed (PYTHON=… names one)" >&2; exit 2; }
	@command -v java >/dev/null || { echo "Java 17 or newer is needed: install it and put it on the PATH" >&2; exit 2; }
endef

# What `make test` runs a second time, on Spark Connect: each question to it takes its time.
ON_CONNECT := tests/transform tests/integration/publish/test_marked_outputs.py

.PHONY: help setup demo test test-connect test-airflow test-readers test-writers test-shards test-gpu-plan test-iceberg test-lists corpus matrix torture bench bench-delta bench-iceberg bench-since bench-lists bench-gpu check format audit lock clean

help: ## Show what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## Make .venv from the lock files, with the jars of Delta and Iceberg; the job needs no network afterwards
	-@$(BIN)/python conf/spark/archive_classes.py

$(READY): requirements-build.lock requirements.lock pyproject.toml conf/spark/prepare_spark.py conf/spark/jars.sha256
	$(need_python_and_java)
	$(PYTHON) -m venv .venv
	$(call install,.venv,requirements.lock)
	@touch $@

demo: setup ## Build a small table from real pictures, remove its duplicates, show what came out
	$(BIN)/python -m tests.demo.run_demo

test: check ## Run the checks and the whole test suite
	$(PYTEST)
	SPARK_REMOTE='local[2]' $(PYTEST) $(ON_CONNECT)

test-connect: setup ## Run all transform and integration tests on Spark Connect (an hour)
	SPARK_REMOTE='local[2]' $(PYTEST) tests/transform tests/integration

test-airflow: setup build/airflow/ready ## Import the DAGs in a real Airflow, and run one (seven minutes)
	build/airflow/bin/python -m pytest --confcutdir tests/airflow tests/airflow

build/airflow/ready: tests/airflow/requirements.lock requirements-build.lock
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --require-hashes -r requirements-build.lock
	$(@D)/bin/python -m pip install --quiet --require-hashes --no-build-isolation -r tests/airflow/requirements.lock
	@touch $@

test-readers: setup build/readers/ready ## Let other programs read what each method makes (five to eight minutes; 2 GB); READERS="Polars DuckDB"
	$(BIN)/python -m tests.readers build/readers/bin/python $(READERS)

build/readers/ready: tests/readers/requirements.lock requirements-build.lock
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --require-hashes -r requirements-build.lock
	$(@D)/bin/python -m pip install --quiet --require-hashes --no-build-isolation -r tests/readers/requirements.lock
	@touch $@

test-writers: setup build/writers/ready ## Let other programs write random tables, and rewrite them by both engines (eight minutes); SEED=1 TABLES=110
	$(BIN)/python -m tests.writers build/writers/bin/python $(if $(SEED),--seed $(SEED)) $(if $(TABLES),--tables $(TABLES))

build/writers/ready: tests/writers/requirements.lock requirements-build.lock
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --require-hashes -r requirements-build.lock
	$(@D)/bin/python -m pip install --quiet --require-hashes --no-build-isolation -r tests/writers/requirements.lock
	@touch $@

test-shards: setup build/judges/ready ## Let other programs write shards, and read what the job makes of them (two minutes; 2 GB)
	$(BIN)/python -m tests.judges build/judges/bin/python

build/judges/ready: tests/judges/requirements.lock tests/benchmarks/curator-alone.lock requirements-build.lock
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --require-hashes -r requirements-build.lock
	$(@D)/bin/python -m pip install --quiet --require-hashes --no-build-isolation -r tests/judges/requirements.lock
	$(@D)/bin/python -m pip install --quiet --require-hashes --no-deps -r tests/benchmarks/curator-alone.lock
	@touch $@

test-gpu-plan: setup ## Ask the RAPIDS Accelerator itself what a GPU would run; needs none (two minutes; a jar of 1 GB)
	$(BIN)/python -m pytest tests/gpu

test-iceberg: setup build/iceberg-rest/ready ## Run the longer tests of Iceberg, also with a REST catalog and S3 (ten minutes; jars of 74 MB)
	$(PYTEST) tests/integration/iceberg/slow
	$(BIN)/python -m pytest tests/iceberg_servers

build/iceberg-rest/ready: tests/support/jars/iceberg-rest-jars.sha256 tests/support/jars/iceberg_rest_jars.py $(READY)
	$(BIN)/python -m tests.support.jars.iceberg_rest_jars
	@touch $@

test-lists: setup ## Try random lists in every shape; EXAMPLES=3
	SHAPE_EXAMPLES=$(or $(EXAMPLES),3) $(BIN)/python -m pytest tests/property/test_list_shapes.py

corpus: setup ## Run the duplicate finders again whose lists are in tests/corpus (ten minutes; 8 GB); TOOLS="difpy daft"
	$(BIN)/python -m tests.corpus $(TOOLS)

matrix: setup $(ROWS:%=build/matrix/%/ready) ## Run the fast part of the suite on each pair of Spark and Delta; ROWS="…"
	$(BIN)/python -m tests.matrix $(ROWS)

build/matrix/%/ready: tests/matrix/%.lock tests/matrix/%.jars.sha256 requirements-build.lock conf/spark/prepare_spark.py
	$(PYTHON) -m venv --clear $(@D)
	$(call install,$(@D),tests/matrix/$*.lock,tests/matrix/$*.jars.sha256)
	@touch $@

torture: setup ## Stop the job at random points and try random tables, for an hour; KILLS=200 TABLES=500
	$(BIN)/python -m tests.torture --kills $(or $(KILLS),200)
	FUZZ_EXAMPLES=$(or $(TABLES),500) $(BIN)/python -m pytest tests/property/test_fuzz.py

bench: build/bench/ready ## Time the job beside its peers; SIZE=small|full, CASES="A B", ROUNDS=3, BEFORE=checkout
	-@build/bench/bin/python conf/spark/archive_classes.py
	$(if $(BEFORE),BEFORE=$(BEFORE)) build/bench/bin/python -m tests.benchmarks $(if $(SIZE),--size $(SIZE)) $(if $(CASES),--cases $(CASES)) \
		$(if $(ROUNDS),--rounds $(ROUNDS))

build/bench/ready: requirements-bench.lock requirements-build.lock conf/spark/prepare_spark.py conf/spark/jars.sha256
	$(need_python_and_java)
	$(PYTHON) -m venv --clear $(@D)
	$(call install,$(@D),requirements-bench.lock)
	@touch $@

bench-delta: setup ## Time clone and in-place beside a rewrite, at 3.0 and 12 GB (30 GB of disk)
	$(BIN)/python -m tests.benchmarks.delta_methods

bench-iceberg: setup ## Time in-place on Iceberg beside Delta's clone, at 3.0 and 12 GB (15 GB of disk); OPTIONS="--images 6000"
	$(BIN)/python -m tests.benchmarks.iceberg_methods $(OPTIONS)

bench-since: setup ## Time a run of what is new beside a full one, at 3.0 GB (15 GB of disk)
	$(BIN)/python -m tests.benchmarks.since_last_run

bench-lists: setup ## Time plans with and without the look at what a list holds, at 20 million entries
	$(BIN)/python -m tests.benchmarks.list_contents

bench-gpu: setup ## Time CPU and GPU on the same tables; without a GPU the CPU alone; GIGABYTES="1 4 16", ROUNDS=3
	$(BIN)/python -m tests.benchmarks.gpu $(if $(GIGABYTES),--gigabytes $(GIGABYTES)) \
		$(if $(ROUNDS),--rounds $(ROUNDS))

check: setup ## Format, lint, types, the direction of imports, and the forge's workflows
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema custom.github-workflows-require-timeout .github/workflows/*.yml
	$(BIN)/zizmor --offline --pedantic --strict-collection --quiet .github .pre-commit-config.yaml

format: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

audit: $(AUDIT_READY) ## List what is pinned (build/sbom.cdx.json), and look up known vulnerabilities
	$(BIN)/python .ci/sbom.py
	$(BIN)/python .ci/audit.py

$(AUDIT_READY): $(READY) requirements-audit.lock
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-audit.lock
	@touch $@

lock: ## Work out the lock files anew (needs uv)
	$(LOCK) requirements-build.in --output-file requirements-build.lock
	$(LOCK) $(foreach extra,spark connect delta lineage databricks review demo test browser check,--extra $(extra)) \
		pyproject.toml requirements.in --output-file requirements.lock
	$(LOCK) $(foreach extra,spark delta bench,--extra $(extra)) pyproject.toml requirements.in requirements-bench.in \
		--output-file requirements-bench.lock
	$(LOCK) --extra audit pyproject.toml requirements-audit.in --output-file requirements-audit.lock
	for row in $(ROWS); do $(LOCK) $(foreach extra,spark connect delta,--extra $(extra)) pyproject.toml \
		tests/matrix/suite.in tests/matrix/$$row.in --output-file tests/matrix/$$row.lock || exit; done
	for tests in airflow readers writers judges; do \
		$(LOCK) tests/$$tests/requirements.in --output-file tests/$$tests/requirements.lock || exit; done
	for tool in tests/corpus/requirements/*.in; do $(LOCK) $$tool --output-file $${tool%.in}.lock || exit; done
	$(LOCK) tests/benchmarks/curator.in --output-file tests/benchmarks/curator.lock
	$(LOCK) --no-deps tests/benchmarks/curator-alone.in --output-file tests/benchmarks/curator-alone.lock

clean: ## Delete what was made
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache
