#!/bin/sh
# SPDX-License-Identifier: MIT
# `make sources`, by which an engine's own build compiles freddy: it names all
# there is, and what it names is enough to build and run examples/engine.
set -u
top=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$top" || exit 1
lua=${FIRST_LUA:-lua5.4}
passed=0
failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# check NAME COMMAND...: succeeds when the command does.
check() {
  name=$1
  shift
  if "$@" > "$work/out" 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAIL  %s\n' "$name"
    cat "$work/out"
  fi
}

value() {
  sed -n "s/^$1 //p" "$work/list"
}

complete() {
  { value source | grep '^src/'; find src -name '*.c'; } | sort | uniq -u |
    tee "$work/odd"
  [ ! -s "$work/odd" ] && [ "$(value source | wc -l)" -gt 10 ]
}

# Every file with the same plain command, as the build of an engine would.
compile() {
  flags="-std=$(value standard) $(value define | sed 's/^/-D/')
    $(value include | sed 's/^/-I/') $(pkg-config --cflags "$lua")"
  # shellcheck disable=SC2086
  { value source; echo examples/engine/main.c; } |
    xargs -P "$(nproc)" -I FILE sh -c \
      'object=$1/$(echo "$2" | tr / _).o && shift 2 && exec "$@" -o "$object"' \
      sh "$work" FILE ${CC:-cc} -O0 -Werror $flags -c FILE
}

link() {
  # shellcheck disable=SC2046
  ${CC:-cc} -o "$work/engine" "$work"/*.o $(pkg-config --libs "$lua") \
    $(value library | sed 's/^/-l/')
}

play() {
  cp examples/engine/game.lua "$work"
  cd "$work" || return 1
  FREDDY_BASE_URL=$FY_TEST_BASE_URL FREDDY_CA_FILE=$FY_TEST_CA_FILE \
    FREDDY_API_KEY=$FY_TEST_API_KEY LUA_PATH=none LUA_CPATH=none \
    timeout 60 ./engine game.lua && grep -q '^task 3: 5 models' out
}

check "make sources" sh -c \
  "${MAKE:-make} -s --no-print-directory FLAVOUR= sources > '$work/list'"
check "every file of src is a source" complete
check "they compile" compile
check "they link" link
check "they run" play

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
