#!/bin/sh
# SPDX-License-Identifier: MIT
# Ctrl-C, sent to the stock interpreters while they wait for an answer: on
# the main thread and inside coroutines, whenever it comes, whether they do the
# engine's work meanwhile, and without a debugger's hook being taken for it.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
passed=0
failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
mkfifo "$work/out" || exit 1

# A sanitizer's library has to come first in the process, and in that one
# only: the loader is asked for it, since children would inherit LD_PRELOAD.
case ${FLAVOUR-} in
  asan) runtime=$(${CC:-cc} -print-file-name=libasan.so) ;;
  tsan) runtime=$(${CC:-cc} -print-file-name=libtsan.so) ;;
  *) runtime= ;;
esac
host=
if [ -n "$runtime" ]; then
  host="$(ldd /bin/sh | sed -n 's|^[[:space:]]*\(/[^ ]*/ld-[^ ]*\) .*|\1|p')"
  host="$host --preload $runtime"
fi

# forever() ends by itself only when no interrupt comes.
prelude='
local core = require("freddy.core")
local inbox = assert(core.inbox())
local limit = core.now() + 60
local function say(text)
  io.write(text, "\n")
  io.flush()
end
local function forever()
  say("ready")
  repeat
    inbox:wait(1)
  until core.now() > limit
  say("never interrupted")
end
-- As forever, but doing the work of the engine: as is done after some answers
-- on one connection, while one more is waited for.
local function answers()
  local client = assert(core.client {
    base_url = os.getenv "FY_TEST_HOSTILE", api_key = "a-key" })
  local calls = {}
  local function start(path)
    calls[#calls + 1] = assert(client:start(inbox, #calls + 1,
      { path = path }))
  end
  start "/s/never"
  for id = 2, 20 do
    start "/s/ok"
    repeat
      local ended, what = inbox:next()
      if not ended then inbox:wait(1) end
    until ended == id and what == "done" or core.now() > limit
  end
  forever()
end
local function report(ok, message)
  say(tostring(ok) .. " " .. tostring(message):gsub("^.*: ", ""))
  for i = 1, 1000 do
    math.abs(i)
  end
  say("and once")
end
'

# check NAME WANTED SCRIPT: SIGINT is sent when the script says "ready";
# WANTED is all that it says but that, its last line of error and its status.
check() {
  # shellcheck disable=SC2086
  $host "$(command -v "$lua")" -e "$prelude$3" > "$work/out" \
    2> "$work/err" &
  pid=$!
  got=
  while read -r line; do
    if [ "$line" = ready ]; then
      kill -INT "$pid"
    else
      got="$got$line, "
    fi
  done < "$work/out"
  wait "$pid"
  status=$?
  error=$(sed -n 's/^.*\(interrupted!\).*$/\1/p' "$work/err" | head -n 1)
  got="$got${error:+$error, }$status"
  if [ "$got" = "$2" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAIL  %s: %s\n  wanted: %s\n  got:    %s\n' "$lua" "$1" "$2" \
      "$got"
    cat "$work/err"
  fi
}

for lua in ${FOUND_LUAS:-lua5.1 lua5.2 lua5.3 lua5.4 luajit}; do
  command -v "$lua" > /dev/null || continue
  export LUA_CPATH="$PWD/$build/$lua/?.so;;"

  check "ends a wait on the main thread" "interrupted!, 1" 'forever()'

  check "can be caught there, once" "false interrupted!, and once, 0" \
    'report(pcall(forever))'

  check "ends a wait in a coroutine, once" \
    "false interrupted!, and once, 0" '
    report(coroutine.resume(coroutine.create(forever)))'

  check "passes out of a coroutine that does not catch it" \
    "interrupted!, 1" 'coroutine.wrap(forever)()'

  check "ends a wait in a coroutine within a coroutine" \
    "false interrupted!, and once, 0" '
    coroutine.wrap(function()
      report(coroutine.resume(coroutine.create(forever)))
    end)()'

  check "ends a wait that does the engine's work" "interrupted!, 1" \
    'answers()'

  check "can be caught there, once, and in a coroutine" \
    "false interrupted!, and once, 0" '
    report(coroutine.resume(coroutine.create(answers)))'

  # The handler runs while the coroutine computes, before it waits.
  # shellcheck disable=SC2016
  check "ends a wait that begins after it" \
    "false interrupted!, and once, 0" '
    report(coroutine.resume(coroutine.create(function()
      io.popen("kill -INT $PPID"):close()
      repeat
        inbox:wait(1)
      until core.now() > limit
    end)))'

  check "is not seen in a hook of debug.sethook" "true crl, and once, 0" '
    local waits = coroutine.create(function()
      inbox:wait(0)
      return 1
    end)
    local function hook() end
    debug.sethook(hook, "crl", 1)
    local ok, one = coroutine.resume(waits)
    local _, mask = debug.gethook()
    debug.sethook()
    report(ok, one == 1 and mask)'
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
