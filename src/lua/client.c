/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/error.h"
#include "lua/fields.h"
#include "lua/json.h"
#include "lua/lua_core.h"

static const char *const credential_names[] = {"none",    "key",      "token",
                                               "session", "provider", NULL};

const char fy_client_mark = 0;

static struct lclient *check_client(lua_State *L) {
  return fy_class_check(L, 1, FY_CLIENT_MT, sizeof(struct lclient),
                        &fy_client_mark);
}

freddy_client *fy_client_handle(lua_State *L) {
  return check_client(L)->handle;
}

/* --- Making one --------------------------------------------------------- */

static void options_read(lua_State *L, int table, freddy_options *opts,
                         struct fy_pairs *headers, freddy_error *err) {
  luaL_checkstack(L, FY_FIELDS_STACK, "too many options");
  opts->base_url = fy_field_text(L, table, "base_url", err);
  opts->api_key = fy_field_text(L, table, "api_key", err);
  opts->token = fy_field_text(L, table, "token", err);
  opts->key_header = fy_field_text(L, table, "key_header", err);
  opts->user_agent = fy_field_text(L, table, "user_agent", err);
  opts->ca_file = fy_field_text(L, table, "ca_file", err);
  opts->ca_blob = fy_field_text(L, table, "ca_blob", err);
  opts->client_cert = fy_field_text(L, table, "client_cert", err);
  opts->client_key = fy_field_text(L, table, "client_key", err);
  opts->proxy = fy_field_text(L, table, "proxy", err);
  opts->no_proxy = fy_field_text(L, table, "no_proxy", err);
  opts->refresh_token = fy_field_text(L, table, "refresh_token", err);
  opts->refresh_path = fy_field_text(L, table, "refresh_path", err);
  opts->token_path = fy_field_text(L, table, "token_path", err);
  opts->store = fy_field_text(L, table, "store", err);
  opts->plan_store = fy_field_text(L, table, "plan_store", err);
  opts->expires_in = fy_field_seconds(L, table, "expires_in");
  opts->exchange = fy_field_flag(L, table, "exchange");
  opts->keep_warm = fy_field_flag(L, table, "keep_warm");
  opts->provider = fy_field_flag(L, table, "provider");
  opts->exit_wait = fy_field_seconds(L, table, "exit_wait");
  opts->http1 = fy_field_flag(L, table, "http1");
  opts->max_body = (size_t)fy_field_count(L, table, "max_body", 0);
  opts->buffer = (size_t)fy_field_count(L, table, "buffer", 0);
  opts->retries = fy_field_int(L, table, "retries");
  opts->max_event = (size_t)fy_field_count(L, table, "max_event", 0);
  fy_field_timeouts(L, table, &opts->timeout);
  fy_rate_read(L, table, opts, err);
  fy_pairs_init(L, table, "headers", headers);
}

/* A client without a handle. Its user value is a table that holds it, for
 * its calls to share: what they keep alive is the client. */
static struct lclient *client_push(lua_State *L) {
  struct lclient *client = lua_newuserdata(L, sizeof(*client));

  client->handle = NULL;
  client->closed = 1; /* until there is a handle */
  client->class = NULL;
  luaL_setmetatable(L, FY_CLIENT_MT);
  client->class = &fy_client_mark;
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, 1);
  fy_lua_setuservalue(L, -2);
  return client;
}

int fy_l_client_new(lua_State *L) {
  freddy_options opts;
  freddy_error err;
  struct fy_pairs headers;
  struct lclient *client;

  memset(&opts, 0, sizeof(opts));
  memset(&err, 0, sizeof(err));
  luaL_checktype(L, 1, LUA_TTABLE);
  options_read(L, 1, &opts, &headers, &err);
  client = client_push(L);
  opts.headers = fy_pairs_fill(L, &headers, &err);
  if (err.code || freddy_client_new(&opts, &client->handle, &err)) {
    return fy_error_return(L, &err);
  }
  client->closed = 0;
  return 1;
}

/* --- Starting a call ---------------------------------------------------- */

static freddy_auth auth_read(lua_State *L, int table) {
  static const char *const names[] = {"default", "off", "always"};
  const char *name = fy_field_text(L, table, "auth", NULL);
  int i;

  for (i = 0; name && i < 3; i++) {
    if (strcmp(name, names[i]) == 0) {
      return (freddy_auth)i;
    }
  }
  if (!lua_isnil(L, -1)) {
    luaL_error(L, "auth: default, off or always expected");
  }
  return FREDDY_AUTH_DEFAULT;
}

struct lists {
  struct fy_pairs headers, secrets;
};

static void extras_read(lua_State *L, int table, freddy_request *req,
                        struct lists *lists, freddy_error *err) {
  req->body = fy_field_bytes(L, table, "body", &req->body_size);
  req->api_key = fy_field_text(L, table, "api_key", err);
  req->auth = auth_read(L, table);
  req->body_reader = fy_field_flag(L, table, "reader");
  req->reader_size = fy_field_count(L, table, "reader_size", -1);
  req->parts = fy_field_parts(L, table, "parts", &req->part_count, err);
  req->max_body = (size_t)fy_field_count(L, table, "max_body", 0);
  req->save_to = fy_field_text(L, table, "save_to", err);
  req->stream = fy_field_flag(L, table, "stream");
  req->events = fy_field_flag(L, table, "events");
  req->turn = fy_field_flag(L, table, "turn");
  req->thread = fy_field_text(L, table, "thread", err);
  req->no_resume = fy_field_flag(L, table, "no_resume");
  req->http1 =
      fy_field_flag(L, table, "http1") - fy_field_flag(L, table, "http2");
  req->pull = req->events || fy_field_flag(L, table, "pull");
  req->progress = fy_field_flag(L, table, "progress");
  req->retries = fy_field_int(L, table, "retries");
  req->idempotent = fy_field_flag(L, table, "idempotent");
  req->retry_events = fy_field_flag(L, table, "retry_events");
  req->no_redirects = fy_field_flag(L, table, "no_redirects");
  req->refresh_token = fy_field_flag(L, table, "refresh_token");
  fy_field_timeouts(L, table, &req->timeout);
  fy_pairs_init(L, table, "headers", &lists->headers);
  fy_list_init(L, table, "secrets", &lists->secrets);
}

/* Most requests are plain, and a field that is not there costs as much. */
static void request_read(lua_State *L, int table, freddy_request *req,
                         struct lists *lists, freddy_error *err) {
  luaL_checkstack(L, FY_FIELDS_STACK, "too many options");
  req->method = fy_field_text(L, table, "method", err);
  req->path = fy_field_text(L, table, "path", err);
  req->reader_size = -1;
  if (fy_field_flag(L, table, "json")) {
    req->decoder = &fy_json_decoder;
  }
  if (!fy_field_flag(L, table, "plain")) {
    extras_read(L, table, req, lists, err);
  }
}

/* What begins every method that starts a call: client, inbox, id. */
struct starter {
  struct lclient *client;
  struct linbox *inbox;
  void *user;
};

static struct starter starter_read(lua_State *L) {
  struct starter who;
  lua_Integer id;

  who.client = check_client(L);
  who.inbox =
      fy_class_check(L, 2, FY_INBOX_MT, sizeof(struct linbox), &fy_inbox_mark);
  id = luaL_checkinteger(L, 3);
  luaL_argcheck(L, id > 0, 3, "a positive id expected");
  who.user = (void *)(intptr_t)id;
  return who;
}

static void starter_check_open(lua_State *L, const struct starter *who) {
  if (!who->client->handle || !who->inbox->handle) {
    luaL_error(L, "closed");
  }
}

static int l_client_start(lua_State *L) {
  struct starter who = starter_read(L);
  freddy_request req;
  freddy_error err;
  struct lists lists;
  struct lcall *call;

  luaL_checktype(L, 4, LUA_TTABLE);
  memset(&req, 0, sizeof(req));
  memset(&err, 0, sizeof(err));
  memset(&lists, 0, sizeof(lists));
  request_read(L, 4, &req, &lists, &err);
  req.user = who.user;
  call = fy_call_push(L, 1);
  req.headers = fy_pairs_fill(L, &lists.headers, &err);
  req.secrets = fy_pairs_fill(L, &lists.secrets, &err);
  starter_check_open(L, &who);
  if (err.code || freddy_start(who.client->handle, who.inbox->handle, &req,
                               &call->handle, &err)) {
    return fy_error_return(L, &err);
  }
  return 1;
}

