# `make help` lists the targets. The version is in oauth_tokens.control and nowhere
# else. Its variable is not called VERSION, because PGXS sets that to PostgreSQL's.

EXTENSION    = oauth_tokens
EXTVERSION  := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" $(EXTENSION).control)
PG_CONFIG   ?= pg_config
# Warnings are errors in our own checks alone (.ci/run): the next compiler has new ones.
WERROR      ?=
# DEBUG=yes is for a debugger, after `make clean`.
DEBUG       ?=
# SANITIZE=yes is for scripts/check-sanitize-regress. There g++ warns of code that is right.
SANITIZE    ?=
BUILD       := build

SQL_PARTS   := $(sort $(wildcard extension/sql/*.sql))
SQL_SCRIPT  := $(BUILD)/sql/$(EXTENSION)--$(EXTVERSION).sql
RELEASES    := extension/releases
SOURCES     := $(sort $(wildcard common/*.cpp extension/*.cpp extension/*/*.cpp))

MODULE_big   = $(EXTENSION)
OBJS         = $(SOURCES:.cpp=.o)
DATA         = $(filter-out $(RELEASES)/$(notdir $(SQL_SCRIPT)),$(sort $(wildcard $(RELEASES)/*.sql)))
DATA_built   = $(SQL_SCRIPT)
REGRESS      = $(basename $(notdir $(sort $(wildcard sql/*.sql))))
EXTRA_CLEAN  = $(OBJS:.o=.d) $(wildcard tests/sanitize/*.[od]) $(filter-out $(BUILD)/state,$(wildcard $(BUILD)/*))

PG_CPPFLAGS  = -I. -Iextension -MMD -MP -DOAUTH_TOKENS_VERSION='"$(EXTVERSION)"'
PG_CXXFLAGS  = -std=c++20 $(if $(filter yes,$(DEBUG)),-Og -g3,-O2) -Wall -Wextra $(WERROR) -Wno-register -Wno-unused-parameter \
               -fvisibility=hidden $(sanitizers)
SHLIB_LINK   = -lcrypto -lstdc++ $(sanitizers)
ifeq ($(SANITIZE),yes)
sanitizers   = -O1 -g1 -fsanitize=address,undefined -fsanitize-undefined-trap-on-error -fno-omit-frame-pointer -Wno-error
endif

# Bitcode would let JIT inline these functions, which spend their time in OpenSSL.
override with_llvm = no

# Arguments of the check-… targets, such as T=one_test.
T           ?=

export PG_CONFIG DEBUG SANITIZE
.DEFAULT_GOAL := all

# SIDECAR=no leaves the daemon out, on a database server that needs none.
SIDECAR     ?= yes
# Where the daemon is installed. PostgreSQL 18 takes a prefix for itself, so none is set.
sidecar_prefix := $(or $(prefix),/usr/local)

.PHONY: help sidecar install-sidecar uninstall-sidecar compile-commands deps quickstart psql stop check test-fast deb check-deb check-static check-unit check-sanitize check-tsan check-fuzz \
        check-model check-regress check-sanitize-regress check-e2e check-sanitize-e2e check-tsan-e2e check-valgrind check-sqlsmith bench \
        bench-core bench-storage bench-sidecar bench-cache bench-refresh bench-others bench-backlog bench-adopt bench-deps check-debian13 soak format stamp freeze dist stopped

all:            ## build the extension and the daemon (SIDECAR=no: the extension alone)
install:        ## install both: into the PostgreSQL that PG_CONFIG belongs to, and below prefix (/usr/local)
uninstall:      ## remove them from there (SIDECAR=no: the extension alone)
installcheck:   ## run the regression tests against a running server that has it
clean:          ## remove what a build made
distclean:      ## also remove private servers, with their tokens and keys

help:           ## list the targets
	@LC_ALL=C awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-22s %s\n", $$1, $$2 }' Makefile

sidecar:        ## build the daemon, build/oauth-sidecar
	@scripts/sidecar

install-sidecar: sidecar ## install the daemon alone, with its unit, man page and samples (prefix=/usr/local)
	@scripts/install-sidecar install '$(sidecar_prefix)'

uninstall-sidecar: ## remove it
	@scripts/install-sidecar remove '$(sidecar_prefix)'

compile-commands: ## write build/compile_commands.json, where clangd looks for it
	@scripts/deps build
	@scripts/compile-commands

deps:           ## install the missing Debian packages that building needs
	@scripts/deps build

quickstart:     ## build, start PostgreSQL, the daemon and a test provider, and connect an account
	@scripts/quickstart

psql:           ## open psql on the private PostgreSQL of quickstart
	@scripts/psql

stop:           ## stop what quickstart started
	@scripts/quickstart stop

check:          ## run every test
test-fast:      ## run static, unit and regression tests: a minute, without browser, node or spin
	@scripts/check static unit regress

check-static:   ## check versions, layout and scripts
check-unit:     ## run the unit tests (T=regular expression)
check-sanitize: ## run the unit tests with the address and undefined behaviour sanitizers (T=…)
check-tsan:     ## run the unit tests of what threads share with the thread sanitizer (T=…)
check-fuzz:     ## run the fuzz targets (T=seconds each, 12 by default)
check-model:    ## check the models of cache and refresh, and that their weakened variants fail
check-regress:  ## run the regression tests on a private server (T=test names)
check-sanitize-regress: ## run the regression tests on a sanitizer build of the extension (T=…, or pytest arguments)
check-e2e:      ## run the end-to-end tests (T=pytest arguments)
check-sanitize-e2e: ## run the daemon's end-to-end tests on its sanitizer build (T=pytest arguments)
check-tsan-e2e: ## run the daemon's end-to-end tests on its thread sanitizer build: half an hour (T=…)
check-valgrind: ## run regression tests on a server under memcheck: minutes (T=test names)
check-sqlsmith: ## send random queries to the extension (T=seconds, 600 by default)
check-unit check-sanitize check-tsan:
	@scripts/$@ '$(T)'
check-static check-fuzz check-model check-regress check-sanitize-regress check-e2e check-sanitize-e2e check-tsan-e2e check-valgrind check-sqlsmith:
	@scripts/deps $(if $(filter check-model,$@),,build) $(@:check-%=%)
	@scripts/$@ $(T)

check-debian13: ## run quickstart and all tests on Debian 13, as root (T=sid: the regression tests on sid)
	@scripts/$@ $(T)

deb:            ## build Debian packages for this release and its PostgreSQL, in build/deb
	@scripts/$@

check-deb:      ## install, upgrade and remove them on clean Debian 12 and 13, as root (T=trixie: there alone)
	@scripts/$@ $(T)

bench:          ## measure against the baselines, on a private server (T=arguments of bench/run)
bench: bench-core bench-storage bench-sidecar bench-cache bench-refresh bench-others
	@scripts/bench $(T)

bench-core bench-storage bench-sidecar bench-cache bench-refresh bench-others: bench-deps
bench-deps:
	@scripts/deps build bench

bench-storage:  ## measure what a token takes on disk, by fillfactor and toast_tuple_target
	@BENCHMARK=storage scripts/bench

bench-adopt:    ## measure who waits while a table of 2,000,000 rows is adopted (minutes)
	@BENCHMARK=adopt scripts/bench $(T)

bench-sidecar:  ## measure the daemon against a bare server that answers a constant
	@scripts/bench-sidecar

bench-cache:    ## measure how soon changed entries are evicted, and what a miss costs
	@scripts/bench-cache

bench-refresh:  ## measure oauth_fresh_access_token, refreshes, and the search for tokens that are due
	@scripts/bench-refresh

bench-others:   ## measure what the library costs statements that do not concern it
	@scripts/bench-others

bench-backlog:  ## refresh 100,000 tokens that are due (minutes)
	@scripts/bench-backlog

bench-core:     ## measure the Fernet core against bare OpenSSL calls
	@scripts/bench-core

soak:           ## load private servers for minutes; check memory, and that no read is stale (T=seconds)
	@scripts/soak $(T)

format:         ## lay out the C++ sources as .clang-format says
	find . -path ./$(BUILD) -prune -o -name '*.[ch]pp' -exec clang-format -i {} +

stamp:          ## copy the version from the control file into META.json
	sed -i 's/^\( *"version": *\)"[^"]*"/\1"$(EXTVERSION)"/' META.json

freeze:         ## keep the install script of a release, which never changes from then on
	@scripts/freeze

dist:           ## make the PGXN archive of the last commit
	@scripts/check-version
	@mkdir -p $(BUILD)/dist
	git archive --format=zip --prefix=$(EXTENSION)-$(EXTVERSION)/ \
	    --output=$(BUILD)/dist/$(EXTENSION)-$(EXTVERSION).zip HEAD

distclean: stopped
stopped:
	@! scripts/server status quickstart || { echo 'make stop comes first' >&2; exit 1; }

# PGXS has a target `check` that only says no, so it stays out where ours is
# asked for; and where PostgreSQL is not installed yet, `make deps` must work.
# Its headers are the proof: Debian has pgxs.mk in the client's package.
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2> /dev/null))
SERVER_H := $(wildcard $(shell $(PG_CONFIG) --includedir-server 2> /dev/null)/postgres.h)
ifneq ($(and $(PGXS),$(SERVER_H),$(if $(filter check,$(MAKECMDGOALS)),,yes)),)
include $(PGXS)
ifneq ($(SIDECAR),no)
all: sidecar
install: install-sidecar
uninstall: uninstall-sidecar
endif
-include $(OBJS:.o=.d)
# These know the version.
$(patsubst %.cpp,%.o,$(shell grep -lE 'OAUTH_TOKENS_VERSION|OAUTH_MODULE_MAGIC' $(SOURCES))): $(EXTENSION).control

# The directory is there for parts that come or go.
$(SQL_SCRIPT): $(SQL_PARTS) extension/sql $(EXTENSION).control
	@mkdir -p $(@D)
	cat $(SQL_PARTS) < /dev/null > $@

distclean:
	@scripts/server remove quickstart
	rm -rf "$$(scripts/state)" $(BUILD)
else
check:
	@scripts/check

all install uninstall installcheck clean distclean:
ifneq ($(and $(PGXS),$(SERVER_H)),)
	@$(MAKE) --no-print-directory $@
else
	@echo "no PostgreSQL server headers ($(PG_CONFIG) --includedir-server): make deps installs them" >&2; exit 1
endif
endif
