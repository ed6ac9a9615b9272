/* SPDX-License-Identifier: MIT */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "rules/session.h"
#include "unit.h"

static const struct fy_session_owner owner = {"https://a.test/\"x\\", "k"};

/* The members of every row; what follows is given. */
#define HEAD                                           \
  "{\"freddy_session\":1,\"server\":\"https://a.test/" \
  "\\\"x\\\\\",\"kind\":\"k\""
#define TIMES ",\"obtained_at\":1000,\"expires_at\":2000.5"

static const struct {
  const char *name, *text;
  const char *access, *refresh;
  double obtained_at, expires_at;
} good[] = {
    {"no text", "", NULL, NULL, 0, 0},
    {"logged out", HEAD "}", NULL, NULL, 0, 0},
    {"logged out, with nulls",
     HEAD ",\"access_token\":null,\"refresh_token\":null,\"expires_at\":null,"
          "\"obtained_at\":null}",
     NULL, NULL, 0, 0},
    {"both", HEAD TIMES ",\"access_token\":\"a\",\"refresh_token\":\"r\"}",
     "a", "r", 1000, 2000.5},
    {"an access token", HEAD TIMES ",\"access_token\":\"a\"}", "a", NULL, 1000,
     2000.5},
    {"a refresh token", HEAD ",\"refresh_token\":\"r\"}", NULL, "r", 0, 0},
    {"no end", HEAD ",\"access_token\":\"a\",\"obtained_at\":7}", "a", NULL, 7,
     0},
    {"dead at once",
     HEAD ",\"access_token\":\"a\",\"obtained_at\":7,\"expires_at\":7}", "a",
     NULL, 7, 7},
    {"escapes", HEAD ",\"refresh_token\":\"\\u0061\\/\\\"\\\\!~\"}", NULL,
     "a/\"\\!~", 0, 0},
    {"members that are not known",
     HEAD ",\"refresh_token\":\"r\",\"note\":{\"access_token\":[1,\"x\"]}}",
     NULL, "r", 0, 0},
    {"the last of two",
     HEAD ",\"refresh_token\":\"r\",\"refresh_token\":\"s\"}", NULL, "s", 0,
     0},
    {"blanks", " \n\t" HEAD "\n ,\t\"refresh_token\" : \"r\" } \r\n", NULL,
     "r", 0, 0},
    {"a byte order mark", "\xEF\xBB\xBF" HEAD "}", NULL, NULL, 0, 0},
};

