-- SPDX-License-Identifier: MIT
--- Endpoints are data: each file of api/ is a group of them, and this module
--- makes their methods. The reference and the types are generated from the
--- same tables.
---
--- A group:    name     the field of the client: client.models
---             doc      one sentence
---             methods  array of methods
--- A method:   name     client.models:list
---             method   GET, POST, PUT, PATCH or DELETE
---             path     "/v1/threads/{thread_id}"; each {name} is a path
---                      parameter, given in this order
---             params   array of parameters; they go to the query for GET and
---                      DELETE, to the JSON body otherwise
---             public   true: needs no credential, so none is sent
---             answers  "json" or "stream": a model's answer, and how it comes
---             doc, returns   sentences for the reference
--- A parameter: name, type, doc; required: true when it must be given. Types:
---             string, integer, number, boolean, array, object, any
---
--- Parameters that are not listed pass through: the server may be newer than
--- this table.
local answer_stream = require "freddy.answer_stream"
local core = require "freddy.core"
local misuse = require "freddy.misuse"
local options = require "freddy.options"

local api = {}

local raise = misuse.raise

local TYPES = {
  string = function(value) return type(value) == "string" end,
  integer = options.is_integer,
  number = function(value) return type(value) == "number" end,
  boolean = function(value) return type(value) == "boolean" end,
  array = function(value) return type(value) == "table" end,
  object = function(value) return type(value) == "table" end,
  any = function() return true end,
}

local ARTICLES = { integer = "an integer", array = "an array",
  object = "an object (a table)", string = "a string", number = "a number",
  boolean = "true or false" }

local function encode_id(who, name, value)
  if options.is_integer(value) then
    value = options.number(value)
  elseif type(value) ~= "string" or value == "" then
    raise("%s: %s must be a non-empty string or an integer (got %s)", who,
      name, value == "" and "an empty one" or misuse.type_of(value))
  elseif value:find("%c") then
    raise("%s: %s holds a control character", who, name)
  end
  return core.encode_uri(value)
end

-- "/v1/threads/{thread_id}" -> { "/v1/threads/", "thread_id" }: text and names
-- in turn.
local function split_path(path)
  local pieces, at = {}, 1
  for before, name, after in path:gmatch("([^{]*){([%w_]+)}()") do
    pieces[#pieces + 1] = before
    pieces[#pieces + 1] = name
    at = after
  end
  pieces[#pieces + 1] = path:sub(at)
  return pieces
end

local function build_path(who, pieces, ids)
  local out = {}
  for i = 1, #pieces do
    out[i] = i % 2 == 1 and pieces[i]
      or encode_id(who, pieces[i], ids[i / 2])
  end
  return table.concat(out)
end

local function check_params(who, params, list)
  if type(params) ~= "table" then
    raise("%s: parameters must be a table (got %s)", who,
      misuse.type_of(params))
  end
  for i = 1, #list do
    local param = list[i]
    local value = params[param.name]
    if value == nil then
      if param.required then
        raise("%s: %s is required", who, param.name)
      end
    elseif value ~= core.null and not TYPES[param.type](value) then
      raise("%s: %s must be %s (got %s)", who, param.name,
        ARTICLES[param.type], misuse.type_of(value))
    end
  end
end

-- The request options of a call: the user's, with the parameters in place.
local function request_options(who, def, params, given)
  local out = {}
  if given ~= nil then
    options.check(who, given, answer_stream.options[def.answers]
      or options.endpoint)
    for name, value in pairs(given) do
      out[name] = value
    end
  end
  if params ~= nil then
    out[def.to_query and "query" or "json"] = params
  end
  if def.public and out.auth == nil then
    out.auth = false
  end
  return out
end

-- Everything about a method that does not change from call to call.
local function compile(group, method)
  local pieces = split_path(method.path)
  local verb = method.method
  return {
    who = ("client.%s:%s"):format(group.name, method.name),
    method = verb,
    path = pieces[1],
    pieces = #pieces > 1 and pieces or nil,
    ids = (#pieces - 1) / 2,
    params = method.params or {},
    public = method.public,
    to_query = verb == "GET" or verb == "DELETE",
    check = method.params ~= nil and #method.params > 0,
    answers = method.answers,
  }
end

local function prepare(def, ...)
  local who, count = def.who, def.ids
  local params, given = select(count + 1, ...)
  local path = def.path

  if select("#", ...) > count + 2 then
    raise("%s: takes at most %d arguments", who, count + 2)
  end
  if def.pieces then
    path = build_path(who, def.pieces, { ... })
  end
  if params ~= nil or def.check then
    check_params(who, params or {}, def.params)
  end
  if params == nil and given == nil and not def.public then
    return path
  end
  return path, request_options(who, def, params, given)
end

--- The class of one group's objects, with a method for each of its endpoints.
---@param group table
---@param fetch fun(client, who, method, path, options, answers): any, table
---@return table class a metatable
function api.class(group, fetch)
  local methods = {}
  local class = { __name = "freddy." .. group.name, __index = methods }

  for _, method in ipairs(group.methods) do
    local def = compile(group, method)
    methods[method.name] = function(self, ...)
      misuse.check_self(self, class, def.who)
      local path, given = prepare(def, ...)
      return fetch(self.client, def.who, def.method, path, given,
        def.answers)
    end
  end
  return class
end

--- Every group, in the order of the reference.
api.groups = {
  (require "freddy.api.models"), -- one value: 5.4 gives the file, too
  (require "freddy.api.health"),
  (require "freddy.api.responses"),
}

return api
