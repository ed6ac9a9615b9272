#!/bin/sh
# SPDX-License-Identifier: MIT
# tools/setup on systems that are neither Debian nor Ubuntu, played by a PATH
# that holds what they have: it installs nothing and prints one exact command,
# which README.md has, too.
set -u
cd "$(dirname "$0")/.." || exit 1
passed=0
failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# system NAME KERNEL USER PROGRAM...: a folder of programs that are this
# system's. Those named only exist, and say so when they are run.
system() {
  bin=$work/$1
  mkdir "$bin"
  for tool in sh grep sed tr cat rm mktemp mkdir; do
    ln -s "$(command -v $tool)" "$bin/$tool"
  done
  printf '#!/bin/sh\necho %s\n' "$2" > "$bin/uname"
  printf '#!/bin/sh\necho %s\n' "$3" > "$bin/id"
  shift 3
  for tool in "$@"; do
    printf '#!/bin/sh\necho "$0 $*" >> %s/ran\n' "$work" > "$bin/$tool"
  done
  chmod +x "$bin"/*
}

# check NAME STATUS TEXT...: exit status and, each in one line, these texts.
check() {
  name=$1
  status=$2
  shift 2
  env -i PATH="$work/$name" "$work/$name/sh" tools/setup demo > "$work/out" 2>&1
  got=$?
  wrong=
  [ $got = "$status" ] || wrong="exit status $got"
  for text in "$@"; do
    grep -qF -e "$text" "$work/out" || wrong="no line with: $text"
  done
  if [ -z "$wrong" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAIL  %s: %s\n' "$name" "$wrong"
    cat "$work/out"
  fi
}

# in_readme NAME TEXT: the command that was printed is in the README.
in_readme() {
  line=$(sed -n "s/^setup:  *$2/$2/p" "$work/out")
  if [ -n "$line" ] && grep -qxF -e "$line" README.md; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAIL  README.md has not what %s is told: %s\n' "$1" "$line"
  fi
}

system fedora Linux 1000 dnf sudo
check fedora 1 "missing: cc, pkg-config, openssl" \
  "Lua, libcurl, jansson, zlib, Lua's headers" \
  "  sudo dnf install gcc make" "Fedora has no nginx with a Lua module"
in_readme fedora "sudo dnf install"
system fedora-root Linux 0 dnf cc
check fedora-root 1 "missing: pkg-config, openssl" "  dnf install gcc make"
system alpine Linux 1000 apk doas
check alpine 1 "  doas apk add make gcc"
system alpine-root Linux 0 apk
check alpine-root 1 "  apk add make gcc"
in_readme alpine "apk add"
system macos Darwin 501 brew
check macos 1 "  brew install pkgconf curl"
in_readme macos "brew install"
system other Linux 1000 sudo
check other 1 "  Fedora:  sudo dnf install" "  Alpine:  sudo apk add" \
  "  macOS:   brew install"
# pkg-config, as all of these, answers yes to everything.
system complete Linux 1000 dnf sudo cc pkg-config openssl nginx lua
check complete 0

if [ -e "$work/ran" ] && grep -v pkg-config "$work/ran"; then
  failed=$((failed + 1))
  echo "FAIL  something was run"
else
  passed=$((passed + 1))
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