static const struct {
  const char *name, *text;
  enum fy_session_fault fault;
} bad[] = {
    {"a blank", " ", FY_SESSION_CORRUPT},
    {"no JSON", "access_token=a", FY_SESSION_CORRUPT},
    {"an array", "[1]", FY_SESSION_CORRUPT},
    {"a string", "\"freddy_session\"", FY_SESSION_CORRUPT},
    {"null", "null", FY_SESSION_CORRUPT},
    {"another program's", "{\"token\":\"a\"}", FY_SESSION_CORRUPT},
    {"two", HEAD "}" HEAD "}", FY_SESSION_CORRUPT},
    {"version 0", "{\"freddy_session\":0}", FY_SESSION_CORRUPT},
    {"version -1", "{\"freddy_session\":-1}", FY_SESSION_CORRUPT},
    {"version 1.0", "{\"freddy_session\":1.0}", FY_SESSION_CORRUPT},
    {"version \"1\"", "{\"freddy_session\":\"1\"}", FY_SESSION_CORRUPT},
    {"version 2", "{\"freddy_session\":2}", FY_SESSION_NEWER},
    {"version 2, like this one", "{\"freddy_session\":2,\"server\":\"s\"}",
     FY_SESSION_NEWER},
    {"no server", "{\"freddy_session\":1}", FY_SESSION_CORRUPT},
    {"a server that is none", "{\"freddy_session\":1,\"server\":7}",
     FY_SESSION_CORRUPT},
    {"another server",
     "{\"freddy_session\":1,\"server\":\"https://b.test\",\"kind\":\"k\","
     "\"refresh_token\":\"r\"}",
     FY_SESSION_OTHER_SERVER},
    {"a longer server",
     "{\"freddy_session\":1,\"server\":\"https://a.test/\\\"x\\\\y\"}",
     FY_SESSION_OTHER_SERVER},
    {"a server with a NUL",
     "{\"freddy_session\":1,\"server\":\"https://a.test/\\\"x\\\\\\u0000\"}",
     FY_SESSION_OTHER_SERVER},
    {"no kind",
     "{\"freddy_session\":1,\"server\":\"https://a.test/\\\"x\\\\\"}",
     FY_SESSION_CORRUPT},
    {"another kind",
     "{\"freddy_session\":1,\"server\":\"https://a.test/\\\"x\\\\\",\"kind\":"
     "\"K\"}",
     FY_SESSION_OTHER_KIND},
    {"an empty token", HEAD ",\"refresh_token\":\"\"}", FY_SESSION_CORRUPT},
    {"a token that is a number", HEAD ",\"refresh_token\":5}",
     FY_SESSION_CORRUPT},
    {"a token that is an object", HEAD ",\"refresh_token\":{\"token\":\"r\"}}",
     FY_SESSION_CORRUPT},
    {"a blank in a token", HEAD ",\"refresh_token\":\"a b\"}",
     FY_SESSION_CORRUPT},
    {"a line break in a token", HEAD ",\"refresh_token\":\"a\\r\\nb\"}",
     FY_SESSION_CORRUPT},
    {"a NUL in a token", HEAD ",\"refresh_token\":\"a\\u0000\"}",
     FY_SESSION_CORRUPT},
    {"a token that is not ASCII", HEAD ",\"refresh_token\":\"\xC3\xA4\"}",
     FY_SESSION_CORRUPT},
    {"a good and a bad token",
     HEAD TIMES ",\"access_token\":\"a\",\"refresh_token\":\"\"}",
     FY_SESSION_CORRUPT},
    {"a token without a time", HEAD ",\"access_token\":\"a\"}",
     FY_SESSION_CORRUPT},
    {"a time that is a string",
     HEAD ",\"access_token\":\"a\",\"obtained_at\":\"7\"}",
     FY_SESSION_CORRUPT},
    {"a time that is negative",
     HEAD ",\"access_token\":\"a\",\"obtained_at\":-7}", FY_SESSION_CORRUPT},
    {"a time beyond all", HEAD ",\"obtained_at\":1e300}", FY_SESSION_CORRUPT},
    {"an integer beyond all", HEAD ",\"obtained_at\":99999999999999999999999}",
     FY_SESSION_CORRUPT},
    {"an end before the beginning",
     HEAD ",\"access_token\":\"a\",\"obtained_at\":7,\"expires_at\":6}",
     FY_SESSION_CORRUPT},
    {"a life of two hundred years",
     HEAD ",\"access_token\":\"a\",\"obtained_at\":7,\"expires_at\":"
          "6311520000}",
     FY_SESSION_CORRUPT},
};

static void check_token(const struct fy_secret *token, const char *want) {
  CHECK_TEXT(token ? fy_secret_bare(token) : NULL, want);
}

static void test_reading(void) {
  struct fy_kept_session session;

  for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
    UNIT_CASE("%s", good[i].name);
    CHECK_INT(
        fy_session_read(good[i].text, strlen(good[i].text), &owner, &session),
        FY_SESSION_GOOD);
    check_token(session.access, good[i].access);
    check_token(session.refresh, good[i].refresh);
    CHECK(session.obtained_at == good[i].obtained_at);
    CHECK(session.expires_at == good[i].expires_at);
    CHECK_INT(fy_session_is_empty(&session),
              !good[i].access && !good[i].refresh);
    fy_session_clear(&session);
  }
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    UNIT_CASE("%s", bad[i].name);
    CHECK_INT(
        fy_session_read(bad[i].text, strlen(bad[i].text), &owner, &session),
        bad[i].fault);
    CHECK(!session.access && !session.refresh);
  }
  UNIT_CASE("%s", "");
}

static void make(struct fy_kept_session *session, const char *access,
                 const char *refresh, double obtained_at, double expires_at) {
  memset(session, 0, sizeof(*session));
  if (access) {
    session->access = fy_secret_new("Bearer ", access, strlen(access));
  }
  if (refresh) {
    session->refresh = fy_secret_new(NULL, refresh, strlen(refresh));
  }
  session->obtained_at = obtained_at;
  session->expires_at = expires_at;
}

/* What is written is read, whatever the locale; each cut of it is corrupt,
 * unless only the last line feed is missing. */
