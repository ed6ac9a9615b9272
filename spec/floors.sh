#!/bin/sh
# SPDX-License-Identifier: MIT
# A floor includes only itself and the floors below it: lua, client, net,
# rules, base. Only net/ knows curl, only lua/ knows Lua, only lua/ and rules/
# know jansson, and rules/ knows no threads and no I/O. freddy.h is open to all.
set -u
cd "$(dirname "$0")/.." || exit 1

# wrong_includes SRC FILE: each include of SRC/FILE that breaks the rule.
wrong_includes() {
  awk -v src="$1" -v file="$2" '
    BEGIN {
      split("base rules net client lua", names)
      for (i in names)
        floor[names[i]] = i
      room = file ~ /\// ? substr(file, 1, index(file, "/") - 1) : "client"
    }
    function system_header(name) {
      if (name ~ /^curl\//)
        return room == "net"
      if (name ~ /^(lua|lauxlib|lualib|luajit|luaconf)\.h/)
        return room == "lua"
      if (name ~ /^jansson\.h/)
        return room == "lua" || room == "rules"
      if (name ~ /^(pthread|threads|unistd|fcntl|netdb)\.h|^sys\/|^arpa\//)
        return room != "rules"
      return 1
    }
    function own_header(name) {
      if (name == "freddy.h")
        return 1
      if (name !~ /\//) {  # beside the file itself, else beside freddy.h
        beside = src "/" (file ~ /\// ? room "/" : "") name
        if ((getline line < beside) >= 0)
          return system_header(name)
        name = "client"
      }
      sub(/\/.*/, "", name)
      return name in floor && floor[name] <= floor[room]
    }
    /^[ \t]*#[ \t]*include[ \t]*</ {
      split($0, part, /[<>]/)
      if (!system_header(part[2]))
        print src "/" file ":" NR ": " $0
    }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
      split($0, part, /"/)
      if (!own_header(part[2]) || part[2] ~ /\.\./)
        print src "/" file ":" NR ": " $0
    }' "$1/$2"
}

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

for file in $(cd src && find . -name '*.[ch]' | sed 's|^\./||' | sort); do
  check "$file" "$(wrong_includes src "$file")"
done

# The check itself: each of these must be found.
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
mkdir "$made/base" "$made/rules" "$made/net" "$made/lua"
catches() {
  printf '#include %s\n' "$2" > "$made/$1"
  [ -n "$(wrong_includes "$made" "$1")" ] || echo "not found: $1 $2"
}
check "base includes rules" "$(catches base/a.c '"rules/url.h"')"
check "rules include net" "$(catches rules/a.c '"net/engine.h"')"
check "rules include threads" "$(catches rules/a.c '<pthread.h>')"
check "net includes Lua" "$(catches net/a.c '<lua.h>')"
check "net includes jansson" "$(catches net/a.c '<jansson.h>')"
check "client includes lua" "$(catches a.c '"lua/lua_core.h"')"
echo > "$made/config.h"
check "net includes client" "$(catches net/a.c '"config.h"')"
check "client includes curl" "$(catches a.c '<curl/curl.h>')"
check "lua includes curl" "$(catches lua/a.c '<curl/curl.h>')"
check "a way around" "$(catches base/a.c '"../net/engine.h"')"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
