# idgen: builds and installs the extension (PGXS), and runs everything there is
# to run. `make demo` and `make test` install what they need on Debian.

ROOT := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))

EXTENSION = idgen
MODULE_big = idgen
DATA = sql/idgen--0.1.0.sql sql/idgen--0.1.0--0.2.0.sql sql/idgen--0.2.0.sql

CORE_SRCS = src/core/layout.cpp src/core/text.cpp src/core/clock.cpp src/core/lease.cpp \
	src/core/choose.cpp src/core/keeper.cpp src/core/keeper_service.cpp src/core/mask.cpp
REGISTRY_SRCS = src/registry/own_record.cpp src/registry/local_registry.cpp \
	src/registry/fleet_registry.cpp src/registry/fleet_root.cpp src/registry/fleet_choice.cpp
PG_SRCS = src/pg/module.cpp src/pg/settings.cpp src/pg/shmem.cpp src/pg/internal_table.cpp src/pg/layouts.cpp \
	src/pg/issue.cpp src/pg/type.cpp src/pg/codec.cpp src/pg/time_predicates.cpp src/pg/views.cpp src/pg/worker.cpp \
	src/pg/clocks.cpp src/pg/mailbox.cpp src/pg/operations.cpp src/pg/registry_link.cpp \
	src/pg/worker_report.cpp src/pg/secrecy.cpp src/pg/mask.cpp src/pg/nextval.cpp \
	src/pg/scopes.cpp src/pg/statistics.cpp src/pg/observe.cpp src/pg/foreign_text.cpp src/pg/coordinator.cpp
OBJS = $(CORE_SRCS:.cpp=.o) $(REGISTRY_SRCS:.cpp=.o) $(PG_SRCS:.cpp=.o)
# A library of its own, which only the worker loads, and only for a fleet: libpq
# and libcurl stay out of the postmaster and the backends.
NETWORK_SRCS = $(sort $(wildcard $(ROOT)src/network/*.cpp))
NETWORK_OBJS = $(patsubst $(ROOT)%.cpp,%.o,$(NETWORK_SRCS)) src/registry/own_record.o
SRCS = $(CORE_SRCS) $(REGISTRY_SRCS) $(PG_SRCS) $(patsubst $(ROOT)%,%,$(NETWORK_SRCS))

# PostgreSQL 15 is the development baseline; PG_CONFIG=... chooses another.
PG_CONFIG ?= $(firstword $(wildcard /usr/lib/postgresql/15/bin/pg_config) pg_config)
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))

# The server's headers are not ours to warn about: -isystem.
PG_INCLUDE := $(if $(PGXS),$(shell $(PG_CONFIG) --includedir-server))
PG_CPPFLAGS = -Iinclude -Isrc -isystem $(PG_INCLUDE) \
	-isystem $(if $(PGXS),$(shell $(PG_CONFIG) --includedir))
PG_CXXFLAGS = -std=c++20 -O2 -fvisibility=hidden -Wall -Wextra -Wpedantic -Wshadow \
	-Wno-register -Wno-missing-field-initializers -Wno-gnu-statement-expression -MMD -MP
# Our own tests' builds: a warning is an error. Not for everybody: other compilers have
# other warnings.
ifdef IDGEN_WERROR
PG_CXXFLAGS += -Werror
FATAL_WARNINGS = -Wl,--fatal-warnings
endif
# Test builds: points at which tests may stop a caller (src/pg/injection.h).
ifdef IDGEN_INJECTION
PG_CPPFLAGS += -DIDGEN_INJECTION
endif
SHLIB_LINK += $(FATAL_WARNINGS) -lstdc++ -lz -lcrypto
# JIT has nothing to inline here, and PGXS can't pass our flags to it.
override with_llvm = no
EXTRA_CLEAN = $(SRCS:.cpp=.d) $(NETWORK_OBJS) idgen_network.so build

ifneq ($(PGXS),)
include $(PGXS)

# Builds with injection points are for tests of single instances.
ifndef IDGEN_INJECTION
all: idgen_network$(DLSUFFIX)
install: install-network
endif
idgen_network$(DLSUFFIX): $(NETWORK_OBJS)
	$(CXX) $(CXXFLAGS) $(LDFLAGS_SL) -shared $(FATAL_WARNINGS) -o $@ $^ $(LDFLAGS) -lpq -lcurl -lz -lstdc++

.PHONY: install-network
install-network: idgen_network$(DLSUFFIX) installdirs
	$(INSTALL_SHLIB) $< '$(DESTDIR)$(pkglibdir)/'
uninstall: uninstall-network
.PHONY: uninstall-network
uninstall-network:
	rm -f '$(DESTDIR)$(pkglibdir)/idgen_network$(DLSUFFIX)'
# Named as targets, or make would take a new source file's object for an intermediate one.
$(OBJS) $(NETWORK_OBJS): $(ROOT)Makefile
-include $(wildcard $(SRCS:.cpp=.d))
else
all install clean:
	@echo 'PostgreSQL server headers are missing; "make demo" and "make test" install them,'
	@echo 'or set PG_CONFIG to the pg_config of your server.' >&2; exit 1
endif

.PHONY: demo demo-stop test flaky lint sanitizers bench sim model fuzz soak matrix
demo:
	@$(ROOT)scripts/demo
demo-stop:
	@$(ROOT)scripts/demo stop
test:
	@$(ROOT)scripts/test
# Each test file RUNS times (30) beside a LOAD of busy processes (4).
flaky:
	@$(ROOT)scripts/flaky
bench:
	@$(ROOT)scripts/bench
# The simulation, SEEDS of it; the long forms of the tests.
SEEDS ?= 100000
sim:
	@$(ROOT)scripts/sim $(SEEDS)
# The registry's protocol, every history of it.
model:
	@$(ROOT)scripts/model
# Each parser, FUZZ_SECONDS of random texts (10).
fuzz:
	@$(ROOT)scripts/fuzz
soak:
	@$(ROOT)scripts/soak
# The tests on 15, 17 and 18; as root.
matrix:
	@$(ROOT)scripts/matrix
lint:
	@$(ROOT)scripts/lint
sanitizers:
	@$(ROOT)scripts/sanitizers

# For scripts/lint, which compares it with what is there.
.PHONY: print-sources
print-sources:
	@echo $(SRCS)
