# Overspill. `make help` lists the targets; `make demo` and `make test` do all their own set-up.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

.venv/.ready: pyproject.toml requirements.lock
	@hack/venv

.PHONY: venv
venv: .venv/.ready ## The Python environment, from the lock

.PHONY: testbed
testbed: venv ## Build the control plane's binaries (cached by content)
	@$(PY) -m overspill.testing.bed build

.PHONY: demo
demo: venv ## The whole path, live: home, burst, node loss, failover, failback, the bill
	@$(PY) -m demo

.PHONY: demo-trace
demo-trace: venv ## At least 300 jobs of a real GPU trace on 100 simulated nodes and a market
	@$(PY) -m demo.trace

.PHONY: bench-storm
bench-storm: venv ## 2,000 GPUJobs at once on 200 simulated nodes: writes, latencies, CPU, memory
	@$(PY) -m benchmarks.storm

.PHONY: bench-soak
bench-soak: venv ## 5,000 GPUJobs, 500 nodes that come and go, 200 leases, half an hour: memory, reaction, start
	@$(PY) -m benchmarks.soak

.PHONY: bench-placement
bench-placement: venv ## Placement against published policies and the optimum, about 20 minutes (ARGS="--size 96": more jobs)
	@$(PY) -m benchmarks.placement $(ARGS)

.PHONY: bench-offers
bench-offers: venv ## 10,000 offers of all markets read and normalised: CPU time against 300 ms
	@$(PY) -m benchmarks.offers

.PHONY: test presubmit
test: presubmit ## Everything CI runs
presubmit: venv ## Generated files, lint, types, contracts, and all tests
	@hack/presubmit

.PHONY: test-unit
test-unit: venv ## The tests that need no cluster
	@$(PY) -m pytest -q tests -m "not cluster and not real_node" --ignore=tests/cluster --ignore=tests/bed

.PHONY: test-cluster
test-cluster: venv ## The tests on a real control plane
	@$(PY) -m pytest -q tests/bed tests/cluster tests/helm

.PHONY: chaos chaos-full
chaos: venv ## Money safety under faults: simulated, and on a real control plane; goals and figures
	@$(PY) -m benchmarks.chaos
chaos-full: venv ## The same at full size: 10,000 histories, every crash point, 300 cases of a faulty network, a soak
	@$(PY) -m benchmarks.chaos --full

.PHONY: markets-tour markets-faults markets-matrix
markets-tour: venv ## One job on every market in turn through the operator; books against ledgers
	@$(PY) -m benchmarks.markets_tour
markets-faults: venv ## Every known failure of every market, and 30 days without an operator
	@$(PY) -m benchmarks.markets_faults
markets-matrix: venv ## Market by check: the contract kit, the official files, the makers' clients
	@$(PY) -m benchmarks.markets_matrix

.PHONY: lint
lint: venv ## ruff, mypy --strict, import-linter
	@hack/lint

.PHONY: format
format: venv ## Format the code
	@.venv/bin/ruff format operator tests demo benchmarks && .venv/bin/ruff check --fix operator tests demo benchmarks

.PHONY: crds manifests generate
crds: venv ## CRDs from the API models
	@$(PY) -m overspill.api.generate crds
manifests: crds ## The chart's CRDs and manifests/install.yaml
	@$(PY) helm/sync.py
generate: manifests ## All generated files

.PHONY: lock
lock: ## Renew requirements.lock
	@uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -o requirements.lock

.PHONY: clean
clean: ## Remove what was made here (not the per-user cache of binaries)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build
