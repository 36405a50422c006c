# `make help` lists what there is. Everything works in a fresh clone and is quick the second time.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Outside the clone: a new clone is not a cold build.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rollcall
export CARGO_TARGET_DIR ?= $(CACHE)/target
export ROLLCALL_TOOLS ?= $(CACHE)/tools
export PATH := $(ROLLCALL_TOOLS)/bin:$(HOME)/.cargo/bin:$(PATH)
# Queries are checked against .sqlx, so that building needs no database.
export SQLX_OFFLINE ?= true
# Apps and judges from PyPI and npm, for the tests of interoperability.
export ROLLCALL_INTEROP_VENV ?= $(CACHE)/interop-venv
INTEROP := $(ROLLCALL_INTEROP_VENV)/node/.stamp

ROLLCALL := $(CARGO_TARGET_DIR)/debug/rollcall
SITE := $(CARGO_TARGET_DIR)/site
WASM := $(CARGO_TARGET_DIR)/wasm32-unknown-unknown/wasm-dev/browser.wasm
RELEASE := $(CARGO_TARGET_DIR)/release/rollcall
RELEASE_SITE := $(CARGO_TARGET_DIR)/release/site
RELEASE_WASM := $(CARGO_TARGET_DIR)/wasm32-unknown-unknown/wasm-release/browser.wasm
SITE_SOURCES := .ci/site $(shell find style public -type f 2>/dev/null)
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)

# What a release says it was built from.
ROLLCALL_BUILD ?= $(shell git describe --always --dirty --abbrev=12 2>/dev/null)

step = @printf '\033[1m[%s]\033[0m %s\n' '$(1)' '$(2)'

.PHONY: help run dev test unit interop end2end screenshots soak bench lint fmt db sqlx release build tools wasm server site-release

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build and start the demo on http://127.0.0.1:3000, with an emulated directory and app
	$(call step,1/4,Tools that are missing)
	@.ci/tools cc postgres wasm-target wasm-bindgen
	$(call step,2/4,Server)
	@$(MAKE) server
	$(call step,3/4,Browser)
	@$(MAKE) $(SITE)/pkg
	$(call step,4/4,Start)
	@exec $(ROLLCALL) demo

build: ## Build server and browser files for development
	@.ci/tools cc wasm-target wasm-bindgen
	@$(MAKE) server
	@$(MAKE) $(SITE)/pkg

server:
	@cargo build -p server

wasm:
	@cargo build -p browser --target wasm32-unknown-unknown --profile wasm-dev

# Cargo knows when the WebAssembly is out of date, make knows the rest.
$(WASM): wasm ;
$(SITE)/pkg: $(WASM) $(SITE_SOURCES)
	@.ci/site $(WASM) $(SITE)
	@touch $@

dev: ## Rebuild and reload while you edit (needs cargo-leptos)
	@command -v cargo-leptos >/dev/null || { echo 'error: cargo-leptos is missing; type: cargo install cargo-leptos --locked --no-default-features --features no_downloads' >&2; exit 1; }
	@.ci/tools cc postgres wasm-target wasm-bindgen
	@LEPTOS_SITE_ROOT=$(SITE) cargo leptos watch -- demo

release: ## Build the optimised server and browser files
	@.ci/tools cc wasm-target wasm-bindgen
	$(call step,1/3,Server)
	@ROLLCALL_BUILD=$(ROLLCALL_BUILD) cargo build -p server --release
	$(call step,2/3,Browser)
	@cargo build -p browser --target wasm32-unknown-unknown --profile wasm-release
	$(call step,3/3,Files)
	@.ci/site $(RELEASE_WASM) $(RELEASE_SITE) release
	@printf '      %s\n      %s\n' $(RELEASE) $(RELEASE_SITE)

test: ## Everything that gates: rules, store, connectors, web server, browser
	$(call step,1/5,Tools that are missing)
	@env -u DATABASE_URL .ci/tools cc postgres chromium python faketime wasm-target wasm-bindgen
	@$(MAKE) $(INTEROP)
	$(call step,2/5,Build the server and the tests)
	@$(if $(NEXTEST),cargo nextest run --workspace --no-run,cargo test --workspace --no-run)
	$(call step,3/5,Build the browser files)
	@$(MAKE) $(SITE)/pkg
	$(call step,4/5,Tests in Rust)
	@$(MAKE) unit
	$(call step,5/5,Tests in a browser)
	@$(MAKE) end2end

