# Targets that need .venv make it first; once it is there and the locks have not changed, that costs nothing.
# Variables may stand on the command line: make run API_PORT=9002, make test T=libs/common.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

VENV := .venv/.complete
PY := .venv/bin/python
PACKAGES := $(patsubst %/pyproject.toml,%,$(wildcard libs/*/pyproject.toml services/*/pyproject.toml))

##@ Run

.PHONY: run
run: export APP_ENV := development
run: $(VENV) ## Start everything, take the first tour, stay up (DB=mysql, TOUR=0, API_PORT=..., see docs/local-run.md)
	@$(PY) scripts/run

.PHONY: clean
clean: ## Delete keys, databases, files and logs of local runs; fetched tools in .local/ stay
	@if [ -f $(VENV) ]; then $(PY) scripts/clean; else find .local -mindepth 1 -maxdepth 1 ! -name bin ! -name charts-venv -exec rm -rf {} + 2>/dev/null || true; fi

##@ Test and check

.PHONY: test
# Fetching MySQL's server and making .venv take a while once, and need not wait for each other.
test: ## Run all tests on SQLite and MySQL (T=path narrows, REQUIRE_MYSQL=1 insists; see docs/testing.md)
	@if [ ! -f $(VENV) ]; then python3 scripts/mysql fetch >/dev/null 2>&1 & fi; $(MAKE) $(VENV); status=$$?; wait; exit $$status
	@$(PY) scripts/test $(T)

.PHONY: drill
drill: $(VENV) ## Run the tests that wait out time limits, or kill and start everything (some minutes)
	@$(PY) scripts/test -m drill

.PHONY: drill-jobs
drill-jobs: $(VENV) ## Break what jobs run on, fault by fault (half an hour; T=path narrows, STORM_SECONDS=600 lengthens the storm)
	@$(PY) scripts/test -n 0 -m job_drill $(if $(T),$(T),scripts/tests/jobs)

.PHONY: interop
interop: $(VENV) ## Verify auth's tokens with a library for Node, from the metadata alone (needs node and npm; about a minute)
	@$(PY) scripts/interop

.PHONY: lint
lint: $(VENV) ## Check format (ruff), rules (ruff) and types (mypy strict)
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m ruff check --quiet .
	@$(PY) -m mypy

.PHONY: charts-check
charts-check: ## Check charts, k8s, compose.yaml and skaffold.yaml without a cluster (K=name narrows; about a minute)
	@PYTHON="$(PYTHON)" scripts/charts-check $(if $(K),-k "$(K)")

.PHONY: memory
memory: $(VENV) ## Measure the memory of importing, exporting and downloading 10,000 and a million rows (some minutes)
	@$(PY) scripts/memory

.PHONY: format
format: $(VENV) ## Format the code and mend what ruff can mend by itself
	@$(PY) -m ruff format --quiet .
	@$(PY) -m ruff check --fix --quiet .

.PHONY: check-rules
check-rules: ## Run the unit tests of the alert rules with promtool (fetched on Debian where it is missing)
	@scripts/check-rules --fetch

##@ Kubernetes

.PHONY: images
images: ## Build the images of all services, tagged with the commit (TARGET=dev, IMAGE_REGISTRY=..., see docs/kubernetes.md)
	@scripts/images build

.PHONY: secrets
secrets: ## Create the Secrets of an environment that are missing (ENV=development|staging|production)
	@scripts/make-secrets

.PHONY: deploy
deploy: ## Deploy all releases with helm (ENV=development|staging|production, TAG=..., IMAGE_REGISTRY=...)
	@scripts/deploy

.PHONY: cluster-e2e
cluster-e2e: $(VENV) ## Prove the charts in a namespace of its own on the current cluster, and take it away again
	@scripts/cluster-e2e

##@ Packages

.PHONY: venv
venv: $(VENV) ## Make .venv from the two locks (PYTHON=... picks the interpreter)
	@:

.PHONY: lock
lock: $(VENV) ## Compile the locks from the packages' pyproject.toml (UPGRADE=all or UPGRADE=name moves versions)
	@$(PY) scripts/lock

##@ Help

.PHONY: help
help: ## Show this list
	@scripts/help $(MAKEFILE_LIST)

$(VENV): requirements.lock requirements-dev.lock $(addsuffix /pyproject.toml,$(PACKAGES)) scripts/venv
	@PYTHON="$(PYTHON)" scripts/venv
