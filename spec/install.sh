#!/bin/sh
# SPDX-License-Identifier: MIT
# Installing, by LuaRocks and by make, from a copy of the sources that has
# never been built: what is installed works once they are out of reach, and
# uninstalling takes away just that.
set -u
top=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$top" || exit 1
luas=${FOUND_LUAS:-lua5.4}
passed=0
failed=0
skipped=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
unset FLAVOUR BUILD MAKEFLAGS MAKELEVEL
# shellcheck disable=SC2086  # make is a command and its options
make="${MAKE:-make} --no-print-directory -j$(nproc)"
source=$work/source
prefix=$work/prefix
export FREDDY_BASE_URL="$FY_TEST_BASE_URL" FREDDY_CA_FILE="$FY_TEST_CA_FILE"
export FREDDY_API_KEY="$FY_TEST_API_KEY"
export FREDDY_JWT_TOKEN="$FY_TEST_JWT_TOKEN"
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"

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

in_source() {
  (cd "$source" && "$@")
}

version() {
  case $1 in
    luajit) echo 5.1 ;;
    *) echo "${1#lua}" ;;
  esac
}

# demo TREE LUA: the demo, on what is installed in the tree alone.
demo() {
  path=$1/share/lua/$(version "$2")
  [ ! -e "$source" ] && cd "$work" &&
    LUA_PATH="$path/?.lua" LUA_CPATH="$1/lib/lua/$(version "$2")/?.so" \
      timeout 60 "$2" demo.lua && grep -q '^models, with a wrong key' out
}

# c_program FLAGS...: the example in C, by what pkg-config says.
c_program() {
  # shellcheck disable=SC2046
  [ ! -e "$source" ] && cd "$work" && ${CC:-cc} -o models models.c \
    $(pkg-config --cflags --libs "$@" freddy) && timeout 60 ./models &&
    grep -q '"models"' out
}

engine() {
  # shellcheck disable=SC2046
  [ ! -e "$source" ] && cd "$work" && ${CC:-cc} -o engine main.c \
    $(pkg-config --cflags --libs "freddy-$1" "$1") &&
    LUA_PATH=none LUA_CPATH=none timeout 60 ./engine game.lua &&
    grep -q '^task 3: 5 models' out
}

# By DESTDIR the same files, which say where they will be.
staged() {
  stage="$work/a stage"
  in_source $make install LUA="$1" DESTDIR="$stage" PREFIX=/opt/it || return 1
  { (cd "$stage/opt/it" && find . -type f); (cd "$prefix" && find . -type f); } |
    sort | uniq -c | grep -v '^ *2 ' && return 1
  grep -qx prefix=/opt/it "$stage/opt/it/lib/pkgconfig/freddy.pc"
}

# Nothing is left but what is not ours.
uninstalled() {
  mine=$prefix/share/lua/$(version "$1")/freddy/mine.lua
  : > "$mine"
  in_source $make uninstall LUA="$1" PREFIX="$prefix" || return 1
  find "$prefix" ! -type d
  [ "$(find "$prefix" ! -type d)" = "$mine" ] && rm "$mine" &&
    rmdir "${mine%/*}" && [ -z "$(find "$prefix" -name '*freddy*')" ]
}

mkdir "$source"
cp -R Makefile README.md LICENSE CHANGELOG.md src lua tools rockspec "$source"
cp examples/demo.lua examples/c/models.c examples/engine/* "$work"

rocks=
for lua in $luas; do
  [ "$lua" != luajit ] || continue
  if command -v luarocks > /dev/null; then
    rocks="$rocks $lua"
    check "luarocks make, $lua" in_source env MAKEFLAGS="-j$(nproc)" \
      luarocks --lua-version "$(version "$lua")" make --deps-mode=none \
      --tree "$work/rocks"
  else
    skipped=$((skipped + 1))
  fi
done
mv "$source" "$source.away"
for lua in $rocks; do
  check "the demo from LuaRocks' tree, $lua" demo "$work/rocks" "$lua"
done
case "$rocks $luas " in
  *" lua5.1 "*" luajit "*)
    check "LuaJIT on what was built for lua5.1" demo "$work/rocks" luajit
    ;;
esac

for lua in $luas; do
  mv "$source.away" "$source"
  check "make install, $lua" in_source $make install LUA="$lua" \
    PREFIX="$prefix"
  mv "$source" "$source.away"
  check "the demo from the installed tree, $lua" demo "$prefix" "$lua"
  check "an engine by pkg-config, $lua" engine "$lua"
  if [ "$lua" = "${luas##* }" ]; then
    check "a C program by pkg-config" c_program
    check "a C program by pkg-config --static" c_program --static
    mv "$source.away" "$source"
    check "make install by DESTDIR, $lua" staged "$lua"
    mv "$source" "$source.away"
  fi
  mv "$source.away" "$source"
  check "make uninstall, $lua" uninstalled "$lua"
  mv "$source" "$source.away"
done

echo "$passed passed, $failed failed$(
  [ $skipped = 0 ] || echo ", $skipped skipped")"
[ "$failed" = 0 ]
