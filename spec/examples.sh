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
skipped=0
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

control() {
  curl -sf -o /dev/null "$FY_TEST_EMULATOR_CONTROL/control" -d "$1"
}

control '{"reset": true}'
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

counters() {
  curl -sf "$FY_TEST_EMULATOR_CONTROL/control"
}

# says TEXT COMMAND...: it succeeds, and this is in what it says.
says() {
  text=$1
  shift
  output=$(timeout 60 "$@" 2>&1) || { echo "$output"; return 1; }
  echo "$output"
  case $output in *"$text"*) ;; *) return 1 ;; esac
}

# An answer that stops in its middle is interrupted: what had come is shown,
# and the server is told.
interrupted() {
  control '{"reset": true, "respond": {"thread_id": "thrd_ask",
    "pauses": {"after": 2, "hold": "for ever"}}}' || return 1
  "$1" examples/ask.lua "Why so?" > "$work/out" 2>&1 &
  pid=$!
  seen=
  for _ in $(seq 300); do
    grep -q 'You said: ' "$work/out" && seen=1 && break
    sleep 0.1
  done
  kill -INT $pid
  wait $pid
  status=$?
  cat "$work/out"
  [ -n "$seen" ] && [ $status = 1 ] && grep -q 'interrupted!' "$work/out" &&
    counters | grep -q '"kind":"cancel"'
}

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

for lua in ${FOUND_LUAS:-lua5.4}; do
  export LUA_PATH="$top/lua/?.lua;;" LUA_CPATH="$top/$build/$lua/?.so;;"
  control '{"reset": true}'
  check "$lua examples/ask.lua" \
    says "You said: Why so?" "$lua" examples/ask.lua "Why so?"
  check "$lua examples/ask.lua, Ctrl-C" interrupted "$(command -v "$lua")"
  control '{"reset": true, "respond": {"role": "user", "tool_calls": [
    {"name": "weather", "arguments": {"city": "Bern"}}]}}'
  check "$lua examples/tools.lua" \
    says "The tool says: 21 degrees in Bern" "$lua" examples/tools.lua
  control '{"reset": true}'
done

# LÖVE brings a LuaJIT of its own. The rest of the answer comes when a frame
# has seen the first part: so the bubble has grown in two of them.
bubble() {
  control '{"reset": true, "respond": {"pauses": {"after": 2,
    "hold": "bubble"}}}' || return 1
  : > "$work/out"
  timeout 60 env SDL_AUDIODRIVER=dummy xvfb-run -a \
    love examples/love "Why so?" --once > "$work/out" 2>&1 &
  pid=$!
  for _ in $(seq 300); do
    grep -q '^frame ' "$work/out" && break
    sleep 0.1
  done
  control '{"release": "bubble"}'
  wait $pid
  status=$?
  cat "$work/out"
  [ $status = 0 ] && grep -q '^You said: Why so?$' "$work/out" &&
    [ "$(grep -c '^frame ' "$work/out")" -ge 2 ]
}

if [ -f "$build/luajit/freddy/core.so" ] && command -v love >/dev/null &&
    command -v xvfb-run >/dev/null; then
  export LUA_PATH="$top/lua/?.lua;;" LUA_CPATH="$top/$build/luajit/?.so;;"
  check "examples/love" bubble
  control '{"reset": true}'
else
  echo "SKIP  examples/love: it takes love, xvfb-run and freddy for LuaJIT"
  skipped=$((skipped + 1))
fi

# The engine, out of reach of freddy's Lua files, while every answer takes its
# time: frames went on beyond those that started the requests.
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

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
