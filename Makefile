# SPDX-License-Identifier: MIT
# make demo      set up, build, and list models against the local emulator
# make test      set up, build for every Lua, run the whole suite
# make           build for one Lua: make LUA=lua5.1, make LUA=luajit, ...
# V=1 shows the commands, WERROR=1 makes warnings errors, SETUP=no installs
# nothing and names what is missing.

CC ?= cc
AR ?= ar
CLANG ?= clang
PKG_CONFIG ?= pkg-config
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
V ?= 0
WERROR ?= 0
SETUP ?= yes
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
LUAS ?= lua5.1 lua5.2 lua5.3 lua5.4 luajit
FUZZ_SECONDS ?= 30

# The first Lua that is found. LUA may be a path; LUA_ABI is its short name,
# asked from itself, and names its build folder.
ifeq ($(origin LUA),undefined)
LUA := $(notdir $(shell for lua in lua5.4 lua5.3 luajit lua5.1 lua5.2 lua; \
	do command -v $$lua && break; done))
endif
LUA_ABI := $(shell $(or $(LUA),false) -e 'io.write(jit and "luajit" \
	or _VERSION:lower():gsub(" ", ""))' 2>/dev/null)
LUA_VERSION := $(if $(filter luajit,$(LUA_ABI)),5.1,$(LUA_ABI:lua%=%))
LUA_PC := $(firstword $(foreach name,$(LUA_ABI) lua-$(LUA_VERSION) lua,\
	$(shell $(PKG_CONFIG) --exists $(name) 2>/dev/null && echo $(name))))
LUA_INCDIR ?=
LUA_CFLAGS ?= $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(if $(LUA_PC),$(shell \
	$(PKG_CONFIG) --cflags $(LUA_PC))))
LUA_LIBS ?= $(if $(LUA_PC),$(shell $(PKG_CONFIG) --libs $(LUA_PC)))
INST_LIBDIR ?= $(PREFIX)/lib/lua/$(LUA_VERSION)
INST_LUADIR ?= $(PREFIX)/share/lua/$(LUA_VERSION)
INST_EMBED = libfreddy-$(LUA_ABI).a

DEP_CFLAGS ?= $(shell $(PKG_CONFIG) --cflags libcurl jansson zlib 2>/dev/null)
DEP_LIBS ?= $(shell $(PKG_CONFIG) --libs libcurl jansson zlib 2>/dev/null \
	|| echo -lcurl -ljansson -lz)
ifeq ($(shell uname -s),Darwin)
LIBFLAG ?= -bundle -undefined dynamic_lookup
else
# The engine's thread outlives a closed Lua state: never unmap its code.
LIBFLAG ?= -shared -Wl,-z,nodelete -Wl,-z,relro -Wl,-z,now \
	-Wl,-Bsymbolic-functions
EXPORT ?= -Wl,-E
endif

# A flavour is the same tree built another way, in a folder of its own.
FLAVOUR ?=
BUILD ?= build$(FLAVOUR:%=/%)
FLAGS_asan := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
FLAGS_tsan := -fsanitize=thread -fno-omit-frame-pointer
FLAGS_torture := -DFY_TORTURE $(FLAGS_asan)
FLAGS_oldcurl := -DFY_FORCE_OLD_CURL -DFY_FORCE_POLL
FLAGS_fuzz := -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=undefined
FLAGS := $(FLAGS_$(FLAVOUR))

ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -Isrc -Wall -Wextra -Wshadow \
	-Wstrict-prototypes -Wmissing-prototypes -fvisibility=hidden -fPIC \
	-MMD -MP -pthread $(if $(filter 1,$(WERROR)),-Werror) $(DEP_CFLAGS) \
	$(CFLAGS) $(FLAGS)
ALL_LIBS = $(DEP_LIBS) -pthread -lm $(LDLIBS)
LINK = $(CC) $(CFLAGS) $(FLAGS) $(LDFLAGS)

VERSION := $(shell sed -n 's/^\#define FREDDY_VERSION "\(.*\)"/\1/p' \
	src/freddy.h)
