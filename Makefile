# mod_buildlog: `make help` lists what can be made.
# Variables: PORT, MPM, TESTS, TIME, SEED, DESTDIR, PREFIX, V, CC, CFLAGS, APXS.

APXS   ?= apxs
PORT   ?= 8080
MPM    ?= event
TESTS  ?=
TIME   ?= 60
MODULE ?= .libs/mod_buildlog.so
# Objects; another directory for another kind of build (make asan).
BUILD  ?= build
SANITIZE ?=

WARN = -std=gnu99 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes \
       -Wmissing-prototypes -Wformat=2 -Wvla -Wpointer-arith \
       -Wimplicit-fallthrough -Wundef -Wno-unused-parameter
# What this machine's httpd and APR want. Asked once, and only when something
# is compiled: `make deps` may have to bring apxs first.
HTTPD_FLAGS = $(eval HTTPD_FLAGS := $(shell for v in CFLAGS CPPFLAGS \
    EXTRA_CPPFLAGS EXTRA_INCLUDES; do $(APXS) -q $$v; done))$(HTTPD_FLAGS)
APR_LIBS = $(eval APR_LIBS := $(shell for v in APR_CONFIG APU_CONFIG; do \
    $$($(APXS) -q $$v) --link-ld --libs; done))$(APR_LIBS)
COMPILE = $(CC) $(HTTPD_FLAGS) $(WARN) -fvisibility=hidden -fPIC \
          -D_GNU_SOURCE -Isrc $(SANITIZE) $(CFLAGS)
LIBS    = -ljansson -lcrypto -lcurl

