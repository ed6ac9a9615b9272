/* SPDX-License-Identifier: MIT */
/* A client's rate limit, and what is counted of it. */
#include <string.h>

#include "base/error.h"
#include "lua/fields.h"
#include "lua/lua_core.h"

static const char *const modes[] = {"adaptive", "plan", "off"};

static uint32_t count_read(lua_State *L, int table, const char *name) {
  int64_t count = fy_field_count(L, table, name, 0);

  return count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
}

/* { mode =, plan =, per_minute =, burst =, per_day = } at the top of the
 * stack. Pushes what `limit` borrows. */
static void rate_read(lua_State *L, freddy_rate_limit *limit,
                      freddy_error *err) {
  int table = lua_gettop(L);
  const char *mode = fy_field_text(L, table, "mode", err);

  for (int i = 0; mode && i < 3; i++) {
    if (strcmp(mode, modes[i]) == 0) {
      limit->mode = (freddy_rate_mode)i;
    }
  }
  limit->plan = fy_field_text(L, table, "plan", err);
  limit->per_minute = count_read(L, table, "per_minute");
  limit->burst = count_read(L, table, "burst");
  limit->per_day = count_read(L, table, "per_day");
}

void fy_rate_read(lua_State *L, int table, freddy_options *opts,
                  freddy_error *err) {
  opts->max_in_flight = count_read(L, table, "max_in_flight");
  lua_getfield(L, table, "rate_limit");
  if (lua_istable(L, -1)) {
    rate_read(L, &opts->rate_limit, err);
  } else if (!lua_isnil(L, -1)) {
    luaL_error(L, "rate_limit: table expected, got %s", luaL_typename(L, -1));
  }
}

int fy_l_client_set_rate_limit(lua_State *L) {
  freddy_client *client = fy_client_handle(L);
  freddy_rate_limit limit;
  freddy_error err;

  memset(&limit, 0, sizeof(limit));
  memset(&err, 0, sizeof(err));
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  luaL_checkstack(L, FY_FIELDS_STACK, "too many options");
  rate_read(L, &limit, &err);
  if (!client) {
    return fy_closed_return(L, "the client");
  }
  if (err.code || freddy_client_set_rate_limit(client, &limit, &err)) {
    return fy_error_return(L, &err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static void set_count(lua_State *L, const char *name, uint64_t count) {
  fy_lua_pushint64(L, (int64_t)count);
  lua_setfield(L, -2, name);
}

/* What is not known is not there. */
static void set_known(lua_State *L, const char *name, double value) {
  if (value >= 0) {
    lua_pushnumber(L, (lua_Number)value);
    lua_setfield(L, -2, name);
  }
}

int fy_l_client_rate(lua_State *L) {
  freddy_client *client = fy_client_handle(L);
  freddy_rate rate;

  if (!client) {
    return fy_nil_return(L);
  }
  freddy_client_rate(client, &rate);
  lua_createtable(L, 0, 13);
  lua_pushstring(L, modes[rate.mode]);
  lua_setfield(L, -2, "mode");
  if (rate.mode == FREDDY_RATE_PLAN) {
    set_count(L, "per_minute", rate.per_minute);
    set_count(L, "burst", rate.burst);
    set_count(L, "per_day", rate.per_day);
  }
  if (rate.room >= 0) {
    set_count(L, "room", (uint64_t)rate.room);
  }
  set_known(L, "wait", rate.next);
  if (rate.shared) {
    lua_pushboolean(L, rate.shared == FREDDY_RATE_SHARED);
    lua_setfield(L, -2, "shared");
  }
  set_known(L, "limit", rate.limit);
  set_known(L, "remaining", rate.remaining);
  set_known(L, "resets_in", rate.resets_in);
  set_count(L, "today", rate.today);
  set_count(L, "waiting", rate.waiting);
  set_count(L, "in_flight", rate.in_flight);
  return 1;
}

int fy_l_client_stats(lua_State *L) {
  freddy_client *client = fy_client_handle(L);
  freddy_client_stats stats;

  if (!client) {
    return fy_nil_return(L);
  }
  freddy_client_stats_get(client, &stats);
  lua_createtable(L, 0, 16);
  set_count(L, "requests", stats.requests);
  set_count(L, "failures", stats.failures);
  set_count(L, "attempts", stats.attempts);
  set_count(L, "retries", stats.retries);
  set_count(L, "refreshes", stats.refreshes);
  set_count(L, "waits", stats.waits);
  lua_pushnumber(L, (lua_Number)stats.waited);
  lua_setfield(L, -2, "waited");
  set_count(L, "bytes_sent", stats.bytes_sent);
  set_count(L, "bytes_received", stats.bytes_received);
  set_count(L, "connections_opened", stats.connections_opened);
  set_count(L, "connections_reused", stats.connections_reused);
  set_count(L, "waiting", stats.waiting);
  set_count(L, "in_flight", stats.in_flight);
  return 1;
}