HEADERS := $(wildcard src/freddy*.h)
CORE_SRC := $(wildcard src/*.c src/base/*.c src/rules/*.c src/net/*.c)
CORE_OBJ := $(CORE_SRC:src/%.c=$(BUILD)/core/%.o)
CORE_LIB := $(BUILD)/core/libfreddy.a
BIND_DIR := $(BUILD)/$(LUA_ABI)
BIND_SRC := $(wildcard src/lua/*.c)
BIND_OBJ := $(BIND_SRC:src/lua/%.c=$(BIND_DIR)/obj/%.o)
BIND_LIB := $(BIND_DIR)/freddy/core.so
# For programs that link it all: the binding, and the Lua files as data.
LUA_FILES := $(shell cd lua && find freddy.lua freddy -name '*.lua' | sort)
LUA_DIRS := $(shell cd lua && find freddy -depth -type d)
MODULES := $(BUILD)/embed/modules
EMBED_SRC := src/lua/embed/preload.c $(MODULES).c
EMBED_OBJ := $(BIND_DIR)/obj/embed/preload.o $(MODULES).o
EMBED_LIB := $(BIND_DIR)/libfreddy-lua.a

# C units print `N passed, N failed`. Those that include Lua's headers are
# linked with the binding of the Lua at hand; *_torture.c need FY_TORTURE;
# *_preload.c become libraries for LD_PRELOAD.
UNIT_KIND := $(if $(filter torture,$(FLAVOUR)),torture,test)
UNIT_SRC := $(wildcard spec/c/*_$(UNIT_KIND).c)
UNIT_LUA := $(if $(UNIT_SRC),$(shell grep -lE \
	'include [<"](lua|lauxlib|lualib|lua/[a-z_]+)\.h' $(UNIT_SRC)))
UNITS := $(patsubst spec/c/%.c,$(BUILD)/spec/%,\
	$(filter-out $(UNIT_LUA),$(UNIT_SRC)))
LUA_UNITS := $(patsubst spec/c/%.c,$(BIND_DIR)/spec/%,$(UNIT_LUA))
PRELOADS := $(patsubst spec/c/%.c,$(BUILD)/spec/%.so,\
	$(wildcard spec/c/*_preload.c))
# A unit may put a function of its own in the place of libc's.
UNIT_CFLAGS := -Ispec/c -fvisibility=default
EXAMPLES := $(patsubst examples/c/%.c,$(BUILD)/examples/%,\
	$(wildcard examples/c/*.c))
ENGINE := $(BIND_DIR)/examples/engine
# Benchmarks in C; json.c is the binding's, for the Lua at hand.
BENCHES := build/bench/raw build/bench/core build/bench/stall \
	build/bench/streams build/bench/simulate build/bench/timeouts \
	$(BIND_DIR)/bench/json $(PRELOADS)
FUZZERS := $(patsubst spec/fuzz/%.c,build/fuzz/%,$(wildcard spec/fuzz/*.c))

LPATH = $(CURDIR)/lua/?.lua
CPATH = $(abspath $(BUILD))/$(LUA_ABI)/?.so
_V = _$(subst .,_,$(LUA_VERSION))
need_lua = $(if $(LUA_ABI),$(if $(LUA_INCDIR)$(LUA_PC),,$(error no headers \
	for $(LUA): install them (tools/setup --print) or set LUA_INCDIR)),\
	$(error no Lua to build for: "$(LUA)" does not run (tools/setup --print)))
pc = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
	-e 's|@LUA@|$(LUA_ABI)|' -e 's|@LIBS@|$(strip $(ALL_LIBS))|' tools/$(1).pc.in
quiet := $(if $(filter 1,$(V)),,@)
Q = $(quiet)$(if $(quiet),$(if $(findstring s,$(firstword -$(MAKEFLAGS))),,\
	printf '  %-4s %s\n' '$(1)' '$@';))

.PHONY: all module lib sources env units examples fuzzers benches test demo \
	demo-run emulator docs lint format asan tsan oldcurl valgrind torture fuzz \
	bench install install-lua uninstall clean
.DELETE_ON_ERROR:

all: $(BIND_LIB) $(CORE_LIB) $(EMBED_LIB)
module: $(BIND_LIB)
lib: $(CORE_LIB)
units: $(UNITS) $(LUA_UNITS) $(PRELOADS)
examples: $(EXAMPLES) $(ENGINE)
fuzzers: $(FUZZERS)
benches: $(BENCHES)

# For the build of an engine: what to compile, and with what.
sources: $(MODULES).c
	@printf 'source %s\n' $(CORE_SRC) $(BIND_SRC) $(EMBED_SRC)
	@printf '%s\n' 'include src' 'define _GNU_SOURCE' 'standard c11'
	@printf 'library %s\n' curl jansson z pthread m

env:
	$(need_lua)
	@echo 'export LUA_PATH="$(LPATH);$${LUA_PATH:-;}"'
	@echo 'export LUA_CPATH="$(CPATH);$${LUA_CPATH:-;}"'
	@echo '[ -z "$${LUA_PATH$(_V)-}" ] ||' \
		'export LUA_PATH$(_V)="$(LPATH);$$LUA_PATH$(_V)"'
	@echo '[ -z "$${LUA_CPATH$(_V)-}" ] ||' \
		'export LUA_CPATH$(_V)="$(CPATH);$$LUA_CPATH$(_V)"'

$(BUILD)/core/%.o: src/%.c
	@mkdir -p $(@D)
	$(call Q,CC)$(CC) $(ALL_CFLAGS) $(CPPFLAGS) -c -o $@ $<

$(CORE_LIB): $(CORE_OBJ)
	@mkdir -p $(@D)
	$(call Q,AR)rm -f $@ && $(AR) rcs $@ $^

$(BIND_DIR)/obj/%.o: src/lua/%.c
	$(need_lua)
	@mkdir -p $(@D)
	$(call Q,CC)$(CC) $(ALL_CFLAGS) $(LUA_CFLAGS) $(CPPFLAGS) -c -o $@ $<

$(BIND_LIB): $(BIND_OBJ) $(CORE_OBJ)
	@mkdir -p $(@D)
	$(call Q,LINK)$(LINK) $(LIBFLAG) -o $@ $^ $(ALL_LIBS)

$(MODULES).c: tools/embed $(LUA_FILES:%=lua/%)
	@mkdir -p $(@D)
	$(call Q,GEN)tools/embed > $@

$(MODULES).o: $(MODULES).c
	$(call Q,CC)$(CC) $(ALL_CFLAGS) $(CPPFLAGS) -c -o $@ $<

$(EMBED_LIB): $(BIND_OBJ) $(EMBED_OBJ)
	@mkdir -p $(@D)
	$(call Q,AR)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/spec/%: spec/c/%.c $(CORE_LIB)
	@mkdir -p $(@D)
	$(call Q,UNIT)$(CC) $(ALL_CFLAGS) $(CPPFLAGS) $(LDFLAGS) $(UNIT_CFLAGS) \
		-o $@ $< $(CORE_LIB) $(ALL_LIBS)

$(BUILD)/spec/%_preload.so: spec/c/%_preload.c
	@mkdir -p $(@D)
	$(call Q,UNIT)$(CC) -std=c11 -D_GNU_SOURCE -Wall -Wextra -fPIC -shared \
		-pthread $(CFLAGS) -o $@ $< -ldl

$(BIND_DIR)/spec/%: spec/c/%.c $(EMBED_LIB) $(CORE_LIB)
	@mkdir -p $(@D)
	$(call Q,UNIT)$(CC) $(ALL_CFLAGS) $(LUA_CFLAGS) $(CPPFLAGS) $(LDFLAGS) \
		$(UNIT_CFLAGS) $(EXPORT) -o $@ $< $(EMBED_LIB) $(CORE_LIB) $(LUA_LIBS) \
		$(ALL_LIBS)

$(BUILD)/examples/%: examples/c/%.c $(CORE_LIB)
	@mkdir -p $(@D)
	$(call Q,LINK)$(CC) $(ALL_CFLAGS) $(CPPFLAGS) $(LDFLAGS) -o $@ $< \
		$(CORE_LIB) $(ALL_LIBS)

$(ENGINE): examples/engine/main.c $(EMBED_LIB) $(CORE_LIB)
	@mkdir -p $(@D)
	$(call Q,LINK)$(CC) $(ALL_CFLAGS) $(LUA_CFLAGS) $(CPPFLAGS) $(LDFLAGS) \
		-o $@ $< $(EMBED_LIB) $(CORE_LIB) $(LUA_LIBS) $(ALL_LIBS)

# Where the parser is Lua's, the Lua at hand runs it.
build/fuzz/error_body: spec/fuzz/error_body.c $(BIND_OBJ) $(CORE_LIB)
	@mkdir -p $(@D)
	$(call Q,FUZZ)$(CC) $(ALL_CFLAGS) $(LUA_CFLAGS) -fsanitize=fuzzer \
		$(CPPFLAGS) -o $@ $< $(BIND_OBJ) $(CORE_LIB) $(LUA_LIBS) $(ALL_LIBS)

build/fuzz/%: spec/fuzz/%.c $(CORE_LIB)
	@mkdir -p $(@D)
	$(call Q,FUZZ)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $(CPPFLAGS) -o $@ \
		$< $(CORE_LIB) $(ALL_LIBS)

$(BIND_DIR)/bench/%: bench/%.c $(BIND_OBJ) $(CORE_LIB)
	@mkdir -p $(@D)
	$(call Q,LINK)$(CC) $(ALL_CFLAGS) -MF $@.d $(LUA_CFLAGS) $(CPPFLAGS) \
		$(LDFLAGS) $(EXPORT) -o $@ $< $(BIND_OBJ) $(CORE_LIB) $(LUA_LIBS) \
		$(ALL_LIBS)

build/bench/%: bench/%.c $(CORE_LIB)
	@mkdir -p $(@D)
	$(call Q,LINK)$(CC) $(ALL_CFLAGS) $(CPPFLAGS) $(LDFLAGS) -o $@ $< \
		$(CORE_LIB) $(ALL_LIBS)

test:
	@SETUP=$(SETUP) tools/setup test
	+@LUAS="$(LUAS)" SPECS="$(SPECS)" spec/run

demo:
	@SETUP=$(SETUP) tools/setup demo
	+@$(MAKE) --no-print-directory -j$(JOBS) all
	+@$(MAKE) --no-print-directory demo-run

demo-run: all  # a make of its own, since set-up may just have brought a Lua
	+@tools/demo "$(LUA)"

emulator:
	@SETUP=$(SETUP) tools/setup demo
	@emulator/run

lint:
	@tools/lint

format:
	clang-format -i $(shell find src spec bench examples -name '*.[ch]')

docs:  # what comes from the program's tables
	@"$(LUA)" tools/reference.lua

asan tsan oldcurl:
	+@FLAVOUR=$@ LUAS="$(LUAS)" SPECS="$(SPECS)" PARTS="units specs" spec/run

torture:
	+@FLAVOUR=torture PARTS=units spec/run

valgrind:
	+@TOOL=valgrind LUAS="$(or $(LUA_ABI),lua5.4)" SPECS="$(SPECS)" \
		PARTS="units specs" spec/run

fuzz:
	+@$(MAKE) --no-print-directory -j$(JOBS) FLAVOUR=fuzz CC=$(CLANG) fuzzers
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tools/fuzz

bench:
	@SETUP=$(SETUP) tools/setup bench
	+@$(MAKE) --no-print-directory -j$(JOBS) all benches
	+@! command -v luajit >/dev/null || \
		$(MAKE) --no-print-directory -j$(JOBS) LUA=luajit module # for nginx
	+@LUA="$(LUA)" bench/run

# The module alone, as LuaRocks wants it.
install-lua: module
	mkdir -p "$(DESTDIR)$(INST_LIBDIR)/freddy" \
		$(LUA_DIRS:%="$(DESTDIR)$(INST_LUADIR)/%")
	install -m 755 $(BIND_LIB) "$(DESTDIR)$(INST_LIBDIR)/freddy/core.so"
	for file in $(LUA_FILES); do install -m 644 lua/$$file \
		"$(DESTDIR)$(INST_LUADIR)/$$file" || exit; done

install: all install-lua
	mkdir -p "$(DESTDIR)$(PREFIX)/include" "$(DESTDIR)$(PREFIX)/lib/pkgconfig"
	install -m 644 $(HEADERS) "$(DESTDIR)$(PREFIX)/include"
	install -m 644 $(CORE_LIB) "$(DESTDIR)$(PREFIX)/lib/libfreddy.a"
	install -m 644 $(EMBED_LIB) "$(DESTDIR)$(PREFIX)/lib/$(INST_EMBED)"
	$(call pc,freddy) > "$(DESTDIR)$(PREFIX)/lib/pkgconfig/freddy.pc"
	$(call pc,freddy-lua) > \
		"$(DESTDIR)$(PREFIX)/lib/pkgconfig/freddy-$(LUA_ABI).pc"

uninstall:
	$(need_lua)
	rm -f "$(DESTDIR)$(INST_LIBDIR)/freddy/core.so" \
		$(LUA_FILES:%="$(DESTDIR)$(INST_LUADIR)/%") \
		$(HEADERS:src/%="$(DESTDIR)$(PREFIX)/include/%") \
		$(foreach file,libfreddy.a $(INST_EMBED) pkgconfig/freddy.pc \
		pkgconfig/freddy-$(LUA_ABI).pc,"$(DESTDIR)$(PREFIX)/lib/$(file)")
	rmdir "$(DESTDIR)$(INST_LIBDIR)/freddy" \
		$(LUA_DIRS:%="$(DESTDIR)$(INST_LUADIR)/%") 2>/dev/null || true

clean:
	rm -rf build

-include $(wildcard $(BUILD)/core/*.d $(BUILD)/core/*/*.d \
	$(BUILD)/embed/*.d $(BIND_DIR)/obj/*.d $(BIND_DIR)/obj/*/*.d \
	$(BUILD)/spec/*.d $(BIND_DIR)/spec/*.d $(BUILD)/examples/*.d \
	$(BIND_DIR)/examples/*.d build/fuzz/*.d build/bench/*.d \
	$(BIND_DIR)/bench/*.d)
