---@meta freddy.core
-- SPDX-License-Identifier: MIT
-- The module of the C binding, for the language server and for readers. It is
-- what lua/freddy stands on, not an API for users: arguments of a wrong type
-- raise plainly, and nothing here waits for longer than 50 ms.

---@class freddy.core
---@field version string as in freddy.h
---@field null lightuserdata JSON's null: NULL, equal to cjson.null
---@field inline_json integer bytes; to decode more would hold up the host
local core = {}

--- Seconds of a clock that never steps back and counts time asleep.
---@return number seconds
function core.now() end

--- Random bytes of the operating system, as hexadecimal digits.
---@param count integer 1 to 32
---@return string digits two for each byte
function core.random(count) end

--- Native value to JSON. The message begins with the path to what cannot be
--- sent: `inputs[2].content: a function cannot be sent as JSON`.
---@param value any
---@return string? text
---@return string? message
function core.json_encode(value) end

--- JSON to native value. null is core.null, so the value is never nil.
---@param text string
---@return any? value
---@return string? message
function core.json_decode(text) end

--- Mark a table as an array, so that it is `[]` when it is empty.
---@param t? table a new one when nil
---@return table t
function core.json_array(t) end

---@param value any
---@return boolean
function core.json_is_array(value) end

--- Percent-encode one path segment, query name or query value. Raises when
--- the result is too long for a URL.
---@param text string
---@return string encoded
function core.encode_uri(text) end

--- The HTTP status that an error event would have had, by its code; 500 where
--- that tells nothing.
---@param json string its data
---@return integer status
function core.event_status(json) end

--- Whether `text` may be a header name or a method (RFC 9110 5.6.2).
---@param text string
---@return boolean
function core.is_token(text) end

--- Whether `text` may be a header value.
---@param text string
---@return boolean
function core.is_value(text) end

--- Whether every entry of a list, separated by commas or blanks, may stand in
--- `no_proxy`.
---@param list string
---@return boolean
function core.is_no_proxy(list) end

--- Who may set the header `name`: anybody, the credential options, or nobody
--- but the client.
---@param name string
---@param key_header? string the name that the client sends its key under
---@return "free"|"credential"|"ours" owner
function core.header_owner(name, key_header) end

--- What could not be done. `kind` "misuse" is to be raised at the caller.
---@class freddy.core.Error
---@field kind string freddy_error_name of the code
---@field reason? string one stable word
---@field message string one line; never holds a secret
---@field sent boolean whether any byte of the request may have left
---@field retry_after? number seconds
---@field uncertain? true the answer of a refresh was lost before

--- Seconds; nil or 0 is the default, negative is none.
---@class freddy.core.Timeouts
---@field connect? number
---@field first_byte? number
---@field stall? number
---@field event? number
---@field total? number
---@field auth? number of a client only

---@class freddy.core.Options
---@field base_url? string
---@field api_key? string
---@field token? string
---@field key_header? string
---@field user_agent? string
---@field ca_file? string path
---@field ca_blob? string PEM text
---@field client_cert? string path or PEM text
---@field client_key? string path or PEM text
---@field proxy? string URL, credentials included; never read from elsewhere
---@field no_proxy? string a list as core.is_no_proxy knows it
---@field headers? string[] name, value, name, value, ...
---@field timeout? freddy.core.Timeouts
---@field refresh_token? string with `token` or alone: a session
---@field expires_in? number seconds that `token` has left
---@field exchange? boolean `api_key` is exchanged for a session
---@field refresh_path? string
---@field token_path? string
---@field keep_warm? boolean
---@field store? string the path of a session file
---@field provider? boolean tokens come from a listener that provides
---@field exit_wait? number seconds; negative: none
---@field retries? integer 0: the default, 2; negative: none
---@field http1? boolean
---@field max_body? integer
---@field buffer? integer
---@field max_event? integer
---@field rate_limit? freddy.core.RateLimit
---@field plan_store? string the name of the store that shares a plan
---@field max_in_flight? integer nil or 0: the default

---@class freddy.core.RateLimit
---@field mode "adaptive"|"plan"|"off"
---@field plan? "standard"|"premium"
---@field per_minute? integer
---@field burst? integer nil or 0: per_minute
---@field per_day? integer nil or 0: none

--- Make a client. No I/O, no thread.
---@param options freddy.core.Options
---@return freddy.core.Client? client
---@return freddy.core.Error? err
function core.client(options) end

--- Make the place where the events of calls arrive. One for each Lua state.
---@return freddy.core.Inbox? inbox
---@return freddy.core.Error? err
function core.inbox() end

---@class freddy.core.Client
local client = {}

---@class freddy.core.Request
---@field method? string GET
---@field path string begins with "/", or a full URL
---@field plain? boolean there is nothing but method, path and json: the other
---  fields are not looked at, which takes as long as to read them
---@field headers? string[] name, value, name, value, ...
---@field body? string
---@field auth? "default"|"off"|"always"
---@field api_key? string for this request only
---@field timeout? freddy.core.Timeouts
---@field max_body? integer with save_to nil is none
---@field save_to? string the file that gets the body of a 2xx answer
---@field stream? boolean "head" and "data" events as they come
---@field events? boolean the answer is an event stream: call:events takes them
---@field turn? boolean with events: those of an answer of a model
---@field thread? string with turn: by which it can be resumed
---@field no_resume? boolean with turn
---@field http1? boolean HTTP/1.1, whatever the client's
---@field http2? boolean HTTP/2 where it is offered, whatever the client's
---@field pull? boolean with stream: what comes is taken by call:take; "ready"
---  events instead of "data"
---@field progress? boolean "progress" events as well
---@field retries? integer 0: the client's; negative: none
---@field idempotent? boolean
---@field retry_events? boolean "retry" events as well
---@field no_redirects? boolean a redirect is an answer like any other
---@field secrets? string[] texts in the body that nobody may see
---@field refresh_token? boolean the body names the session's refresh token
---@field json? boolean parse a large JSON body off the host's thread
---@field reader? boolean the body is asked for by "need_body" events
---@field reader_size? integer of such a body; nil: sent chunked
---@field parts? table kind, value, kind, value ... of a body that has several
---  pieces: "bytes", string | "file", path | "reader", size (-1: unknown)

--- Start sending. Never waits. The call keeps its client alive. Raises
--- "closed" when the client or the inbox was freed.
---@param inbox freddy.core.Inbox where the events arrive
---@param id integer positive; stands in every event of this call
---@param request freddy.core.Request
---@return freddy.core.Call? call
---@return freddy.core.Error? err
function client:start(inbox, id, request) end

--- End every call with kind "closed" and refuse new ones. Never waits.
function client:close() end

---@param kind "key"|"token"|"none"
---@param secret? string
---@return true? ok
---@return freddy.core.Error? err
function client:set_credential(kind, secret) end

--- Use a session from now on; at least one of the tokens is given.
---@param access? string
---@param refresh? string
---@param expires_in? number seconds that `access` has left
---@return true? ok
---@return freddy.core.Error? err
function client:set_session(access, refresh, expires_in) end

--- Renew the session; or only wait for what is under way; or forget it and
--- wait until its store has. The call ends with status 0. Never waits.
---@param inbox freddy.core.Inbox
---@param id integer
---@param how? "now"|"settle"|"forget"
---@param timeout? number seconds; nil: 600, negative: none
---@return freddy.core.Call? call
---@return freddy.core.Error? err
function client:renew(inbox, id, how, timeout) end

--- Listen to what becomes of the session: events "token", "need_token" and
--- "not_kept" (with a freddy.core.Error); and "need_permits", for a plan that
--- is shared.
--- Starts nothing, never waits.
---@param inbox freddy.core.Inbox
---@param id integer
---@param tokens boolean
---@param provides boolean
---@param failures? boolean
---@param permits? boolean
---@return freddy.core.Call? call
---@return freddy.core.Error? err
function client:listen(inbox, id, tokens, provides, failures, permits) end

--- Use the session in the answer of `call`, and mask its tokens there: before
--- the answer is looked at.
---@param call freddy.core.Call after its "done"
---@param must_have boolean whether an answer without a token is refused
---@param cause? "login"|"verify" for those who listen
---@return boolean? installed false also where there is no 2xx answer
---@return freddy.core.Error? err
function client:install(call, must_have, cause) end

--- Forget every credential, also those of clients that share the session.
function client:forget() end

---@class freddy.core.Status
---@field kind "key"|"token"|"session"|"provider"|"none"
---@field state string
---@field tail string
---@field refreshing boolean
---@field refreshes integer
---@field saving boolean whether the store is to get something
---@field expires_in? number
---@field last_error? string

--- How the credential stands. nil once the client is freed.
---@return freddy.core.Status? status
function client:status() end

--- As freddy_client_rate; fields that are not known are nil. nil once it is
--- freed.
---@return table? rate
function client:rate() end

--- Another limit, also for requests that wait already. Never waits.
---@param limit freddy.core.RateLimit
---@return true? done
---@return freddy.core.Error? err
function client:set_rate_limit(limit) end

--- As freddy_client_stats_get. nil once it is freed.
---@return table? stats
function client:stats() end

--- What the client has, and the last four characters of a secret that has 20
--- or more, else "".
---@return "key"|"token"|"session"|"provider"|"none" kind
---@return string tail
function client:credential() end

--- `text` with every secret that the client knows masked; nil once the client
--- is freed and knows none.
---@param text string
---@return string? masked
function client:redact(text) end

---@class freddy.core.Inbox
local inbox = {}

--- Whether something is waiting, after at most `seconds` or 50 ms, whichever
--- is less: then hooks can run, and a Ctrl-C that the main thread got
--- meanwhile is carried over to the running coroutine. Call it in a loop.
---@param seconds number negative: the whole 50 ms
---@return boolean? waiting nil once closed, as for all methods below
function inbox:wait(seconds) end

