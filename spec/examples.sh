#!/bin/sh
# SPDX-License-Identifier: MIT
# Run every example against the emulator: those in Lua on each Lua that was
# built, those in C once, the engine with each Lua linked into it. An example
# succeeds when it exits 0 and says something.
set -u
top=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$top" || exit 1
build=${BUILD:-build}
passed=0
failed=0
export FREDDY_BASE_URL="$FY_TEST_BASE_URL" FREDDY_CA_FILE="$FY_TEST_CA_FILE"
export FREDDY_API_KEY="$FY_TEST_API_KEY"
export FREDDY_JWT_TOKEN="$FY_TEST_JWT_TOKEN"

check() {
  name=$1
  shift
  if output=$("$@" 2>&1 < /dev/null) && [ -n "$output" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAIL  %s\n%s\n' "$name" "$output"
  fi
}

for lua in ${FOUND_LUAS:-lua5.4}; do
  export LUA_PATH="$top/lua/?.lua;;" LUA_CPATH="$top/$build/$lua/?.so;;"
  for example in examples/*.lua; do
    check "$lua $example" timeout 60 "$lua" "$example"
  done
done
for source in examples/c/*.c; do
  name=$(basename "$source" .c)
  [ ! -f "$source" ] || check "$source" timeout 60 "$build/examples/$name"
done

# The engine, out of reach of freddy's Lua files, while every answer takes its
# time: frames went on beyond those that started the requests.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cp examples/engine/game.lua "$work"
export LUA_PATH="$work/?.lua" LUA_CPATH="$work/?.so"

frames_go_on() {
  curl -sf -o /dev/null "$FY_TEST_EMULATOR_CONTROL/control" -d \
    '{"delay": {"path": "/v1/models", "ms": 300, "times": 3}}' || return 1
  cd "$work" && timeout 60 "$1" game.lua > out || return 1
  cat out
  [ "$(grep -c '^task [123]: 5 models' out)" = 3 ] &&
    [ "$(sed -n 's/^frames while a request ran: \([0-9]*\),.*/\1/p' out)" -gt 3 ]
}

for lua in ${FOUND_LUAS:-lua5.4}; do
  engine=$build/$lua/examples/engine
  ${MAKE:-make} -s --no-print-directory LUA="$lua" FLAVOUR="${FLAVOUR-}" \
    "$engine" || failed=$((failed + 1))
  check "$lua examples/engine" frames_go_on "$top/$engine"
  check "$lua examples/engine shares libcurl" \
    sh -c "ldd $engine | grep 'libcurl.*=>'"
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
