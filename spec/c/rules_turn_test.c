/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "rules/member.h"
#include "rules/turn.h"
#include "turn_streams.h"
#include "unit.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* --- Streams ------------------------------------------------------------ */

static void trace_event(struct fy_buf *out, const struct fy_turn_event *seen) {
  static const char classes[] = "ncqte";
  static const char *const steps[] = {"", "-", ".", "!", "?"};
  int rc = fy_buf_add(out, seen->name.data, seen->name.size);

  rc += fy_buf_addf(out, " %c", classes[seen->class]);
  if (seen->class == FY_TURN_ERROR && seen->step != FY_TURN_SKIP) {
    rc += fy_buf_addf(out, "%d", seen->status);
  }
  if (seen->tool >= 0) {
    rc += fy_buf_addf(out, "#%d", seen->tool);
  }
  rc += fy_buf_addf(out, "%s%s;", seen->whole ? "+" : "", steps[seen->step]);
  CHECK_INT(rc, FREDDY_OK);
}

static void connection(struct fy_turn *turn, const char *body,
                       struct fy_buf *out) {
  struct fy_sse_event event = {.data = ""};
  const char *at = body;
  size_t left = strlen(body);
  struct fy_sse sse;

  fy_sse_init(&sse, FY_MIB);
  for (;;) {
    struct fy_turn_event seen;
    void *memory;

    CHECK_INT(fy_sse_next(&sse, &at, &left, &event, NULL), FREDDY_OK);
    if (!event.data) {
      break;
    }
    /* From memory of its own, so that a byte too many is seen. */
    memory = malloc(fy_sse_packed_size(&event));
    fy_sse_pack(&event, memory);
    fy_sse_unpack(memory, &event);
    CHECK_INT(fy_turn_take(turn, &event, &seen), FREDDY_OK);
    trace_event(out, &seen);
    free(memory);
  }
  fy_sse_clear(&sse);
}

/* 1 when another connection is to be made. */
static int end(struct fy_turn *turn, struct fy_buf *out) {
  const char *why;
  enum fy_turn_end end = fy_turn_end(turn, &why);
  struct fy_buf path;

  if (end != FY_TURN_RESUME) {
    CHECK(!why == (end == FY_TURN_GOOD));
    CHECK_INT(fy_buf_addf(out, end == FY_TURN_GOOD ? "good" : "cut %s", why),
              FREDDY_OK);
    return 0;
  }
  fy_buf_init(&path, FY_MAX_URL);
  CHECK_INT(fy_turn_resume_path(turn, PATH, strlen(PATH), &path), FREDDY_OK);
  CHECK(strncmp(path.data, PATH, strlen(PATH)) == 0);
  CHECK_INT(fy_buf_addf(out, "resume %s;", path.data + strlen(PATH)),
            FREDDY_OK);
  fy_buf_clear(&path);
  fy_turn_resume(turn);
  return 1;
}

static void test_streams(void) {
  size_t i, k;

  for (i = 0; i < COUNT(turn_streams); i++) {
    const struct turn_stream *row = &turn_streams[i];
    struct fy_turn turn;
    struct fy_buf out;

    UNIT_CASE("%s", row->what);
    fy_buf_init(&out, FY_MIB);
    CHECK_INT(fy_turn_init(&turn, row->thread,
                           row->thread ? strlen(row->thread) : 0),
              FREDDY_OK);
    for (k = 0; k < COUNT(row->connections) && row->connections[k]; k++) {
      connection(&turn, row->connections[k], &out);
      if (!end(&turn, &out)) {
        k++;
        break;
      }
    }
    CHECK(k == COUNT(row->connections) || !row->connections[k]);
    CHECK_TEXT(out.data, row->expected);
    fy_buf_clear(&out);
    fy_turn_clear(&turn);
  }
  UNIT_CASE("%s", "");
}

/* A stream that breaks at any byte is resumed, or was whole: what comes out of
 * both connections together is what comes out of one. */