--- Whether something is waiting. One atomic load.
---@return boolean? waiting
function inbox:ready() end

--- Take the next event, or nil when there is none. After the id:
--- "head" | "data", string | "retry", attempt, delay, freddy.core.Error (or
--- { status =, sent = true }) | "progress", sent, send_total?, received,
--- receive_total? | "need_body", question, wanted, part | "token", question,
--- freddy.Tokens? | "need_token", question, why | "need_permits", question,
--- { count =, per_minute =, burst =, per_day = } | "ready" | "done". An event
--- for which Lua has no memory raises and is given again.
---@return integer? id
---@return "head"|"data"|"progress"|"retry"|"need_body"|"token"|"need_token"|"need_permits"|"ready"|"done" event
---@return any ...
function inbox:next() end

--- A descriptor that is readable while events wait. Only to be polled.
---@return integer? fd
---@return freddy.core.Error? err
function inbox:fd() end

--- Listen at a port of 127.0.0.1 for the host, which connects and sends the
--- secret at once: for hosts that wait only on connections of their own.
---@return integer? port nil once closed
---@return string|freddy.core.Error|nil secret
function inbox:bell() end

--- Whether the host has connected. Nothing listens then any more.
---@return boolean
function inbox:answer() end

--- Have one byte sent over the connection at the next event. false when
--- events wait already, or there is no connection.
---@return boolean armed
function inbox:arm() end

--- Close the connection of the bell.
function inbox:hang_up() end

--- Whether it belongs to a process of which this one is a fork.
---@return boolean? forked
function inbox:forked() end

--- A call that does nothing but end after `seconds`.
---@param id integer
---@param seconds number
---@return freddy.core.Call? call
---@return freddy.core.Error? err
function inbox:timer(id, seconds) end

--- A call that does nothing but have a text decoded elsewhere; its `data`
--- tells the rest.
---@param id integer
---@param text string
---@return freddy.core.Call? call
---@return freddy.core.Error? err
function inbox:decode(id, text) end

--- Cancel every call that reports here and deliver nothing more.
function inbox:close() end

---@class freddy.core.Call
local call = {}

--- End the call in whatever phase it is; its "done" event follows.
function call:cancel() end

--- Forget the call: it is cancelled and delivers nothing more.
function call:free() end

--- Whether its "done" event was taken. nil once freed.
---@return boolean? done
function call:done() end

--- How far it has come, whether it has ended or not. nil once freed.
---@return integer? attempts
---@return boolean? sent any byte of the request may have left
function call:tried() end

--- Answer a "need_body" event: the bytes, "" at the end of the reader, nil
--- when it failed.
---@param question integer
---@param data? string
---@return true? ok
---@return freddy.core.Error? err
function call:answer(question, data) end

--- Answer a "token" or a "need_token" event; to the latter the tokens, or why
--- there are none.
---@param question integer
---@param tokens? { access_token: string, refresh_token: string?,
---  expires_in: number? }
---@param failure? string
---@return true? ok
---@return freddy.core.Error? err
function call:answer_token(question, tokens, failure) end

--- Answer a "need_permits" event. Never waits.
---@param question integer
---@param permits? freddy.Permits nil: the store cannot be reached
---@param age? number seconds since the store was asked
---@return true? ok
---@return freddy.core.Error? err
function call:answer_permits(question, permits, age) end

---@class freddy.core.Timing
---@field waited number
---@field dns number
---@field connect number
---@field tls number
---@field first_byte number
---@field total number

---@class freddy.core.Head
---@field status integer
---@field headers string[] name, value, ... as they arrived
---@field url string where it came from, after redirects
---@field attempts integer
---@field http_version 10|11|20

---@class freddy.core.Response: freddy.core.Head
---@field body string "" when it was saved, or was to be
---@field timing freddy.core.Timing
---@field reused boolean on a connection that was open already
---@field sent integer body bytes on the wire
---@field received integer
---@field saved? integer bytes of the file at save_to; nil for 0

--- The answer, after "done" (nil before). Beside an error there is a response
--- when at least a head had arrived.
---@return freddy.core.Response? response
---@return freddy.core.Error? err
---@return freddy.core.Response? partial
function call:result() end

--- The next piece of a body that is pulled. nil: there is none, and "ready"
--- comes when there is; after "done" there is no more. One for which Lua has no
--- memory raises and is given again.
---@return string? piece
function call:take() end

--- The events that are there now, a few dozen at most, appended to the empty
--- table `list`; an error leaves there what it has got so far.
---@param list table
---@param class table their metatable
---@return table? first { event =, data =, id =, retry = }, of a turn also
---  class, status (of an error), tool and whole; nil as for call:take
function call:events(list, class) end

--- What is known of a streamed answer after "head".
---@return freddy.core.Head? head
function call:head() end

--- The body decoded from JSON, after "done": from the document that was made
--- off the host's thread when there is one, else parsed here.
---@return any? value
---@return string? message
function call:data() end

return core