SRC  := mod_buildlog.c $(sort $(wildcard src/bl_*.c))
OBJ  := $(SRC:%.c=$(BUILD)/%.o)
# What needs no httpd: unit tests link against all of it, fuzz targets against
# values and stores.
CORE := $(shell t/lint/layers --files 0 1)
ACTORS := $(shell t/lint/layers --files 2)
UNIT := $(patsubst t/unit/%.c,$(BUILD)/unit/%,$(wildcard t/unit/*_test.c))
FAULT := $(patsubst t/fault/%.c,$(BUILD)/fault/%,$(wildcard t/fault/*_fault.c))
FUZZ := $(patsubst t/fuzz/%.c,%,$(wildcard t/fuzz/fuzz_*.c))
# `make V=1` shows each command.
Q = $(if $(V),,@)
PARALLEL = --no-print-directory -j$$(nproc)

COMMAND ?= $(BUILD)/buildlog
COMMAND_SRC := $(sort $(wildcard src/command/*.c))

all: $(MODULE) $(COMMAND) ## the module, .libs/mod_buildlog.so, and the command (this is the default)

$(MODULE): $(OBJ)
	@mkdir -p $(@D)
	@echo "  link $@"
	$(Q)$(CC) -shared $(SANITIZE) -Wl,--as-needed,-z,relro,-z,now -o $@ $^ $(LIBS)

# For a shell on any machine: no httpd and no APR in it.
$(COMMAND): $(COMMAND_SRC) $(wildcard src/command/*.h) Makefile
	@mkdir -p $(@D)
	@echo "  cc $@"
	$(Q)$(CC) $(WARN) -g -O2 -D_GNU_SOURCE $(SANITIZE) $(CFLAGS) -o $@ \
	    $(COMMAND_SRC) -lcurl -ljansson

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  cc $<"
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

$(BUILD)/core.a: $(CORE:%.c=$(BUILD)/%.o) $(ACTORS:%.c=$(BUILD)/%.o)
	@rm -f $@
	@ar rcs $@ $^

# Its parts that need no server.
$(BUILD)/unit/command_test: t/unit/command_test.c src/command/events.c \
    src/command/screen.c $(wildcard src/command/*.h) Makefile
	@mkdir -p $(@D)
	@echo "  cc $<"
	$(Q)$(CC) $(WARN) -g -D_GNU_SOURCE -It/unit -Isrc/command $(SANITIZE) \
	    $(CFLAGS) -o $@ $(filter %.c,$^)

$(BUILD)/unit/%: t/unit/%.c $(BUILD)/core.a Makefile
	@mkdir -p $(@D)
	@echo "  cc $<"
	$(Q)$(COMPILE) -It/unit -MMD -MP -o $@ $< $(BUILD)/core.a $(LIBS) $(APR_LIBS)

# Tests in which calls of the system fail: libfault.so is before libc.
$(BUILD)/fault/libfault.so: t/lib/fault.c t/lib/fault.h Makefile
	@mkdir -p $(@D)
	@echo "  cc $<"
	$(Q)$(COMPILE) -shared -o $@ $<

$(BUILD)/fault/%: t/fault/%.c $(BUILD)/core.a $(BUILD)/fault/libfault.so Makefile
	@echo "  cc $<"
	$(Q)$(COMPILE) -It/lib -It/unit -MMD -MP -o $@ $< $(BUILD)/core.a \
	    -Wl,--no-as-needed,-rpath,$(abspath $(@D)) $(@D)/libfault.so \
	    -Wl,--as-needed $(LIBS) $(APR_LIBS)

# A fuzz target without a fuzzer: feeds it the files of its corpus.
$(BUILD)/replay/%: t/fuzz/%.c t/fuzz/standalone.c $(BUILD)/core.a Makefile
	@mkdir -p $(@D)
	@echo "  cc $<"
	$(Q)$(COMPILE) -MMD -MP -o $@ $< t/fuzz/standalone.c $(BUILD)/core.a \
	    $(LIBS) $(APR_LIBS)

$(BUILD)/fuzz/%: t/fuzz/%.c $(CORE) Makefile
	@mkdir -p $(@D)
	@echo "  clang $<"
	$(Q)clang -g -O1 $$($(APXS) -q EXTRA_CPPFLAGS) $$($(APXS) -q EXTRA_INCLUDES) \
	    -D_GNU_SOURCE -Isrc -fsanitize=fuzzer,address,undefined \
	    -fno-sanitize-recover=undefined -o $@ $< $(CORE) $(LIBS) $(APR_LIBS)

-include $(OBJ:.o=.d) $(UNIT:=.d) $(FAULT:=.d) $(wildcard $(BUILD)/replay/*.d)

deps: ## install what building and running need and is missing (Debian)
	@t/deps.sh run

deps-test: ## the same, and what the tests need in addition
	@t/deps.sh run test

run: deps ## serve the page and a demo project on http://127.0.0.1:8080/ (PORT=)
	@$(MAKE) $(PARALLEL) all
	@PORT=$(PORT) MODULE=$(MODULE) APXS=$(APXS) exec t/demo.sh

test: deps-test ## all tests: lint, unit, the suite under each MPM
	@t/test.sh

lint: $(MODULE) ## compilers, format, cppcheck and our own checks
	@APXS=$(APXS) WARN='$(WARN)' t/lint/all $(MODULE)

analyze: ## gcc -fanalyzer and clang-tidy, some minutes
	@t/deps.sh run analyze
	@APXS=$(APXS) t/lint/analyze

unit: $(UNIT) $(FAULT) $(FUZZ:%=$(BUILD)/replay/%) ## unit tests, faults, fuzz replays
	@t/unit.sh $(UNIT) $(FAULT) $(FUZZ:%=$(BUILD)/replay/%)

suite: $(MODULE) $(COMMAND) ## tests against a server: MPM=event|worker|prefork TESTS='t/00-load.t'
	@MODULE=$(MODULE) COMMAND=$(COMMAND) APXS=$(APXS) SANITIZE='$(SANITIZE)' t/suite.sh $(MPM) $(TESTS)

root: $(MODULE) $(COMMAND) ## tests of a server that root starts; only root can run them
	@MODULE=$(MODULE) COMMAND=$(COMMAND) APXS=$(APXS) prove t/root

ASAN = BUILD=build/asan MODULE=build/asan/mod_buildlog.so \
       SANITIZE='-fsanitize=address,undefined -fno-omit-frame-pointer \
       -fno-sanitize-recover=undefined -U_FORTIFY_SOURCE'
asan: deps-test ## unit tests and suite with AddressSanitizer and UBSan
	@$(MAKE) $(PARALLEL) $(ASAN) all unit
	@$(MAKE) --no-print-directory $(ASAN) suite

# gcc says that its ThreadSanitizer does not know fences: what they order here
# is read and written by atomics alone.
TSAN = BUILD=build/tsan SANITIZE='-fsanitize=thread -fno-omit-frame-pointer \
       $(if $(findstring clang,$(CC)),,-Wno-tsan)'
$(BUILD)/tsan/%: t/tsan/%.c $(BUILD)/core.a Makefile
	@mkdir -p $(@D)
	@echo "  cc $<"
	$(Q)$(COMPILE) -It/unit -MMD -MP -o $@ $< $(BUILD)/core.a $(LIBS) $(APR_LIBS)

tsan: TIME = 30
tsan: ## pumps, table, wake-ups with many threads under ThreadSanitizer: TIME=30
	@$(MAKE) $(PARALLEL) $(TSAN) build/tsan/tsan/pump_tsan
	@TSAN_OPTIONS=halt_on_error=0:second_deadlock_stack=1:history_size=4 \
	    build/tsan/tsan/pump_tsan $(TIME)

soak: TIME = 20m
soak: $(MODULE) $(COMMAND) ## builds, viewers, faults of all kinds for TIME=20m (or seconds): SEED=
	@t/deps.sh run test
	@MODULE=$(MODULE) COMMAND=$(COMMAND) APXS=$(APXS) SANITIZE='$(SANITIZE)' \
	    DISK=48m SOAK=$(TIME) SEED=$(SEED) t/suite.sh event -v t/soak/soak.t

# Tests in which the runner, its keepers and the historian do all that they can.
# Not 52-lost.t: valgrind (3.19) does not know pidfd_send_signal, and what a
# killed runner and its keeper leave behind would stay. Not 57-faults.t: without
# descriptors valgrind itself cannot fork.
VALGRIND_TESTS = $(addprefix t/,20-build.t 23-mask.t 25-steps.t 44-queue.t \
    45-cancel.t 56-full.t)
valgrind: $(MODULE) $(COMMAND) ## tests of the runner under valgrind, some minutes: TESTS='t/45-cancel.t'
	@t/deps.sh run test valgrind
	@MODULE=$(MODULE) COMMAND=$(COMMAND) APXS=$(APXS) VALGRIND=1 \
	    t/suite.sh event $(or $(TESTS),$(VALGRIND_TESTS))

fuzz: ## fuzz each parser for TIME=60 seconds (clang's libFuzzer)
	@t/deps.sh run fuzz
	@$(MAKE) $(PARALLEL) $(FUZZ:%=$(BUILD)/fuzz/%)
	@t/fuzz.sh $(TIME) $(FUZZ:%=$(BUILD)/fuzz/%)

BENCH := $(patsubst t/bench/%.c,$(BUILD)/bench/%,$(wildcard t/bench/*.c))
$(BUILD)/bench/%: t/bench/%.c Makefile
	@mkdir -p $(@D)
	@echo "  cc $<"
	$(Q)$(CC) -O2 $(WARN) -D_GNU_SOURCE $(CFLAGS) -o $@ $< $(BENCH_LIBS)
$(BUILD)/bench/crowd: BENCH_LIBS = -lssl -lcrypto -lpthread

bench: $(MODULE) $(BENCH) ## measure, beside a bound: REPS=1 LOADS='fanout burst' PEERS='module floor'
	@MODULE=$(MODULE) APXS=$(APXS) REPS='$(REPS)' LOADS='$(LOADS)' \
	    PEERS='$(PEERS)' exec t/bench/bench.pl $(BUILD)/bench

bench-store: $(MODULE) ## measure lists of many builds, and a large log: BUILDS=10000 LOG=1024
	@MODULE=$(MODULE) APXS=$(APXS) BUILDS='$(BUILDS)' LOG='$(LOG)' \
	    exec t/bench/store.pl

screenshots: deps-test $(MODULE) ## pictures of the page for README.md: t/pictures/*.png
	@MODULE=$(MODULE) APXS=$(APXS) t/screenshots.sh

bench-page: deps-test $(MODULE) ## measure the page in Chromium: ONLY='finished burst million'
	@MODULE=$(MODULE) APXS=$(APXS) ONLY='$(ONLY)' exec t/bench/page.sh

bench-proxy: deps-test $(MODULE) $(COMMAND) ## measure streams behind nginx, HAProxy and httpd: LINES=300
	@MODULE=$(MODULE) COMMAND=$(COMMAND) APXS=$(APXS) LINES='$(LINES)' exec t/bench/proxy.sh

PREFIX ?= /usr
PLACES = MODULE='$(MODULE)' COMMAND='$(COMMAND)' APXS='$(APXS)' \
         PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)'
install: $(MODULE) $(COMMAND) ## module, command, configuration and page to httpd's places (DESTDIR=)
	@$(PLACES) conf/install.sh install

uninstall: ## remove what make install has installed; logs stay (DESTDIR=)
	@$(PLACES) conf/install.sh uninstall

clean: ## remove what was built (not what make deps installed)
	rm -rf build .libs

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

.PHONY: all deps deps-test run test lint unit suite root asan tsan soak \
        valgrind fuzz bench bench-store bench-page bench-proxy screenshots \
        install uninstall clean help
.DELETE_ON_ERROR:
