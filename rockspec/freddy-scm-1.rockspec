-- SPDX-License-Identifier: MIT
-- `luarocks make` in a checkout. LuaRocks looks at the libraries only: on
-- Debian curl's header lies in a folder that it does not search. The compiler
-- and pkg-config find it.
rockspec_format = "3.0"
package = "freddy"
version = "scm-1"
source = { url = "." }
description = {
  summary = "The client of the Freddy AI API",
  detailed = [[
HTTP, TLS and authentication in a C core on libcurl, on a thread of their own,
so that neither a game loop nor a server ever waits.]],
  license = "MIT",
}
supported_platforms = { "unix" }
dependencies = { "lua >= 5.1, < 5.5" }
external_dependencies = {
  CURL = { library = "curl" },
  JANSSON = { library = "jansson" },
  ZLIB = { library = "z" },
}
build = {
  type = "make",
  build_target = "module",
  install_target = "install-lua",
  variables = {
    LUA = "$(LUA)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    CFLAGS = "$(CFLAGS)",
    -- For CURL_DIR=/opt/curl and the like.
    CPPFLAGS = "-I$(CURL_INCDIR) -I$(JANSSON_INCDIR) -I$(ZLIB_INCDIR)",
    LDFLAGS = "-L$(CURL_LIBDIR) -L$(JANSSON_LIBDIR) -L$(ZLIB_LIBDIR)",
  },
  install_variables = {
    INST_LIBDIR = "$(LIBDIR)",
    INST_LUADIR = "$(LUADIR)",
  },
}
