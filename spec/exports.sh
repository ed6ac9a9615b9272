#!/bin/sh
# SPDX-License-Identifier: MIT
# What each built module shows to others: luaopen_* and freddy_*, nothing
# else; every function that freddy.h and its parts declare; and what it wants
# from others is Lua's, or in the libraries that it names itself. A static library has no
# name that the program it is linked into could have as well.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
passed=0
failed=0

check() {
  if [ -z "$2" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAIL  %s\n%s\n' "$1" "$2"
  fi
}

headers=$(find src -name 'freddy*.h' ! -name freddy_lua.h)
# shellcheck disable=SC2086
declared=$(sed -n 's/.*[ *]\(freddy_[a-z0-9_]*\)(.*/\1/p' $headers |
  grep -vE '^freddy_(code|error|event|request|options)$' | sort -u)
# shellcheck disable=SC2086
api=$(cat $headers | grep -c '^FREDDY_API')
[ "$(echo "$declared" | wc -l)" = "$api" ] && wrong= ||
  wrong="read $(echo "$declared" | wc -l) names for $api declarations"
check "the headers declare one function for each FREDDY_API" "$wrong"

for module in "$build"/*/freddy/core.so; do
  [ -f "$module" ] || continue
  shown=$(nm -D --defined-only "$module" | awk '{ print $NF }' | sort -u)
  check "$module shows only public names" \
    "$(echo "$shown" | grep -vE '^(luaopen_freddy_core|freddy_[a-z0-9_]+)$')"
  check "$module shows all public names" \
    "$(printf '%s\nluaopen_freddy_core\n' "$declared" | sort -u |
      while read -r name; do
        echo "$shown" | grep -qx "$name" || echo "missing: $name"
      done)"
  case ${FLAVOUR-} in
    asan | tsan) ;;  # their runtime is in the process, not in a library
    *)
      check "$module wants nothing but Lua from its host" \
        "$(ldd -r "$module" 2>&1 | sed -n 's/^undefined symbol: //p' |
          grep -vE '^(lua|luaL)_')"
      ;;
  esac
done

for library in "$build"/core/libfreddy.a "$build"/*/libfreddy-lua.a; do
  [ -f "$library" ] || continue
  check "$library has only names of our own" \
    "$(nm -g --defined-only "$library" | awk 'NF == 3 { print $3 }' |
      grep -vE '^(luaopen_freddy_core|freddy_[a-z0-9_]+|fy_[a-z0-9_]+)$')"
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
