#!/bin/sh
# SPDX-License-Identifier: MIT
# The ends of a process, on the stock interpreters: os.exit in every way with
# transfers and with TLS handshakes in flight on a loaded machine, an error,
# the end of the script, a signal; and a child by io.popen. FY_RUNS is how
# often each Lua leaves each phase.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
passed=0
failed=0
work=$(mktemp -d) || exit 1
load=
stop_all() {
  # shellcheck disable=SC2086
  [ -z "$load" ] || kill $load 2>/dev/null
  rm -rf "$work"
}
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
mkfifo "$work/out" || exit 1
mkdir "$work/saves" || exit 1
export FY_SAVES="$work/saves"

bound=10
case ${FLAVOUR-} in
  asan)
    preload="$(${CC:-cc} -print-file-name=libasan.so) \
$(${CC:-cc} -print-file-name=libubsan.so)"
    ;;
  tsan) preload=$(${CC:-cc} -print-file-name=libtsan.so) ;;
  *) preload= ;;
esac
case ${TOOL-} in
  valgrind)
    bound=60
    tool="valgrind --quiet --error-exitcode=97 --fair-sched=try
      --suppressions=$PWD/spec/valgrind.supp"
    ;;
  *) tool= ;;
esac
runs=${FY_RUNS:-$([ -z "${FLAVOUR-}${TOOL-}" ] && echo 20 || echo 4)}

# Nobody outlives the bound: 137 is the code of one that had to be killed.
alive() {
  # shellcheck disable=SC2086
  timeout --foreground -s KILL "$bound" \
    ${preload:+env LD_PRELOAD="$preload"} $tool "$lua" "$@"
}

# Nothing of what was being saved is left.
nothing_saved() {
  check "$*: what is left in the folder" "" "$(ls -A "$FY_SAVES")"
  rm -rf "$FY_SAVES"
  mkdir "$FY_SAVES"
}

# check NAME WANTED GOT: compares, and shows what was said on a difference.
check() {
  if [ "$2" = "$3" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAIL  %s: %s: wanted %s, got %s\n' "$lua" "$1" "$2" "$3"
    cat "$work/said"
  fi
}

# leaves CODE WHAT HOW TICKS
leaves() {
  code=$1
  shift
  alive spec/lives/exit.lua "$@" > "$work/said" 2>&1
  check "$*" "$code" $?
}

code_of() {
  case $1 in
    error) echo 1 ;;
    end) echo 0 ;;
    *) echo 3 ;;
  esac
}

# As leaves, by SIGTERM once the script says that it is ready.
terminated() {
  (
    # shellcheck disable=SC2086
    exec timeout --foreground -s KILL "$bound" sh -c \
      'echo $$; exec "$@"' sh ${preload:+env LD_PRELOAD="$preload"} $tool \
      "$lua" spec/lives/exit.lua "$@"
  ) > "$work/out" 2> "$work/said" &
  job=$!
  while read -r line; do
    case $line in
      ready) kill -TERM "$pid" ;;
      *) pid=$line ;;
    esac
  done < "$work/out"
  wait $job 2>/dev/null
  check "SIGTERM: $*" 143 $?
}

# Two loops that end by themselves, should this script be killed.
for _ in 1 2; do
  timeout 280 sh -c 'while :; do :; done' &
  load="$load $!"
done

for lua in ${FOUND_LUAS:-lua5.1 lua5.2 lua5.3 lua5.4 luajit}; do
  command -v "$lua" > /dev/null || continue
  export LUA_PATH="$PWD/lua/?.lua;;" LUA_CPATH="$PWD/$build/$lua/?.so;;"
  for what in transfers silent tls; do
    n=0
    while [ $n -lt "$runs" ]; do
      leaves 3 $what exit $n
      n=$((n + 1))
    done
    leaves 3 $what close 5
    leaves 1 $what error 5
    leaves 0 $what end 5
    leaves 3 $what callback 0
    leaves 3 $what task 0
    terminated $what signal 5
  done
  # With a name for files that are not whole yet, and without one.
  without=$preload
  for names in no yes; do
    for how in exit close error end callback task; do
      leaves "$(code_of $how)" saves $how 20
      nothing_saved "$how, names: $names"
    done
    [ $names = yes ] || {
      terminated saves signal 20
      nothing_saved SIGTERM
    }
    preload="${preload:+$preload }$PWD/$build/spec/no_tmpfile_preload.so"
  done
  preload=$without
  # A shell with the thread sanitizer in it, as the child's would be, crashes.
  [ "${FLAVOUR-}" != tsan ] || continue
  alive spec/lives/popen.lua > "$work/said" 2>&1
  check "a child by io.popen holds none of our descriptors" 0 $?
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