/* inbox, id, "now" or "settle" or "forget", timeout. */
static int l_client_renew(lua_State *L) {
  static const char *const words[] = {"now", "settle", "forget", NULL};
  struct starter who = starter_read(L);
  int word = luaL_checkoption(L, 4, "now", words);
  freddy_renewal how;
  freddy_error err;
  struct lcall *call;

  memset(&err, 0, sizeof(err));
  how.settle = word == 1;
  how.forget = word == 2;
  how.timeout = luaL_optnumber(L, 5, 0);
  how.user = who.user;
  call = fy_call_push(L, 1);
  starter_check_open(L, &who);
  if (freddy_start_renewal(who.client->handle, who.inbox->handle, &how,
                           &call->handle, &err)) {
    return fy_error_return(L, &err);
  }
  return 1;
}

/* inbox, id, tokens, provides, failures, permits. */
static int l_client_listen(lua_State *L) {
  struct starter who = starter_read(L);
  freddy_listener how;
  freddy_error err;
  struct lcall *call;

  memset(&err, 0, sizeof(err));
  how.tokens = lua_toboolean(L, 4);
  how.provides = lua_toboolean(L, 5);
  how.failures = lua_toboolean(L, 6);
  how.permits = lua_toboolean(L, 7);
  how.user = who.user;
  call = fy_call_push(L, 1);
  starter_check_open(L, &who);
  if (freddy_listen(who.client->handle, who.inbox->handle, &how, &call->handle,
                    &err)) {
    return fy_error_return(L, &err);
  }
  return 1;
}

/* --- Credentials -------------------------------------------------------- */

