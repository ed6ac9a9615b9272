-- SPDX-License-Identifier: MIT
--- The body of a request: from the options to what the core sends, and the
--- answers to the core's questions while it does.
local coroutines = require "freddy.coroutines"
local json = require "freddy.json"
local misuse = require "freddy.misuse"
local multipart = require "freddy.multipart"
local options = require "freddy.options"

local body = {}

-- A reader that has nothing yet is asked again, but not for ever.
local MAX_EMPTY = 1000

local KINDS = { "json", "body", "form", "multipart" }

local function has_content_type(headers)
  for i = 1, #headers, 2 do
    if headers[i]:lower() == "content-type" then
      return true
    end
  end
  return false
end

local function set_content_type(out, value)
  local headers = out.headers or {}
  if not has_content_type(headers) then
    headers[#headers + 1] = "Content-Type"
    headers[#headers + 1] = value
  end
  out.headers = headers
end

-- Which of the options gives the body; nil when none does.
local function kind_of(who, out, given)
  local found
  for _, kind in ipairs(KINDS) do
    if given[kind] ~= nil then
      if found then
        misuse.raise("%s: %s and %s exclude each other", who, found, kind)
      end
      found = kind
    end
  end
  if given.size ~= nil and type(given.body) ~= "function" then
    misuse.raise("%s: size is only for a body that is a function", who)
  elseif found and out.method == "HEAD" then
    misuse.raise("%s: a HEAD request cannot carry a body (option %s)", who,
      found)
  end
  return found
end

local set = {}

function set.json(who, out, given, codec)
  out.body = json.encode_option(who, given.json, codec)
  set_content_type(out, "application/json")
end

function set.body(_, out, given)
  if type(given.body) == "function" then
    out.reader, out.reader_size = true, given.size
    out.readers = { { read = given.body } }
  else
    out.body = given.body
  end
end

function set.form(who, out, given)
  out.body = options.form(who, given.form)
  set_content_type(out, "application/x-www-form-urlencoded")
end

function set.multipart(who, out, given)
  if out.headers and has_content_type(out.headers) then
    misuse.raise("%s: header \"Content-Type\" of a multipart body is set by "
      .. "freddy itself", who)
  end
  local content_type
  out.parts, out.readers, content_type =
    multipart.build(who, given.multipart)
  if #out.parts == 2 and out.parts[1] == "bytes" then
    out.body, out.parts = out.parts[2], nil -- sent without being asked for
  end
  set_content_type(out, content_type)
end

--- Put the body that the options ask for into the request.
---@param who string
---@param out table the request: method and headers are there
---@param given table its options
---@param codec? table for json
function body.set(who, out, given, codec)
  local kind = kind_of(who, out, given)
  if kind then
    set[kind](who, out, given, codec)
  end
end

-- --- Readers -------------------------------------------------------------

-- What is wrong with what a reader has returned; nil when nothing is.
local function complaint(ok, data, problem)
  if ok == nil then
    return "tried to wait"
  elseif not ok then
    return "raised: " .. misuse.text_of(data)
  elseif data == nil then
    return problem ~= nil and "returned nil, " .. misuse.text_of(problem)
      or nil
  elseif type(data) ~= "string" then
    return "returned " .. misuse.type_of(data) .. ", not a string"
  end
end

-- The next string of a reader, never empty; nil at its end. Or nil, and how
-- it failed.
local function read(reader, wanted)
  for _ = 1, MAX_EMPTY do
    local ok, data, problem = coroutines.call_without_waiting(
      "a body's reader", reader.read, wanted)
    local wrong = complaint(ok, data, problem)
    if wrong or data == nil then
      return nil, wrong
    elseif data ~= "" then
      return data
    end
  end
  return nil, ("returned an empty string %d times in a row"):format(MAX_EMPTY)
end

-- A reader may give more than it was asked for: what is left is kept.
local function next_piece(reader, wanted)
  local text, at = reader.rest, reader.at
  if not text then
    local problem
    text, problem = read(reader, wanted)
    if not text then
      return nil, problem
    end
    at = 1
  end
  if #text - at < wanted then
    reader.rest = nil
    return at == 1 and text or text:sub(at)
  end
  reader.rest, reader.at = text, at + wanted
  return text:sub(at, at + wanted - 1)
end

--- Answer the core's question for the next bytes of a body.
---@param entry table the request
---@param question integer
---@param wanted integer bytes at most
---@param part integer which of its parts
function body.answer(entry, question, wanted, part)
  local piece, problem = next_piece(entry.readers[part], wanted)
  local ok, err
  if not problem then
    ok, err = entry.call:answer(question, piece or "")
    problem = not ok and err.message or nil
  end
  if problem then
    entry.reader_problem = problem
    entry.call:answer(question, nil)
  end
end

--- Say how the reader failed, where the core knows only that it did.
---@param entry table the request
---@param raw freddy.core.Error
---@param redact fun(text: string): string
function body.explain(entry, raw, redact)
  if raw.kind == "body" and entry.reader_problem then
    raw.message = "the body's reader " .. redact(entry.reader_problem)
  end
end

return body
