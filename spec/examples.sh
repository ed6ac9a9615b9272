#!/bin/sh
# SPDX-License-Identifier: MIT
# Run every example against the emulator: those in Lua on each Lua that was
# built, those in C once. An example succeeds when it exits 0 and says
# something.
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
  if output=$(timeout 60 "$@" 2>&1 < /dev/null) && [ -n "$output" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAIL  %s\n%s\n' "$name" "$output"
  fi
}

for lua in ${FOUND_LUAS:-lua5.4}; do
  export LUA_PATH="$top/lua/?.lua;;" LUA_CPATH="$top/$build/$lua/?.so;;"
  for example in examples/*.lua; do
    check "$lua $example" "$lua" "$example"
  done
done
for source in examples/c/*.c; do
  name=$(basename "$source" .c)
  [ ! -f "$source" ] || check "$source" "$build/examples/$name"
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
