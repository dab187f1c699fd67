# SPDX-License-Identifier: Apache-2.0
# A thin front door: Meson and Ninja do the work. `make` lists what there is.

BUILD ?= build
BUILD_ASAN ?= build-asan
BUILD_FUZZ ?= build-fuzz
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
PYTEST ?= /usr/bin/python3 -m pytest -q
# Black-box tests mostly wait; so many files of them run at a time.
PYTEST_JOBS ?= 4
FUZZ_SECONDS ?= 20
N ?= 100000
ROUNDS ?= 10
SIM_FOR ?= 60s
SCENARIO ?= all
SEED ?=
FAULTS ?=
BENCH ?=
KEEP ?=

# What black-box tests, the demo and the benches run.
export MUSTER ?= $(if $(filter /%,$(BUILD)),$(BUILD),$(CURDIR)/$(BUILD))/muster

# A folder that is new gets noticed by the time of its meson.build.
BUILD_FILES = meson.build meson_options.txt $(wildcard src/*/meson.build tests/*/meson.build fuzz/meson.build bench/meson.build)
# Two makes at a time in one tree build one after the other.
LOCK = exec 9<.; flock 9

# The folders of black-box tests that exist and hold tests.
BLACK_BOX = $(patsubst %/,%,$(sort $(dir $(wildcard tests/unit/tools/test_*.py tests/contract/test_*.py \
	tests/story/test_*.py tests/issues/test_*.py tests/checker/test_*.py))))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help deps build test unit asan tidy stories sim blackbox oracle demo bench fuzz reference install clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' Makefile

deps: ## install the Debian packages that are missing (root, or through sudo)
	@tools/deps

build: $(BUILD)/build.ninja ## build build/muster
	@$(LOCK); said=$$(ninja -C $(BUILD) -j $(JOBS) --quiet) || { echo "$$said"; exit 1; }

$(BUILD)/build.ninja: $(BUILD_FILES) | deps
	@echo "building $(BUILD)"
	@$(LOCK); if [ -e $@ ]; then meson setup --reconfigure $(BUILD); \
	else meson setup $(BUILD) --buildtype=debugoptimized --prefix=$(PREFIX); fi >/dev/null
	@touch $@

$(BUILD_ASAN)/build.ninja: $(BUILD_FILES) | deps
	@echo "building $(BUILD_ASAN)"
	@$(LOCK); if [ -e $@ ]; then meson setup --reconfigure $(BUILD_ASAN); \
	else meson setup $(BUILD_ASAN) --buildtype=debugoptimized -Doptimization=1 \
	-Db_sanitize=address,undefined -Db_lundef=false; fi >/dev/null
	@touch $@

$(BUILD_FUZZ)/build.ninja: $(BUILD_FILES) | deps
	@tools/deps fuzz
	@echo "building $(BUILD_FUZZ)"
	@$(LOCK); if [ -e $@ ]; then meson setup --reconfigure $(BUILD_FUZZ); \
	else CC=clang meson setup $(BUILD_FUZZ) --buildtype=debugoptimized -Doptimization=1 \
	-Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false; fi >/dev/null
	@touch $@

test: deps build unit asan tidy stories ## everything: build, unit tests, sanitizers, house rules, black-box tests, fresh seeds, one round of the checker
	@$(MAKE) --no-print-directory sim SIM_FOR=60s SEED= SCENARIO=all
	@tests/checker/run.py --rounds 1 --seconds 6

unit: build ## the tests in C
	@meson test -C $(BUILD) --no-rebuild --quiet --print-errorlogs

asan: $(BUILD_ASAN)/build.ninja ## the tests in C under the address and undefined behaviour sanitizers
	@$(LOCK); said=$$(ninja -C $(BUILD_ASAN) -j $(JOBS) --quiet) || { echo "$$said"; exit 1; }
	@ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 \
	meson test -C $(BUILD_ASAN) --no-rebuild --quiet --print-errorlogs --timeout-multiplier 4

tidy: ## the house rules
	@tools/tidy

stories: build ## the tests of the program as a whole
	@$(PYTEST) -n $(PYTEST_JOBS) --dist loadfile $(BLACK_BOX)

sim: build ## fresh seeds of the simulator for SIM_FOR, on all cores (SEED=n plays one, SCENARIO=net keeps to one)
	@$(MUSTER) sim --scenario $(SCENARIO) $(if $(SEED),--seed $(SEED),--for $(SIM_FOR) --faults --jobs $(JOBS))

blackbox: build ## ROUNDS of real processes under faults, judged from outside (SEED=n repeats, FAULTS=cut,outage picks)
	@tests/checker/run.py --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED)) $(if $(FAULTS),--faults $(FAULTS))

oracle: build ## cron against croniter and cron-parser over N instants in all zones (needs a package registry)
	@/usr/bin/python3 tests/contract/cron_oracle.py $(N)

demo: deps build ## a fleet on this machine does real work (KEEP=1 leaves it running)
	@KEEP=$(KEEP) tools/demo

bench: deps build ## measure, as JSON lines (BENCH="spawn lifecycle" picks)
	@bench/run $(BENCH)

fuzz: $(BUILD_FUZZ)/build.ninja ## run every fuzz target for FUZZ_SECONDS
	@$(LOCK); ninja -C $(BUILD_FUZZ) -j $(JOBS) --quiet
	@for target in $(BUILD_FUZZ)/fuzz/fuzz_*; do \
		[ -f "$$target" ] && [ -x "$$target" ] || continue; \
		name=$$(basename "$$target"); corpus=$(BUILD_FUZZ)/corpus/$$name; mkdir -p "$$corpus"; \
		seeds=fuzz/corpus/$$name; [ -d "$$seeds" ] || seeds=; \
		"$$target" -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 "$$corpus" $$seeds || exit 1; \
	done

reference: build ## write docs/reference anew from the tables of spec/
	@for page in commands job settings errors states; do $(MUSTER) dump-reference $$page > docs/reference/$$page.md; done

install: build ## install below PREFIX (DESTDIR is honoured)
	@meson install -C $(BUILD) --no-rebuild

clean: ## remove what was built
	@rm -rf $(BUILD) $(BUILD_ASAN) $(BUILD_FUZZ)