static void check_round(const struct fy_kept_session *session) {
  struct fy_kept_session back;
  char *text;
  size_t size;

  CHECK_INT(fy_session_write(session, &owner, &text, &size), FREDDY_OK);
  CHECK_INT(strlen(text), size);
  CHECK_INT(fy_session_read(text, size, &owner, &back), FY_SESSION_GOOD);
  CHECK(fy_session_is_same(session, &back));
  CHECK(back.obtained_at - session->obtained_at < 0.001 &&
        session->obtained_at - back.obtained_at < 0.001);
  CHECK(back.expires_at - session->expires_at < 0.001 &&
        session->expires_at - back.expires_at < 0.001);
  fy_session_clear(&back);
  for (size_t cut = 1; cut < size - 1; cut++) {
    UNIT_CASE("cut at %zu", cut);
    CHECK_INT(fy_session_read(text, cut, &owner, &back), FY_SESSION_CORRUPT);
  }
  UNIT_CASE("%s", "");
  CHECK_INT(fy_session_read(text, size - 1, &owner, &back), FY_SESSION_GOOD);
  fy_session_clear(&back);
  fy_session_text_free(text, size);
}

static void test_writing(void) {
  static const char *const locales[] = {"C", "de_DE.UTF-8", "fr_FR"};
  struct fy_kept_session session;

  for (size_t i = 0; i < sizeof(locales) / sizeof(locales[0]); i++) {
    if (!setlocale(LC_ALL, locales[i])) {
      continue;
    }
    make(&session, "an.access-token", "\"\\\\a\"~!", 1730000000.1234,
         1730086400.9996);
    check_round(&session);
    fy_session_clear(&session);
  }
  setlocale(LC_ALL, "C");
  make(&session, NULL, "r", 0, 0);
  check_round(&session);
  fy_session_clear(&session);
  make(&session, "a", NULL, 1, 1);
  check_round(&session);
  fy_session_clear(&session);
  check_round(&session);
}

static void test_largest(void) {
  char *token = malloc(FY_MAX_SECRET + 2);
  struct fy_kept_session session, back;
  char *text;
  size_t size;

  memset(token, '"', FY_MAX_SECRET + 1);
  token[FY_MAX_SECRET] = '\0';
  make(&session, token, token, 1000, 2000);
  CHECK_INT(fy_session_write(&session, &owner, &text, &size), FREDDY_OK);
  CHECK(size < FY_MAX_SESSION);
  CHECK_INT(fy_session_read(text, size, &owner, &back), FY_SESSION_GOOD);
  CHECK(fy_session_is_same(&session, &back));
  fy_session_clear(&back);
  fy_session_text_free(text, size);
  fy_session_clear(&session);
  token[FY_MAX_SECRET] = '"';
  token[FY_MAX_SECRET + 1] = '\0';
  make(&session, token, NULL, 1000, 2000);
  CHECK_INT(fy_session_write(&session, &owner, &text, &size), FREDDY_EMISUSE);
  fy_session_clear(&session);
  free(token);
  text = calloc(1, FY_MAX_SESSION + 1);
  memset(text, ' ', FY_MAX_SESSION + 1);
  memcpy(text, HEAD "}", strlen(HEAD "}"));
  CHECK_INT(fy_session_read(text, FY_MAX_SESSION, &owner, &back),
            FY_SESSION_GOOD);
  CHECK_INT(fy_session_read(text, FY_MAX_SESSION + 1, &owner, &back),
            FY_SESSION_CORRUPT);
  free(text);
}

static const struct {
  const char *name, *access, *refresh;
  double obtained_at, expires_at;
  const char *server, *kind;
} unwritable[] = {
    {"a blank", "a b", NULL, 1000, 2000, "s", "k"},
    {"a line feed", NULL, "a\n", 1000, 2000, "s", "k"},
    {"nothing in it", "", NULL, 1000, 2000, "s", "k"},
    {"not ASCII", "\xC3\xA4", NULL, 1000, 2000, "s", "k"},
    {"no time", "a", NULL, 0, 2000, "s", "k"},
    {"no number", "a", NULL, 1000, -1, "s", "k"},
    {"an end before the beginning", "a", NULL, 1000, 999, "s", "k"},
    {"no server", "a", NULL, 1000, 2000, "", "k"},
    {"NULL for a server", "a", NULL, 1000, 2000, NULL, "k"},
    {"a server with a control", "a", NULL, 1000, 2000, "s\n", "k"},
    {"no kind", "a", NULL, 1000, 2000, "s", ""},
};

