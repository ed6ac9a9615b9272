-- What all Lua versions share; nothing else is assumed.
std = "min"
max_line_length = 79
self = false
exclude_files = { "**/*.d.lua" } -- declarations for editors, never run
files["spec/**/*_spec.lua"] = { std = "min+busted" }
files["spec/hostile"] = { std = "lua54" } -- a server, always on lua5.4
files["emulator"] = { std = "min+ngx_lua" }
files["bench/cosocket.lua"] = { std = "min+ngx_lua" }
files["examples/nginx"] = { std = "min+ngx_lua" }