static void test_every_cut(void) {
  static const char whole[] =
      ID("1", G3_PROCESSING) ID("2", G3_CREATED) FRAME(G3_BEAT)
          ID("3", G3_DELTA) ID("4", G3_DELTA) ID("5", G3_COMPLETED) DONE;
  static const char given[] =
      T_PROCESSING T_CREATED T_DELTA T_DELTA T_COMPLETED;
  size_t cut;

  for (cut = 0; cut < sizeof(whole); cut++) {
    char *body = strndup(whole, cut);
    struct fy_turn turn;
    struct fy_buf out, kept;
    const char *at;
    const char *why;

    UNIT_CASE("cut at %zu", cut);
    fy_buf_init(&out, FY_MIB);
    fy_buf_init(&kept, FY_MIB);
    CHECK_INT(fy_turn_init(&turn, "thrd_9", 6), FREDDY_OK);
    connection(&turn, body, &out);
    if (fy_turn_end(&turn, &why) == FY_TURN_RESUME) {
      fy_turn_resume(&turn);
      connection(&turn, whole, &out);
    }
    CHECK_INT(fy_turn_end(&turn, &why), FY_TURN_GOOD);
    for (at = out.data; at && *at; at = strchr(at, ';') + 1) {
      const char *next = strchr(at, ';');

      if (next[-1] != '-' && next[-1] != '.' && next[-1] != 'q') {
        CHECK_INT(fy_buf_add(&kept, at, (size_t)(next + 1 - at)), FREDDY_OK);
      }
    }
    CHECK_TEXT(kept.data, given);
    fy_buf_clear(&out);
    fy_buf_clear(&kept);
    fy_turn_clear(&turn);
    free(body);
  }
  UNIT_CASE("%s", "");
}

static void test_tries(void) {
  CHECK(fy_turn_may_try_again(408) && fy_turn_may_try_again(429));
  CHECK(fy_turn_may_try_again(500) && fy_turn_may_try_again(503));
  CHECK(!fy_turn_may_try_again(404) && !fy_turn_may_try_again(401));
  CHECK(!fy_turn_may_try_again(200) && !fy_turn_may_try_again(302));
}

/* --- Errors ------------------------------------------------------------- */

static void test_status(void) {
  static const struct {
    const char *json;
    int status;
  } rows[] = {
      {"", 500},
      {"[DONE]", 500},
      {"{}", 500},
      {"{\"code\":\"\"}", 500},
      {"{\"code\":\"WHO_KNOWS\"}", 500},
      {"{\"status\":\"failed\",\"message\":\"x\"}", 500},
      {"{\"status\":409}", 409},
      {"{\"status\":200}", 500},
      {"{\"status\":\"409\"}", 500},
      {"{\"code\":429}", 429},
      {"{\"status_code\":404,\"error_type\":\"x\"}", 404},
      {"{\"error\":{\"code\":\"X\",\"status\":418}}", 418},
      {"{\"status\":500,\"error\":{\"code\":\"TOKEN_EXPIRED\"}}", 401},
      {"{\"code\":\"TOKEN_EXPIRED\"}", 401},
      {"{\"code\":\"TOKEN_MISSING_SUBJECT\"}", 401},
      {"{\"code\":\"TOKEN_LIMIT_EXCEEDED\"}", 429},
      {"{\"code\":\"TOKEN_QUOTA_REACHED\"}", 429},
      {"{\"code\":\"TOKEN_BUDGET_SPENT\"}", 429},
      {"{\"error\":{\"type\":\"token_rate_limit\"}}", 429},
      {"{\"code\":\"AUTHENTICATION_REQUIRED\"}", 401},
      {"{\"code\":\"missing_authentication\"}", 401},
      {"{\"code\":\"INVALID_API_KEY\"}", 401},
      {"{\"code\":\"invalid-api-key\"}", 401},
      {"{\"code\":\"API_KEY_PAUSED\"}", 401},
      {"{\"code\":\"API_KEY_NOT_FOUND\"}", 404},
      {"{\"code\":\"INVALID_CREDENTIALS\"}", 401},
      {"{\"code\":\"ACCOUNT_SUSPENDED\"}", 403},
      {"{\"code\":\"INSUFFICIENT_PERMISSIONS\"}", 403},
      {"{\"code\":\"ORGANIZATION_ACCESS_DENIED\"}", 403},
      {"{\"code\":\"AMBIGUOUS_ORGANIZATION\"}", 403},
      {"{\"code\":\"CANNOT_DELETE_OWNER\"}", 403},
      {"{\"code\":\"RESOURCE_NOT_FOUND\"}", 404},
      {"{\"code\":\"THREAD_ALREADY_EXISTS\"}", 409},
      {"{\"code\":\"VALIDATION_ERROR\"}", 422},
      {"{\"code\":\"INVALID_EMAIL_FORMAT\"}", 422},
      {"{\"code\":\"rate_limit\"}", 429},
      {"{\"code\":\"RATE_LIMIT_EXCEEDED\"}", 429},
      {"{\"code\":\"INSUFFICIENT_QUOTA\"}", 429},
      {"{\"code\":\"SERVICE_UNAVAILABLE\"}", 503},
      {"{\"code\":\"MODEL_OVERLOADED\"}", 503},
      {"{\"code\":\"UPSTREAM_TIMEOUT\"}", 504},
      {"{\"code\":\"INTERNAL_ERROR\"}", 500},
      {"{\"error\":{\"code\":\"rate_limit\",\"message\":\"x\"}}", 429},
      {"{\"error\":{\"type\":\"authentication_error\"}}", 401},
      {"{\"error\":{\"type\":\"authorization_error\"}}", 403},
      {"{\"error\":{\"type\":\"rate_limit_error\"}}", 429},
      {"{\"error\":{\"type\":\"validation_error\"}}", 422},
      {"{\"error\":{\"type\":\"server_error\"}}", 500},
      {"{\"error_type\":\"Validation Error\"}", 422},
      {"{\"error\":\"TOKEN_EXPIRED\"}", 500},
  };
  size_t i;

  for (i = 0; i < COUNT(rows); i++) {
    UNIT_CASE("%s", rows[i].json);
    CHECK_INT(fy_turn_status(rows[i].json, strlen(rows[i].json)),
              rows[i].status);
  }
  UNIT_CASE("%s", "");
}

