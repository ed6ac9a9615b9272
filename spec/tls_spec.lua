-- SPDX-License-Identifier: MIT
--- TLS that is not right: each is `tls`, and the server saw no byte of a key.

local freddy = require "freddy"
local helper = require "spec.helper"

local KEY = "a-key-that-must-not-leave"

-- A client of one of the hostile server's listeners, which trusts its CA.
local function new_client(listener, options)
  local given = {
    api_key = KEY, base_url = helper.env("HOSTILE_" .. listener),
    ca_file = helper.env "HOSTILE_CA_FILE", retries = 0,
  }
  for name, value in pairs(options or {}) do
    given[name] = value ~= false and value or nil
  end
  return freddy.assert(freddy.new(given))
end

local function get(listener, options)
  local client = new_client(listener, options)
  local res, err = client:get "/s/ok"
  client:close()
  return res, err
end

-- The connections of a listener since the reset, all of them over.
local function connections(listener)
  local list = helper.hostile_log {
    listener = listener:lower(), connections = 1, closed = 1, timeout = 10,
  }
  assert.is_true(#list > 0)
  return list
end

-- What the listener decrypted, and what came off the wire where it did not
-- even try: nothing of the request.
local function saw_nothing(listener)
  for _, entry in ipairs(connections(listener)) do
    assert.equal(0, entry.received)
    assert.equal(0, entry.request_count)
    assert.is_nil((entry.first_bytes or ""):find(KEY, 1, true))
  end
end

local function refused(err, reason)
  assert.equal("tls", err.kind)
  assert.equal(reason, err.reason)
  assert.is_false(err.sent)
  assert.equal(reason == "handshake_cut", err.retryable)
  assert.is_nil(err.response)
  helper.documented(err)
end

setup(function()
  helper.reset()
end)

before_each(function()
  helper.hostile_reset()
end)

describe("a certificate", function()
  for name, reason in pairs {
    TLS_EXPIRED = "expired", TLS_NOT_YET = "not_yet_valid",
    TLS_WRONG_HOST = "wrong_host", TLS_UNKNOWN_CA = "unknown_ca",
    TLS_SELF_SIGNED = "self_signed",
  } do
    for _, version in ipairs { "2", "1.1" } do
      it(("is refused: %s, HTTP/%s"):format(reason, version), function()
        local res, err = get(name, { http_version = version })
        assert.is_nil(res)
        refused(err, reason)
        saw_nothing(name)
      end)
    end
  end

  it("is refused whatever the method, and its body is not sent", function()
    local client = new_client "TLS_WRONG_HOST"
    for _, method in ipairs { "POST", "PUT", "DELETE" } do
      local _, err = client:request {
        method = method, path = "/s/ok", body = KEY,
      }
      refused(err, "wrong_host")
    end
    client:close()
    saw_nothing "TLS_WRONG_HOST"
  end)

  it("of the right CA is taken", function()
    local client = new_client "TLS_OK"
    local res = freddy.assert(client:get(
      helper.hostile("ok", { ["end"] = "fin" }, "HOSTILE_TLS_OK")))
    assert.equal(200, res.status)
    client:close()
    local log = helper.hostile_log { listener = "tls_ok", requests = 1,
      timeout = 10 }
    local last = log[#log]
    assert.is_true(last.received > 0) -- so the count can be other than 0
    assert.truthy(last.first_bytes:find(KEY, 1, true))
  end)

  it("of a private CA is unknown to the system's store", function()
    local _, err = get("TLS_OK", { ca_file = false })
    refused(err, "unknown_ca")
  end)

  it("of another CA than ca_file's is unknown", function()
    local _, err = get("TLS_OK", { ca_file = helper.ca_file })
    refused(err, "unknown_ca")
  end)

  it("is judged anew for a client that trusts less", function()
    local trusting = new_client "TLS_OK"
    freddy.assert(trusting:get "/s/ok") -- its connection stays open
    for _, ca_file in ipairs { false, helper.ca_file } do
      local _, err = get("TLS_OK", { ca_file = ca_file })
      refused(err, "unknown_ca")
    end
    freddy.assert(trusting:get "/s/ok")
    trusting:close()
  end)
end)

describe("a handshake", function()
  for _, name in ipairs { "TLS_11", "TLS_GARBAGE", "TLS_CLOSE" } do
    it("that goes wrong is tls: " .. name, function()
      local res, err = get(name)
      assert.is_nil(res)
      refused(err, name == "TLS_CLOSE" and "handshake_cut" or nil)
      saw_nothing(name)
    end)
  end

  it("that is reset is tls or connect", function()
    local res, err = get "TLS_RESET"
    assert.is_nil(res)
    assert.truthy(err.kind == "tls" or err.kind == "connect")
    assert.is_false(err.sent)
    saw_nothing "TLS_RESET"
  end)

  for _, version in ipairs { "2", "1.1" } do
    it("that is never answered fails in time, twenty at once, HTTP/"
      .. version, function()
        local client = freddy.assert(freddy.new {
          api_key = KEY, http_version = version, timeout = { connect = 0.2 },
          base_url = "https://" .. helper.env "HOSTILE_SILENT",
        })
        local fns = {}
        for i = 1, 20 do
          fns[i] = function()
            return client:get "/"
          end
        end
        local results, errs = freddy.all(fns)
        for i = 1, 20 do
          assert.is_nil(results[i])
          assert.equal("timeout", errs[i].kind)
          assert.equal("connect", errs[i].reason)
          assert.is_false(errs[i].sent)
        end
        client:close()
        for _, entry in ipairs(connections "silent") do
          assert.is_nil(entry.first_bytes:find(KEY, 1, true))
        end
      end)
  end
end)

-- A server that speaks one version only and ends with its first connection.
-- Its page tells which version that was.
local SERVER = [[
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT &&
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
  -subj /CN=spec -addext subjectAltName=IP:127.0.0.1 \
  -keyout "$dir/key.pem" -out "$dir/ca.pem" 2>/dev/null &&
echo "CA $dir/ca.pem" &&
timeout 30 openssl s_server -%s -www -naccept 1 -accept 127.0.0.1:0 \
  -cert "$dir/ca.pem" -key "$dir/key.pem" </dev/null 2>/dev/null
]]

describe("TLS", function()
  for option, name in pairs { tls1_2 = "TLSv1.2", tls1_3 = "TLSv1.3" } do
    it("may be " .. name, function()
      local pipe = io.popen(SERVER:format(option))
      local ca_file, port
      for line in pipe:lines() do
        ca_file = ca_file or line:match "^CA (.+)$"
        port = line:match "^ACCEPT .*:(%d+)$"
        if port then
          break
        end
      end
      assert.truthy(port)
      local client = freddy.assert(freddy.new {
        api_key = KEY, base_url = "https://127.0.0.1:" .. port,
        ca_file = ca_file,
      })
      local res = freddy.assert(client:get "/")
      client:close()
      assert.equal(200, res.status)
      assert.equal(name, res.body:match "Protocol *: *(%S+)")
      pipe:close()
    end)
  end

  it("1.3 is what the emulator and freddy agree on", function()
    local client = helper.client()
    local res = freddy.assert(client:get "/v1/echo")
    assert.equal("TLSv1.3", res.data.tls.protocol)
    client:close()
  end)
end)

describe("the environment", function()
  local SCRIPT = [[
    local freddy = require "freddy"
    local client = freddy.assert(freddy.new {
      api_key = "k", base_url = %q, ca_file = %s,
    })
    local res, err = client:get "/s/ok"
    print(res and res.status or err.kind .. " " .. tostring(err.reason))
  ]]

  it("names no store", function()
    local ca_file = helper.env "HOSTILE_CA_FILE"
    local output = helper.script(
      SCRIPT:format(helper.env "HOSTILE_TLS_OK", "nil"),
      { SSL_CERT_FILE = ca_file, CURL_CA_BUNDLE = ca_file,
        FREDDY_CA_FILE = ca_file }) -- read only with a key from there
    assert.equal("tls unknown_ca", output:match "^[^\n]*")
  end)

  it("does not bring TLS 1.1 back", function()
    local file = os.tmpname()
    local handle = assert(io.open(file, "w"))
    handle:write("openssl_conf = o\n[o]\nssl_conf = s\n[s]\n"
      .. "system_default = d\n[d]\nMinProtocol = TLSv1\n"
      .. "CipherString = DEFAULT@SECLEVEL=0\n")
    handle:close()
    local output = helper.script(
      SCRIPT:format(helper.env "HOSTILE_TLS_11",
        ("%q"):format(helper.env "HOSTILE_CA_FILE")),
      { OPENSSL_CONF = file })
    os.remove(file)
    assert.equal("tls nil", output:match "^[^\n]*")
    saw_nothing "TLS_11"
  end)
end)

describe("ca_file", function()
  for name, path in pairs {
    ["is missing"] = "/nowhere/ca.pem", ["is empty"] = "/dev/null",
    ["is a folder"] = "/", ["is no certificate"] = helper.top .. "/LICENSE",
  } do
    it("that " .. name .. " is an error", function()
      local res, err = get("TLS_OK", { ca_file = path })
      assert.is_nil(res)
      refused(err, "ca_file")
      assert.truthy(err.message:find "no CA found"
        or err.message:find "not a regular file", err.message)
    end)
  end
end)

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

local GARBAGE = "-----BEGIN CERTIFICATE-----\nnothing\n"

describe("ca_blob", function()
  it("takes the place of the system's store", function()
    local ca = read(helper.env "HOSTILE_CA_FILE")
    for _, version in ipairs { "2", "1.1" } do
      local client = new_client("TLS_OK", {
        ca_file = false, ca_blob = ca, http_version = version,
      })
      freddy.assert(client:get "/s/ok?end=fin")
      client:close()
    end
    local _, err = get("TLS_OK", {
      ca_file = false, ca_blob = read(helper.ca_file) })
    refused(err, "unknown_ca")
    _, err = get("TLS_UNKNOWN_CA", { ca_file = false, ca_blob = ca })
    refused(err, "unknown_ca")
  end)

  it("that holds no certificate is an error", function()
    for _, text in ipairs { "x", GARBAGE, read(helper.top .. "/LICENSE") } do
      local _, err = get("TLS_OK", { ca_file = false, ca_blob = text })
      refused(err, "ca_blob")
      assert.truthy(err.hint:find "ca_blob")
    end
  end)

  it("and ca_file exclude each other", function()
    helper.raises_here(function()
      freddy.new { api_key = KEY, ca_file = "/x", ca_blob = GARBAGE }
    end, "ca_file and ca_blob exclude each other")
  end)

  it("keeps FREDDY_CA_FILE from being read", function()
    local output = helper.script(([[
      local freddy = require "freddy"
      local client = freddy.assert(freddy.new { ca_blob = %q })
      print((freddy.assert(client:get "/s/ok").status))
    ]]):format(read(helper.env "HOSTILE_CA_FILE")), {
      FREDDY_API_KEY = "k", FREDDY_CA_FILE = "/nowhere",
      FREDDY_BASE_URL = helper.env "HOSTILE_TLS_OK",
    })
    assert.equal("200", output:match "^[^\n]*")
  end)
end)

describe("client_cert", function()
  local CERT = helper.env "HOSTILE_CLIENT_CERT"
  local CERT_KEY = helper.env "HOSTILE_CLIENT_KEY"
  local OTHER = helper.env "HOSTILE_CLIENT_OTHER_CERT"
  local OTHER_KEY = helper.env "HOSTILE_CLIENT_OTHER_KEY"

  local function show(cert, key, version)
    local client = new_client("TLS_CLIENT_CERT", {
      client_cert = cert, client_key = key, http_version = version,
    })
    local res, err = client:get "/s/ok?end=fin"
    client:close()
    return res, err
  end

  local function unusable(err)
    assert.equal("tls", err.kind)
    assert.equal("client_cert", err.reason)
    assert.is_false(err.sent)
    assert.is_nil(tostring(err):find("BEGIN", 1, true))
  end

  -- A file of its own, gone after `fn`.
  local function with_file(text, fn)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
    fn(path)
    os.remove(path)
  end

  it("is shown to a server that asks for it", function()
    for _, version in ipairs { "2", "1.1" } do
      assert.equal(200, freddy.assert(show(CERT, CERT_KEY, version)).status)
      freddy.assert(show(read(CERT), read(CERT_KEY), version))
      freddy.assert(show(CERT, read(CERT_KEY), version))
      freddy.assert(show(read(CERT), CERT_KEY, version))
    end
    with_file(read(CERT_KEY) .. read(CERT), function(both)
      freddy.assert(show(both))
    end)
  end)

  it("is missed, or refused, by such a server", function()
    for _, pair in ipairs { {}, { OTHER, OTHER_KEY } } do
      local _, err = show(pair[1], pair[2])
      assert.equal("tls", err.kind)
      assert.equal("client_cert_refused", err.reason)
      assert.truthy(err.message:find "alert ")
      assert.truthy(err.hint:find "client_cert")
      assert.is_false(err.retryable)
    end
    for _, entry in ipairs(connections "TLS_CLIENT_CERT") do
      assert.equal(0, entry.received)
    end
  end)

  it("is one client's: its connection is not lent", function()
    local known = new_client("TLS_CLIENT_CERT", {
      client_cert = CERT, client_key = CERT_KEY,
    })
    freddy.assert(known:get "/s/ok")
    for _, pair in ipairs { {}, { OTHER, OTHER_KEY },
        { read(OTHER), read(OTHER_KEY) } } do
      local _, err = show(pair[1], pair[2])
      assert.equal("client_cert_refused", err.reason)
    end
    freddy.assert(known:get "/s/ok?end=fin")
    known:close()
  end)

  it("is for the client's own origin, as a credential is", function()
    local far = helper.env "HOSTILE_TLS_CLIENT_CERT" .. "/s/ok?end=fin"
    local given = { client_cert = CERT, client_key = CERT_KEY }
    local client = new_client("TLS_OK", given)
    local path = "/s/redirect?to=" .. far:gsub("[^%w]", function(char)
      return ("%%%02X"):format(char:byte())
    end)
    for _, asked in ipairs { path, far } do
      local _, err = client:get(asked)
      assert.equal("client_cert_refused", err.reason)
    end
    assert.equal(200, freddy.assert(client:get(far, { auth = true })).status)
    client:close()
    client = new_client("TLS_CLIENT_CERT", given)
    freddy.assert(client:get "/s/redirect?to=/s/ok%3fend=fin")
    freddy.assert(client:get("/s/ok?end=fin", { auth = false }))
    client:close()
  end)

  it("that cannot be used is an error", function()
    unusable(select(2, show("/nowhere/cert.pem", CERT_KEY)))
    unusable(select(2, show(CERT, "/nowhere/key.pem")))
    unusable(select(2, show(helper.top .. "/LICENSE", CERT_KEY)))
    unusable(select(2, show(CERT, helper.top .. "/LICENSE")))
    unusable(select(2, show(CERT)))
    unusable(select(2, show("/", "/")))
    unusable(select(2, show("/dev/null", CERT_KEY)))
    unusable(select(2, show(GARBAGE, CERT_KEY)))
    unusable(select(2, show(CERT, GARBAGE)))
    unusable(select(2, show(CERT, OTHER_KEY)))
    unusable(select(2, show(read(CERT), read(OTHER_KEY))))
  end)

  it("has a key without a passphrase: nobody is asked", function()
    local pipe = io.popen(("openssl pkey -aes128 -passout pass:x -in '%s'")
      :format(CERT_KEY))
    local encrypted = pipe:read "*a"
    pipe:close()
    assert.truthy(encrypted:find "ENCRYPTED")
    unusable(select(2, show(CERT, encrypted)))
    with_file(encrypted, function(path)
      unusable(select(2, show(CERT, path)))
    end)
  end)

  it("and ca_file are no pipes, which would hold everyone up", function()
    local path = os.tmpname()
    os.remove(path)
    assert(os.execute(("mkfifo '%s'"):format(path)))
    unusable(select(2, show(path, CERT_KEY)))
    unusable(select(2, show(CERT, path)))
    local _, err = get("TLS_OK", { ca_file = path })
    refused(err, "ca_file")
    os.remove(path)
  end)

  it("raises where it is misused, and shows nothing", function()
    local key = read(CERT_KEY)
    for words, given in pairs {
      ["needs a client_cert"] = { client_key = key },
      ["give it as client_key"] = { client_cert = read(CERT) .. key },
      ["needs a client_key"] = { client_cert = read(CERT) },
      ['"client_cert" must be'] = { client_cert = "a\nb" },
      ['"client_key" must be'] = { client_cert = "a", client_key = "" },
    } do
      given.api_key = KEY
      local message = helper.raises_here(function()
        freddy.new(given)
      end, words)
      assert.is_nil(message:find("BEGIN", 1, true))
    end
  end)
end)

it("no option turns the check off", function()
  for _, name in ipairs {
    "verify", "insecure", "ssl_verify", "verify_host", "verify_peer", "tls",
  } do
    helper.raises_here(function()
      freddy.new { api_key = KEY, [name] = false }
    end, "unknown option")
  end
  local client = new_client "TLS_EXPIRED"
  for _, name in ipairs { "verify", "insecure", "ssl_verify", "ca_file" } do
    helper.raises_here(function()
      client:get("/s/ok", { [name] = false })
    end, "unknown option")
  end
  client:close()
end)
