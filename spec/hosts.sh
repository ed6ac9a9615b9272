#!/bin/sh
# SPDX-License-Identifier: MIT
# The cases of spec/hosts/cases.lua in every real host: those that are
# installed, on each Lua that was built and that they know. One that is not
# is skipped, by name. How long a host's own timer stood still is printed.
set -u
top=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$top" || exit 1
build=${BUILD:-build}
passed=0
failed=0
skipped=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
case ${FLAVOUR-} in
  asan) preload=$(${CC:-cc} -print-file-name=libasan.so) ;;
  tsan) preload=$(${CC:-cc} -print-file-name=libtsan.so) ;;
  *) preload= ;;
esac

skip() {
  skipped=$((skipped + 1))
  printf 'SKIP  %s\n' "$1"
}

# count LABEL STATUS: what a run has left in $work/out.
count() {
  total=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$work/out" | tail -n 1)
  good=${total%% passed*}
  bad=${total##*, }
  bad=${bad%% failed}
  if [ -z "$total" ] || { [ "$bad" = 0 ] && [ "$2" != 0 ]; }; then
    bad=$((${bad:-0} + 1))
    printf 'FAIL  %s: exit %s, no good end\n' "$1" "$2"
    grep -v '^GAP ' "$work/out"
  else
    grep '^FAIL ' "$work/out"
  fi
  sed -n "s|^GAP  |GAP   $1:|p" "$work/out"
  passed=$((passed + ${good:-0}))
  failed=$((failed + bad))
}

# each HOST MODULE: spec/hosts/HOST.lua on every Lua that has the module.
each() {
  found=
  for lua in ${FOUND_LUAS:-lua5.4}; do
    "$lua" -e "require '$2'" >/dev/null 2>&1 || continue
    found=1
    LUA_PATH="$top/lua/?.lua;$top/?.lua;;" \
      LUA_CPATH="$top/$build/$lua/?.so;;" LD_PRELOAD="$preload" \
      timeout 120 "$lua" "spec/hosts/$1.lua" > "$work/out" 2>&1
    count "$1 on $lua" $?
  done
  [ -n "$found" ] || skip "$1: no Lua here has the module $2"
}

each luv luv

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