/* --- Members ------------------------------------------------------------ */

static void test_members(void) {
  static const struct {
    const char *json;
    const char *kinds; /* of a and b, "-" for none; NULL: no object */
    const char *a;     /* its text or what stands there */
  } rows[] = {
      {"{}", "--", ""},
      {" \t\r\n{ } \n", "--", ""},
      {"{\"a\":\"x\"}", "\"-", "x"},
      {"{ \"a\" : \"x\" , \"b\" : 1 }", "\"0", "x"},
      {"{\"a\":-1.5e+3,\"b\":true}", "0t", "-1.5e+3"},
      {"{\"a\":null,\"b\":false}", "nf", "null"},
      {"{\"a\":{\"b\":[1,{\"c\":\"}\"}]},\"b\":[]}", "{[",
       "{\"b\":[1,{\"c\":\"}\"}]}"},
      {"{\"a\":\"\\\"}\",\"b\":\"\\\\\"}", "\"\"", "\"}"},
      {"{\"a\":\"1\",\"a\":\"2\"}", "\"-", "2"},
      {"{\"\\u0061\":\"x\"}", "\"-", "x"},
      {"{\"\\u0061b\":\"x\",\"aa\":1,\"\":2}", "--", ""},
      {"{\"a\":\"\\b\\f\\n\\r\\t\\/\\\\\\\"\"}", "\"-", "\b\f\n\r\t/\\\""},
      {"{\"a\":\"\\u00e9\\u20AC\\ud83d\\ude00\"}", "\"-",
       "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
      {"{\"a\":\"\\q\"}", "\"-", NULL},
      {"{\"a\":\"\\u12g4\"}", "\"-", NULL},
      {"{\"a\":\"\\ud83d\"}", "\"-", NULL},
      {"{\"a\":\"\\ud83d\\u0041\"}", "\"-", NULL},
      {"{\"a\":\"\\ude00\"}", "\"-", NULL},
      {"", NULL, NULL},
      {"[]", NULL, NULL},
      {"\"a\"", NULL, NULL},
      {"{", NULL, NULL},
      {"{\"a\":1", NULL, NULL},
      {"{\"a\":1}x", NULL, NULL},
      {"{\"a\":1}}", NULL, NULL},
      {"{\"a\":1,}", NULL, NULL},
      {"{\"a\" 1}", NULL, NULL},
      {"{a:1}", NULL, NULL},
      {"{\"a\":}", NULL, NULL},
      {"{\"a\":x}", NULL, NULL},
      {"{\"a\":\"x}", NULL, NULL},
      {"{\"a\":\"x\\\"}", NULL, NULL},
      {"{\"a\":[1}", NULL, NULL},
      {"{\"a\":[\"]}", NULL, NULL},
      {"{,\"a\":1}", NULL, NULL},
  };
  size_t i, k;

  for (i = 0; i < COUNT(rows); i++) {
    struct fy_member members[] = {{.name = "a"}, {.name = "b"}};
    size_t size = strlen(rows[i].json);
    char *own = malloc(size ? size : 1);
    char text[64];

    UNIT_CASE("%s", rows[i].json);
    memcpy(own, rows[i].json, size);
    CHECK_INT(fy_members_find(own, size, members, 2), rows[i].kinds != NULL);
    for (k = 0; k < 2; k++) {
      char kind = rows[i].kinds ? rows[i].kinds[k] : '-';

      CHECK_INT(members[k].kind, kind == '-' ? 0 : kind);
    }
    if (members[0].kind == '"') {
      long length = fy_member_text(&members[0], text, sizeof(text));

      CHECK_TEXT(length < 0 ? NULL : text, rows[i].a);
      CHECK(length < 0 || (size_t)length == strlen(text));
      CHECK_INT(fy_member_is(&members[0], "x"),
                rows[i].a && strcmp(rows[i].a, "x") == 0);
    } else if (members[0].kind) {
      CHECK_BYTES(members[0].value.data, members[0].value.size, rows[i].a,
                  strlen(rows[i].a));
      CHECK_INT(fy_member_text(&members[0], text, sizeof(text)), -1);
    }
    free(own);
  }
  UNIT_CASE("%s", "");
}

static void test_member_bounds(void) {
  static const char json[] =
      "{\"a\":\"0123456789\",\"b\":9223372036854775807,"
      "\"c\":9223372036854775808,\"d\":-1,\"e\":1.0,\"f\":\"1\",\"g\":00}";
  struct fy_member members[] = {{.name = "a"}, {.name = "b"}, {.name = "c"},
                                {.name = "d"}, {.name = "e"}, {.name = "f"},
                                {.name = "g"}};
  char text[15];

  CHECK(fy_members_find(json, sizeof(json) - 1, members, 7));
  CHECK_INT(fy_member_text(&members[0], text, 15), 10);
  CHECK_INT(fy_member_text(&members[0], text, 11), -1);
  CHECK_INT(fy_member_text(&members[0], text, 0), -1);
  CHECK_INT(fy_member_number(&members[0]), -1);
  CHECK_INT(fy_member_number(&members[1]), INT64_MAX);
  CHECK_INT(fy_member_number(&members[2]), -1);
  CHECK_INT(fy_member_number(&members[3]), -1);
  CHECK_INT(fy_member_number(&members[4]), -1);
  CHECK_INT(fy_member_number(&members[5]), -1);
  CHECK_INT(fy_member_number(&members[6]), 0);
}

/* More calls than anybody makes are not put together, and cost nothing. */
static void test_many_calls(void) {
  struct fy_turn turn;
  int i;

  CHECK_INT(fy_turn_init(&turn, NULL, 0), FREDDY_OK);
  for (i = 0; i < FY_MAX_TOOL_CALLS + 2; i++) {
    struct fy_span name = {.data = "response.block", .size = 14}, json;
    char text[128];

    json.size = (size_t)snprintf(
        text, sizeof(text),
        "{\"block\":{\"type\":\"tool_call\",\"id\":\"call %d\"}}", i);
    json.data = text;
    CHECK_INT(fy_turn_tool_slot(&turn, name, json),
              i < FY_MAX_TOOL_CALLS ? i : -1);
  }
  fy_turn_clear(&turn);
}

int main(void) {
  test_streams();
  test_every_cut();
  test_tries();
  test_status();
  test_members();
  test_member_bounds();
  test_many_calls();
  return unit_end();
}
