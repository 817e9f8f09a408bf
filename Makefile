# baozi: `make` lists the targets. Each installs what it needs first, and says so (setup/setup.sh).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.SUFFIXES:

JOBS ?= $(shell nproc)
CACHE := $(abspath $(or $(BAOZI_CACHE),.cache))
DATA := $(CACHE)/data
MODELS := $(CACHE)/models
PREPARE = $(CACHE)/venv/bin/python tools/models/prepare.py --cache $(CACHE) --out $(MODELS) \
  --data $(DATA)
export BAOZI_CACHE := $(CACHE)
export CTEST_PARALLEL_LEVEL := $(JOBS)
# The preset that `make test` builds.
PRESET ?= release
# GCC 12's thread sanitizer cannot start where the kernel randomises addresses by more than 28 bits.
FIXED_ADDRESSES = $(if $(filter tsan,$(PRESET)), \
  $(shell setarch -R true 2>/dev/null && echo setarch -R))

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | \
	  while IFS='|' read -r target text; do printf '  make %-15s %s\n' "$$target" "$$text"; done

.PHONY: setup
setup: ## installs system packages and fetches pinned downloads, for building and testing
	@setup/setup.sh build models test fleet
	@$(PREPARE)

.PHONY: build
build: ## builds everything (Release)
	@setup/setup.sh build
	@$(MAKE) --no-print-directory build/release/build.ninja
	@ninja -C build/release -j $(JOBS)

.PHONY: test
test: ## builds and runs every test (PRESET=dev and others choose the build)
	@setup/setup.sh build models test fleet
	@$(PREPARE) --only test
	@$(MAKE) --no-print-directory build/$(PRESET)/build.ninja
	@ninja -C build/$(PRESET) -j $(JOBS)
	@$(FIXED_ADDRESSES) ctest --preset $(PRESET)

.PHONY: demo
demo: ## starts the server and asks it over HTTP: OCR, photographs, embeddings, a chat
	@setup/setup.sh build models
	@$(PREPARE) --only demo
	@install -m 644 tools/demo/demo.yaml $(MODELS)/demo.yaml
	@$(MAKE) --no-print-directory build/release/build.ninja
	@ninja -C build/release -j $(JOBS) baozi
	@python3 tools/demo/demo.py --baozi build/release/bin/baozi --config $(MODELS)/demo.yaml

.PHONY: serve
serve: ## the server on the demo's models, until Ctrl-C
	@setup/setup.sh build models
	@$(PREPARE) --only demo
	@install -m 644 tools/demo/demo.yaml $(MODELS)/demo.yaml
	@$(MAKE) --no-print-directory build/release/build.ninja
	@ninja -C build/release -j $(JOBS) baozi
	@exec build/release/bin/baozi serve $(MODELS)/demo.yaml

.PHONY: fleet
fleet: ## three replicas, HAProxy, nginx, Redis and Prometheus, until Ctrl-C
	@setup/setup.sh build models fleet
	@$(PREPARE) --only demo
	@$(MAKE) --no-print-directory build/release/build.ninja
	@ninja -C build/release -j $(JOBS) baozi
	@exec python3 tools/fleet/start.py --baozi build/release/bin/baozi --models $(MODELS) $(FLEET)

.PHONY: test-fleet
test-fleet: ## a fleet under load while replicas come and go; writes docs/benchmarks-fleet.md
	@setup/setup.sh build models fleet
	@$(PREPARE) --only demo
	@$(MAKE) --no-print-directory build/release/build.ninja
	@ninja -C build/release -j $(JOBS) baozi
	@python3 tools/bench/fleet.py --build build/release --cache $(CACHE) $(TEST_FLEET)

.PHONY: simulate
simulate: ## thousands of replicas under a virtual clock; writes docs/simulation.md
	@setup/setup.sh build
	@$(MAKE) --no-print-directory build/release/build.ninja
	@ninja -C build/release -j $(JOBS) fleet_simulation
	@python3 tools/simulate/report.py --program build/release/bin/fleet_simulation

.PHONY: bench
bench: ## the benchmarks and their peers; writes docs/benchmarks.md
	@setup/setup.sh build models test bench
	@$(PREPARE) --only bench
	@cmake --preset bench >/dev/null
	@ninja -C build/release -j $(JOBS)
	@python3 tools/bench/run.py --build build/release --cache $(CACHE)

.PHONY: bench-llm
bench-llm: ## language models beside llama-server; writes docs/benchmarks-llm.md
	@setup/setup.sh build bench-llm
	@$(CACHE)/bench-llm-venv/bin/python $(wordlist 2,99,$(PREPARE)) --only bench-llm
	@$(MAKE) --no-print-directory build/release/build.ninja
	@ninja -C build/release -j $(JOBS) baozi
	@python3 tools/bench/llm.py --build build/release --cache $(CACHE) $(BENCH_LLM)

.PHONY: bench-coldstart
bench-coldstart: ## starts, warm-up, loading, the cache; writes docs/benchmarks-coldstart.md
	@setup/setup.sh build models test bench
	@$(PREPARE) --only bench
	@cmake --preset bench >/dev/null
	@ninja -C build/release -j $(JOBS)
	@python3 tools/bench/coldstart.py --build build/release --cache $(CACHE) $(BENCH_COLDSTART)

.PHONY: asan
asan: ## every test under the address and undefined-behaviour sanitizers
	@$(MAKE) --no-print-directory test PRESET=asan

.PHONY: tsan
tsan: ## every test under the thread sanitizer
	@$(MAKE) --no-print-directory test PRESET=tsan

.PHONY: fuzz
fuzz: ## every fuzz entry for SECONDS_EACH=60, starting from its corpus
	@setup/setup.sh build fuzz
	@$(MAKE) --no-print-directory build/fuzz/build.ninja
	@ninja -C build/fuzz -j $(JOBS)
	@tools/fuzz/run.sh build/fuzz/bin $(or $(SECONDS_EACH),60)

.PHONY: format
format: ## lays the C++ sources out (.clang-format)
	@setup/setup.sh format
	@find baozi apps examples tests tools \( -name '*.h' -o -name '*.cc' \) -print0 2>/dev/null | \
	  xargs -0 -r clang-format-19 -i

.PHONY: clean
clean: ## removes the build folders; downloads stay in .cache
	@rm -rf build

# Configured once, and again when the presets change; ninja notices changed CMake files by itself.
build/%/build.ninja: CMakePresets.json
	@cmake --preset $* --log-level=WARNING
	@touch $@
