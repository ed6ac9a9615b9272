-- SPDX-License-Identifier: MIT
-- luacheck: std lua54
--- HTTP/2: RST_STREAM and GOAWAY, at every moment.

local frames = require "lib.frames"
local log = require "lib.log"

local resets = {}

local json = '{"ok":true}'
local sized = {
  { "content-type", "application/json" }, { "content-length", #json },
}

-- Answer up to where `at` says. Without a length, and as text, the body
-- itself tells nobody whether it is whole.
local function answer_until(stream, at, bare, status)
  if at == "before" then
    return
  end
  stream:head(status or 200,
    bare and { { "content-type", "text/plain" } } or sized)
  if at == "head" then
    return
  end
  stream:data(json:sub(1, 4))
  if at ~= "body" then
    stream:data(json:sub(5), at ~= "unended")
  end
end

local function answer_rest(stream, at)
  if at == "before" then
    stream:answer(json)
  elseif at == "head" then
    stream:data(json, true)
  elseif at == "body" then
    stream:data(json:sub(5), true)
  end
end

resets["rst"] = {
  about = "RST_STREAM with `code`: `at` before the answer, behind its head, "
    .. "within its body, behind its last byte but before END_STREAM, or "
    .. "after that; with `bare=yes` no length says where that is; with "
    .. "`then` it closes or resets the connection at once",
  args = "code=CANCEL at=before|head|body|unended|after bare= status=200 "
    .. "then=serve|fin|reset",
  run = function(stream, _, args)
    answer_until(stream, args.at or "before", args.bare,
      tonumber(args.status))
    stream:reset(frames.code(args.code or "CANCEL"))
    return args["then"] ~= "serve" and args["then"] or nil
  end,
}

resets["rst-upload"] = {
  about = "RST_STREAM with `code` after `n` bytes of the request's body; "
    .. "with `answer=yes` a whole answer first (RFC 9113, 8.1)",
  args = "code=CANCEL n=1024 answer=",
  body = false,
  run = function(stream, _, args)
    stream:read_part(tonumber(args.n) or 1024)
    if args.answer then
      stream:answer(json, { status = 413 })
    end
    stream:reset(frames.code(args.code or "CANCEL"))
  end,
}

resets["refuse"] = {
  about = "the requests from the `from`th to the `to`th (counted for each "
    .. "`tag`) get RST_STREAM with REFUSED_STREAM, all others a right answer",
  args = "from=1 to=1",
  run = function(stream, _, args)
    local nth = log.count("refuse " .. (args.tag or ""))
    if nth >= (tonumber(args.from) or 1) and nth <= (tonumber(args.to) or 1)
    then
      stream:reset(frames.codes.REFUSED_STREAM)
    else
      stream:answer(json)
    end
  end,
}

-- Which stream GOAWAY names as the last that was or will be processed.
local function last_of(stream, last)
  if last == "none" then
    return 0
  elseif last == "below" then
    return math.max(0, stream.id - 2)
  elseif last == "above" then
    return stream.id + 10
  elseif last == "max" then
    return 0x7fffffff
  end
  return stream.id
end

resets["goaway"] = {
  about = "GOAWAY with `code`, naming as `last` a stream against this one's: "
    .. "`at` before the answer, behind its head, within its body or after "
    .. "it; then it goes on with the answer and serves on, or closes, "
    .. "resets, or stays silent",
  args = "last=at|none|below|above|max code=NO_ERROR "
    .. "at=before|head|body|after bare= then=serve|fin|reset|hold",
  run = function(stream, _, args)
    local at = args.at or "before"
    answer_until(stream, at, args.bare)
    stream:send(frames.goaway(last_of(stream, args.last),
      frames.code(args.code or "NO_ERROR"), "told to go"))
    if args["then"] and args["then"] ~= "serve" then
      return args["then"]
    end
    answer_rest(stream, at)
  end,
}

resets["goaway-once"] = {
  about = "the first request (counted for each `tag`) gets GOAWAY with a "
    .. "`last` that lets it not be, and no answer; all others a right one",
  args = "code=NO_ERROR",
  run = function(stream, _, args)
    if log.count("goaway " .. (args.tag or "")) == 1 then
      stream:send(frames.goaway(math.max(0, stream.id - 2),
        frames.code(args.code or "NO_ERROR")))
    else
      stream:answer(json)
    end
  end,
}

resets["goaway-gate"] = {
  about = "when the gate opens, GOAWAY with a `last` like that of `goaway`, "
    .. "and a right answer; what the others on the connection get is theirs",
  args = "gate=G last=at|none|below|above|max code=NO_ERROR",
  run = function(stream, _, args)
    stream:wait(function()
      return log.released(args.gate or "")
    end)
    stream:send(frames.goaway(last_of(stream, args.last),
      frames.code(args.code or "NO_ERROR")))
    stream:answer(json)
  end,
}

return resets
