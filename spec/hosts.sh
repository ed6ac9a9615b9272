#!/bin/sh
# SPDX-License-Identifier: MIT
# The cases of spec/hosts/cases.lua in every real host: those that are
# installed, on each Lua that was built and that they know. One that is not
# is skipped, by name. How long a host's own timer stood still is printed.
set -u
top=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$top" || exit 1
build=${BUILD:-build}
hosts=spec/hosts
# For those who read the environment, as a person would have it.
freddy="FREDDY_BASE_URL=$FY_TEST_BASE_URL FREDDY_CA_FILE=$FY_TEST_CA_FILE
  FREDDY_API_KEY=$FY_TEST_API_KEY"
passed=0
failed=0
skipped=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

skip() {
  skipped=$((skipped + 1))
  printf 'SKIP  %s\n' "$1"
}

has() {
  command -v "$1" >/dev/null
}

# run LUA LABEL COMMAND...: with the tree as built for this Lua.
run() {
  paths="LUA_PATH=$top/lua/?.lua;$top/?.lua;; LUA_CPATH=$top/$build/$1/?.so;;"
  label=$2
  shift 2
  # shellcheck disable=SC2086
  timeout 120 env $paths "$@" > "$work/out" 2>&1 < /dev/null
  status=$?
  total=$(tr -d '\r' < "$work/out" |
    grep -E '^[0-9]+ passed, [0-9]+ failed$' | tail -n 1)
  good=${total%% passed*}
  bad=${total##*, }
  bad=${bad%% failed}
  if [ -z "$total" ] || { [ "$bad" = 0 ] && [ $status != 0 ]; }; then
    bad=$((${bad:-0} + 1))
    printf 'FAIL  %s: exit %s, no good end\n' "$label" $status
    grep -v '^GAP ' "$work/out"
  else
    grep '^FAIL ' "$work/out"
  fi
  sed -n "s|^GAP  |GAP   $label:|p" "$work/out"
  passed=$((passed + ${good:-0}))
  failed=$((failed + bad))
}

# each HOST MODULE: HOST.lua, and what its page shows, on every Lua that has
# the module.
# shellcheck disable=SC2086
each() {
  found=
  for lua in ${FOUND_LUAS:-lua5.4}; do
    "$lua" -e "require '$2'" >/dev/null 2>&1 || continue
    found=1
    run "$lua" "$1 on $lua" "$lua" "$hosts/$1.lua"
    run "$lua" "docs/hosts/$1.md on $lua" env $freddy "$lua" \
      "$hosts/snippets.lua" "docs/hosts/$1.md"
  done
  [ -n "$found" ] || skip "$1: no Lua here has the module $2"
}

# ends HOST MODULE: loops that are left with requests in flight.
ends() {
  for lua in ${FOUND_LUAS:-lua5.4}; do
    "$lua" -e "require '$2'" >/dev/null 2>&1 || continue
    for way in stop close client:close os.exit "os.exit, closing"; do
      run "$lua" "$1 on $lua, ended by $way" "$lua" "$hosts/ends.lua" "$1" \
        "$way"
    done
  done
}

each script string
for host in luv copas cqueues; do
  each "$host" "$host"
  ends "$host" "$host"
done
ends script string

for lua in ${FOUND_LUAS:-lua5.4}; do
  engine=$build/$lua/examples/engine
  ${MAKE:-make} -s --no-print-directory LUA="$lua" FLAVOUR="${FLAVOUR-}" \
    "$engine" || failed=$((failed + 1))
  run "$lua" "examples/engine with $lua" "$engine" "$hosts/engine.lua"
  run "$lua" "examples/engine with $lua, quit" env FY_WAY=quit "$engine" \
    "$hosts/engine.lua"
done

# These two bring a LuaJIT of their own.
if ! [ -f "$build/luajit/freddy/core.so" ]; then
  skip "neovim, love: freddy was not built for LuaJIT"
else
  if has nvim; then
    run luajit neovim nvim --headless -u NONE -i NONE -n \
      -c "luafile $hosts/neovim.lua" -c 'cq!'
    for way in main callback task; do
      run luajit "neovim, left in $way" env FY_WAY=$way nvim --headless \
        -u NONE -i NONE -n -c "luafile $hosts/neovim_ends.lua"
    done
    # shellcheck disable=SC2086
    run luajit examples/neovim env $freddy nvim --headless -u NONE -i NONE \
      -n -c "luafile $hosts/neovim_example.lua" -c 'cq!'
  else
    skip "neovim: not installed"
  fi
  if has love && has xvfb-run; then
    for way in '' quit restart; do
      run luajit "love${way:+, $way}" env SDL_AUDIODRIVER=dummy FY_WAY=$way \
        HOME="$work" XDG_DATA_HOME="$work" xvfb-run -a love "$hosts/love"
    done
  else
    skip "love: not installed, or xvfb-run is not"
  fi
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
