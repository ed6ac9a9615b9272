# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What start and stop share.

die() {
  echo "emulator: $*" >&2
  exit 1
}

# Zombies that nobody reaps count as gone.
alive() {
  kill -0 "$1" 2>/dev/null \
    && ! grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"
}

# The process id of the emulator that runs in a folder (given in full), or
# nothing. Ids are used again: only a process that names the folder counts.
running_in() {
  local pid
  pid=$(cat "$1/nginx.pid" 2>/dev/null) || return 0
  if [ -n "$pid" ] && alive "$pid"; then
    if [ ! -r "/proc/$pid/cmdline" ] \
      || tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF -- "-p $1/"; then
      echo "$pid"
    fi
  fi
}