static void test_unwritable(void) {
  for (size_t i = 0; i < sizeof(unwritable) / sizeof(unwritable[0]); i++) {
    struct fy_session_owner whose = {unwritable[i].server, unwritable[i].kind};
    struct fy_kept_session session;
    char *text;
    size_t size;

    UNIT_CASE("%s", unwritable[i].name);
    make(&session, unwritable[i].access, unwritable[i].refresh,
         unwritable[i].obtained_at, unwritable[i].expires_at);
    CHECK_INT(fy_session_write(&session, &whose, &text, &size),
              FREDDY_EMISUSE);
    CHECK(!text);
    fy_session_clear(&session);
  }
  UNIT_CASE("%s", "");
}

static void test_same(void) {
  struct fy_kept_session one, two, none;

  make(&one, "a", "r", 1000, 2000);
  make(&two, "a", "r", 5000, 6000);
  make(&none, NULL, NULL, 0, 0);
  CHECK(fy_session_is_same(&one, &two)); /* the times do not count */
  CHECK(fy_session_is_same(&none, &none));
  CHECK(!fy_session_is_same(&one, &none));
  CHECK(!fy_session_is_same(&none, &one));
  fy_session_clear(&two);
  make(&two, "a", NULL, 1000, 2000);
  CHECK(!fy_session_is_same(&one, &two));
  fy_session_clear(&two);
  make(&two, "a", "s", 1000, 2000);
  CHECK(!fy_session_is_same(&one, &two));
  fy_session_clear(&two);
  make(&two, "ab", "r", 1000, 2000);
  CHECK(!fy_session_is_same(&one, &two));
  fy_session_set(&two, &one);
  CHECK(two.access == one.access);
  fy_session_set(&two, &two);
  CHECK(fy_session_is_same(&one, &two));
  fy_session_clear(&one);
  check_token(two.access, "a");
  fy_session_clear(&two);
  fy_session_clear(&two);
}

static const struct {
  double obtained_at, expires_at, wall;
  int alive;
  fy_time since, life; /* at `now` = 1000 s */
} ages[] = {
    {5000, 6000, 5000, 1, 1000 * FY_SECOND, 1000 * FY_SECOND},
    {5000, 6000, 5400, 1, 600 * FY_SECOND, 1000 * FY_SECOND},
    {5000, 6000, 5989, 1, 11 * FY_SECOND, 1000 * FY_SECOND},
    {5000, 6000, 5990, 0, 10 * FY_SECOND, 1000 * FY_SECOND}, /* the margin */
    {5000, 5100, 5094, 1, 906 * FY_SECOND, 100 * FY_SECOND}, /* 5 % here */
    {5000, 5100, 5096, 0, 904 * FY_SECOND, 100 * FY_SECOND},
    {5000, 6000, 90000, 0, -84000 * FY_SECOND, 1000 * FY_SECOND},
    /* The wall clock stepped back. */
    {5000, 6000, 100, 1, 1000 * FY_SECOND, 1000 * FY_SECOND},
    {5000, 0, 5400, 1, 600 * FY_SECOND, FY_NEVER},
    {5000, 5000, 5000, 0, 1000 * FY_SECOND, 0},
};

static void test_ages(void) {
  for (size_t i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
    struct fy_token_grant grant;
    struct fy_kept_session session;

    UNIT_CASE("age %zu", i);
    make(&session, "a", i % 2 ? "r" : NULL, ages[i].obtained_at,
         ages[i].expires_at);
    CHECK_INT(fy_session_is_alive(&session, ages[i].wall), ages[i].alive);
    fy_session_grant(&session, ages[i].wall, 1000 * FY_SECOND, &grant);
    CHECK_INT(grant.since, ages[i].since);
    CHECK_INT(grant.life, ages[i].life);
    CHECK_INT(grant.has_refresh, i % 2);
    fy_session_clear(&session);
    make(&session, NULL, "r", ages[i].obtained_at, ages[i].expires_at);
    CHECK(!fy_session_is_alive(&session, ages[i].wall));
    fy_session_clear(&session);
  }
  UNIT_CASE("%s", "");
}

int main(void) {
  test_reading();
  test_writing();
  test_largest();
  test_unwritable();
  test_same();
  test_ages();
  return unit_end();
}
