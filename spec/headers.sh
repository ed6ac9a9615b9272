#!/bin/sh
# SPDX-License-Identifier: MIT
# Each public header compiles alone and twice, as C11 and as C++11, without a
# warning; to C++ its functions are C's; and freddy.h includes them all but
# what needs Lua.
set -u
cd "$(dirname "$0")/.." || exit 1
cc=${CC:-cc}
cxx=${CXX:-c++}
passed=0
failed=0
skipped=0
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

names() {
  sed -n 's/^FREDDY_API .*[ *]\([a-z0-9_]*\)(.*/\1/p' "$1"
}

# compile HEADER DIR COMMAND...: a program that has nothing but the header,
# and wants all that this declares.
compile() {
  header=$1
  dir=$2
  shift 2
  {
    printf '#include "%s"\n#include "%s"\n' "$header" "$header"
    echo 'typedef void (*function)(void);'
    echo 'extern function all[];'
    echo 'function all[] = {'
    names "$dir/$header" | sed 's/.*/    (function)&,/'
    echo '    (function)0};'
  } > "$work/program"
  "$@" -Wall -Wextra -Wno-cast-function-type -pedantic -Werror -I"$dir" \
    -c -o "$work/program.o" "$work/program"
}

as_c() {
  # shellcheck disable=SC2086  # a command and its options
  compile "$1" "$2" $cc -x c -std=c11 -Wstrict-prototypes
}

as_cpp() {
  # shellcheck disable=SC2086
  compile "$1" "$2" $cxx -x c++ -std=c++11 &&
    nm -u "$work/program.o" | awk '{ print $NF }' > "$work/wanted" &&
    names "$2/$1" | while read -r name; do
      grep -qx "_\{0,1\}$name" "$work/wanted" || echo "not C: $name"
    done > "$work/mangled"
  [ $? = 0 ] && cat "$work/mangled" && [ ! -s "$work/mangled" ]
}

fails() {
  ! "$@"
}

includes_all() {
  echo '#include "freddy.h"' | $cc -x c -Isrc -MM - |
    tr ' ' '\n' | sed -n 's|^src/||p' | grep . | sort > "$work/included"
  (cd src && ls freddy*.h) | grep -vx 'freddy_lua\.h' | sort |
    diff - "$work/included"
}

printf '%s\n' '#define FREDDY_API' 'struct a { uint32_t b; };' \
  > "$work/bare.h"
printf '%s\n' '#define FREDDY_API' 'struct a { int b; };' > "$work/open.h"
printf '%s\n' '#ifndef MADE_H' '#define MADE_H' '#define FREDDY_API' \
  'FREDDY_API int freddy_made(int a);' '#endif' > "$work/made.h"

for header in $(cd src && ls freddy*.h); do
  check "$header as C" as_c "$header" src
done
check "one that lacks an include is found" fails as_c bare.h "$work"
check "one without a guard is found" fails as_c open.h "$work"
check "freddy.h includes the others" includes_all
if command -v "${cxx%% *}" > /dev/null; then
  for header in $(cd src && ls freddy*.h); do
    check "$header as C++" as_cpp "$header" src
  done
  check "one whose functions are not C's is found" fails as_cpp made.h "$work"
else
  skipped=1
  echo 'SKIP  no C++ compiler'
fi

echo "$passed passed, $failed failed$(
  [ $skipped = 0 ] || echo ", $skipped skipped")"
[ "$failed" = 0 ]