static int l_client_set_credential(lua_State *L) {
  struct lclient *client = check_client(L);
  int kind = luaL_checkoption(L, 2, NULL, credential_names);
  const char *secret = NULL;
  size_t size = 0;
  freddy_error err;

  memset(&err, 0, sizeof(err));
  if (kind != FREDDY_NONE) {
    luaL_checktype(L, 3, LUA_TSTRING);
    secret = lua_tolstring(L, 3, &size);
  }
  if (!client->handle) {
    return fy_closed_return(L, "the client");
  }
  if (freddy_client_set_credential(client->handle, (freddy_credential)kind,
                                   secret, size, &err)) {
    return fy_error_return(L, &err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* access?, refresh?, expires_in? */
static int l_client_set_session(lua_State *L) {
  struct lclient *client = check_client(L);
  const char *access = luaL_optstring(L, 2, NULL);
  const char *refresh = luaL_optstring(L, 3, NULL);
  double expires_in = luaL_optnumber(L, 4, 0);
  freddy_error err;

  memset(&err, 0, sizeof(err));
  if (!client->handle) {
    return fy_closed_return(L, "the client");
  }
  if (freddy_client_set_session(client->handle, access, refresh, expires_in,
                                &err)) {
    return fy_error_return(L, &err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* call, must_have, cause ("login" or "verify"). true when there is a new
 * session; false when not; or nil and why the answer is not to be believed. */
static int l_client_install(lua_State *L) {
  static const char *const causes[] = {"login", "verify", NULL};
  struct lclient *client = check_client(L);
  struct lcall *call =
      fy_class_check(L, 2, FY_CALL_MT, sizeof(struct lcall), &fy_call_mark);
  int must_have = lua_toboolean(L, 3);
  int cause = luaL_checkoption(L, 4, "login", causes);
  int installed = 0;
  freddy_error err;

  memset(&err, 0, sizeof(err));
  if (!client->handle || !call->handle) {
    return fy_closed_return(L, "the client");
  }
  if (freddy_client_install(client->handle, call->handle, must_have,
                            causes[cause], &installed, &err)) {
    return fy_error_return(L, &err);
  }
  lua_pushboolean(L, installed);
  return 1;
}

static int l_client_forget(lua_State *L) {
  struct lclient *client = check_client(L);

  if (client->handle) {
    freddy_client_forget(client->handle);
  }
  return 0;
}

static int l_client_status(lua_State *L) {
  struct lclient *client = check_client(L);
  freddy_session_status status;

  if (!client->handle) {
    return fy_nil_return(L);
  }
  freddy_client_status(client->handle, &status);
  lua_createtable(L, 0, 8);
  lua_pushstring(L, credential_names[status.kind]);
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, status.state);
  lua_setfield(L, -2, "state");
  lua_pushstring(L, status.tail);
  lua_setfield(L, -2, "tail");
  lua_pushboolean(L, status.refreshing);
  lua_setfield(L, -2, "refreshing");
  lua_pushboolean(L, status.saving);
  lua_setfield(L, -2, "saving");
  fy_lua_pushint64(L, (int64_t)status.refreshes);
  lua_setfield(L, -2, "refreshes");
  if (status.expires_in >= 0) {
    lua_pushnumber(L, (lua_Number)status.expires_in);
    lua_setfield(L, -2, "expires_in");
  }
  if (status.last_error[0]) {
    lua_pushstring(L, status.last_error);
    lua_setfield(L, -2, "last_error");
  }
  return 1;
}

static int l_client_credential(lua_State *L) {
  struct lclient *client = check_client(L);
  char tail[5] = "";
  freddy_credential kind = FREDDY_NONE;

  if (client->handle) {
    kind = freddy_client_credential(client->handle, tail);
  }
  lua_pushstring(L, credential_names[kind]);
  lua_pushstring(L, tail);
  return 2;
}

/* nil once the client is freed: what can no longer be masked is not given
 * back. */
static int l_client_redact(lua_State *L) {
  struct lclient *client = check_client(L);
  const char *text;
  size_t size;
  char *out = NULL;
  struct lbox *box;

  luaL_checktype(L, 2, LUA_TSTRING);
  text = lua_tolstring(L, 2, &size);
  box = fy_box_push(L, freddy_free);
  if (!client->handle) {
    return fy_nil_return(L);
  }
  if (freddy_client_redact(client->handle, text, size, &out, &size)) {
    return luaL_error(L, "not enough memory");
  }
  box->memory = out;
  fy_box_unpack(L, box, size);
  return 1;
}

/* --- Ends --------------------------------------------------------------- */

static int l_client_close(lua_State *L) {
  struct lclient *client = check_client(L);

  client->closed = 1;
  if (client->handle) {
    freddy_client_close(client->handle);
  }
  return 0;
}

static int l_client_gc(lua_State *L) {
  struct lclient *client = check_client(L);
  freddy_client *handle = client->handle;

  client->class = NULL;
  client->handle = NULL; /* mark first: may be called twice */
  client->closed = 1;
  freddy_client_free(handle);
  return 0;
}

static int l_client_tostring(lua_State *L) {
  lua_pushstring(L, check_client(L)->closed ? FY_CLIENT_MT ": closed"
                                            : FY_CLIENT_MT ": open");
  return 1;
}

static const luaL_Reg methods[] = {
    {"start", l_client_start},
    {"rate", fy_l_client_rate},
    {"set_rate_limit", fy_l_client_set_rate_limit},
    {"stats", fy_l_client_stats},
    {"renew", l_client_renew},
    {"listen", l_client_listen},
    {"close", l_client_close},
    {"set_credential", l_client_set_credential},
    {"set_session", l_client_set_session},
    {"install", l_client_install},
    {"forget", l_client_forget},
    {"status", l_client_status},
    {"credential", l_client_credential},
    {"redact", l_client_redact},
    {NULL, NULL}};

static const luaL_Reg meta[] = {{"__gc", l_client_gc},
                                {"__close", l_client_close},
                                {"__tostring", l_client_tostring},
                                {NULL, NULL}};

void fy_client_open(lua_State *L) {
  fy_class_push(L, FY_CLIENT_MT, methods, meta);
  lua_pop(L, 1);
}