# Only one that is complete gets a stamp; it is made anew when a version changes.
$(ROLLCALL_INTEROP_VENV)/.stamp: server/tests/interoperability/requirements.txt
	@.ci/tools cc python faketime
	@printf '      installing apps and judges from PyPI into %s ...\n' $(@D)
	@rm -rf $(@D) && python3 -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(INTEROP): server/tests/interoperability/scimmy/package-lock.json $(ROLLCALL_INTEROP_VENV)/.stamp
	@printf '      installing an app from npm into %s ...\n' $(@D)
	@rm -rf $(@D) && mkdir -p $(@D) && cp $(<D)/package.json $< $(@D)
	@cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

interop: $(INTEROP) ## Only the tests against apps from PyPI and npm
	@.ci/tools cc postgres
	@cargo build -p server && cargo test -p server --test interoperability --no-run
	@$(ROLLCALL) database --throw-away -- cargo test -p server --test interoperability

# Hundreds of databases are made and dropped; in memory, where there is room, that takes a sixth less.
MEMORY = $(shell { [ -w /dev/shm ] && [ "$$(df --output=avail -BG /dev/shm | tr -dc 0-9)" -ge 4 ]; } 2>/dev/null && echo /dev/shm)

unit: $(INTEROP)
	@TMPDIR=$(or $(MEMORY),$${TMPDIR:-/tmp}) $(ROLLCALL) database --throw-away -- env TMPDIR=$${TMPDIR:-/tmp} $(if $(NEXTEST),cargo nextest run --workspace,cargo test --workspace)

end2end/node_modules/.stamp: end2end/package-lock.json
	@cd end2end && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund --loglevel=error
	@touch $@

end2end: end2end/node_modules/.stamp
	@cd end2end && ROLLCALL_BIN=$(ROLLCALL) npx playwright test $(ARGS)

screenshots: end2end/node_modules/.stamp build ## Take pictures of every page, light and dark, wide and narrow
	@cd end2end && SCREENSHOTS=$(CURDIR)/screenshots ROLLCALL_BIN=$(ROLLCALL) npx playwright test --project=screenshots

soak: $(INTEROP) ## The long proofs in full; ONLY=crash (or rules, answers, fuzz, processes, life, lighthouse) does one
	@env -u DATABASE_URL .ci/tools cc postgres python faketime
	@cargo build -p server
	@.ci/soak $(ONLY)

bench: ## What Rollcall costs, as ratios of one run, into bench.md; ARGS=quiet does one part
	@.ci/tools cc postgres
	$(call step,1/3,Build)
	@cargo bench -p provisioning --bench planning --no-run
	@cargo bench -p server --bench whole --no-run
	$(call step,2/3,The rules alone)
	@cargo bench -p provisioning --bench planning
	$(call step,3/3,The whole program)
	@cargo bench -p server --bench whole -- file=$(CURDIR)/bench.md $(ARGS)

lint: ## Formatting, clippy, licences and advisories; DENY=--offline takes the advisories that are there
	$(call step,1/4,Formatting)
	@cargo fmt --all --check
	$(call step,2/4,Clippy: server)
	@cargo clippy --workspace --all-targets -- -D warnings
	$(call step,3/4,Clippy: browser)
	@cargo clippy -p browser -p app --features app/hydrate --lib --target wasm32-unknown-unknown --profile wasm-dev -- -D warnings
	$(call step,4/4,Dependencies)
	@command -v cargo-deny >/dev/null || { echo 'error: cargo-deny is missing, so licences and advisories were not checked; type: cargo install cargo-deny --locked' >&2; exit 1; }
	@cargo deny --log-level error $(DENY) check

fmt: ## Format the code
	@cargo fmt --all

db: server ## Start a database for development and print its DATABASE_URL
	@ROLLCALL_DATA_DIR=$(CACHE)/dev $(ROLLCALL) migrate
	@ROLLCALL_DATA_DIR=$(CACHE)/dev $(ROLLCALL) database

sqlx: ## Check every query against the migrations and write .sqlx anew
	@[ -x $(ROLLCALL) ] || $(MAKE) server
	@$(ROLLCALL) database --throw-away -- .ci/sqlx
