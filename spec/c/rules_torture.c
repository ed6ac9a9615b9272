/* SPDX-License-Identifier: MIT */
/* Memory runs out: each allocation of a task fails in turn, alone and with
 * all that follow, until the task needs no more. Only the right result or
 * FREDDY_ENOMEM is accepted, and what was there before is still there; the
 * leak checker judges the rest. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"
#include "rules/header.h"
#include "rules/session.h"
#include "rules/redirect.h"
#include "rules/sse.h"
#include "rules/turn.h"
#include "rules/url.h"
#include "unit.h"

enum { PIECES = 100, MOST = 1000 };

static int task_buf(void) {
  struct fy_buf buf;
  size_t good = 0;
  int rc = FREDDY_OK;
  int i;

  fy_buf_init(&buf, 10000);
  for (i = 0; i < PIECES && rc == FREDDY_OK; i++) {
    rc = i % 2 ? fy_buf_adds(&buf, "0123456789")
               : fy_buf_addf(&buf, "%010d", i);
    good += rc == FREDDY_OK ? 10 : 0;
  }
  CHECK_INT(buf.size, good); /* a failed append leaves it as it was */
  CHECK(!good || strlen(buf.data) == good);
  if (rc == FREDDY_ENOMEM) { /* and it may be tried again */
    fy_mem_fail_after(-1, 0);
    CHECK_INT(fy_buf_adds(&buf, "0123456789"), FREDDY_OK);
    CHECK_INT(buf.size, good + 10);
  }
  fy_buf_clear(&buf);
  return rc;
}

static int task_join(void) {
  static const char base[] = "https://[2001:db8::1]:8443/a|b/";
  static const char path[] = "/caf\xC3\xA9 au lait?with=a long enough query";
  struct fy_url url;
  struct fy_buf out;
  int rc;

  fy_buf_init(&out, FY_MAX_URL);
  CHECK_INT(fy_url_split(base, strlen(base), &url, NULL), FREDDY_OK);
  rc = fy_url_join(&url, path, strlen(path), &out);
  if (rc == FREDDY_OK) {
    CHECK_TEXT(out.data,
               "https://[2001:db8::1]:8443/a%7Cb/caf%C3%A9%20au%20lait?"
               "with=a%20long%20enough%20query");
    rc = fy_url_encode("/", 1, &out);
  } else {
    CHECK_INT(out.size, 0);
    CHECK(!out.data || !out.data[0]);
  }
  fy_buf_clear(&out);
  return rc;
}

static int task_resolve(void) {
  static const char base[] = "https://[2001:db8::1]:8443/a|b/c/d?e";
  static const char text[] = "../caf\xC3\xA9 au lait?with=a long enough query";
  struct fy_url url;
  struct fy_buf out;
  int rc;

  fy_buf_init(&out, FY_MAX_URL);
  CHECK_INT(fy_url_split(base, strlen(base), &url, NULL), FREDDY_OK);
  rc = fy_url_resolve(&url, text, strlen(text), &out, NULL);
  CHECK_TEXT(out.data ? out.data : "",
             rc == FREDDY_OK
                 ? "https://[2001:db8::1]:8443/a%7Cb/caf%C3%A9%20au%20lait?"
                   "with=a%20long%20enough%20query"
                 : "");
  fy_buf_clear(&out);
  return rc;
}

static int task_redirect(void) {
  static const char *const lines[] = {"HTTP/1.1 302 X\r\n",
                                      "Location: ../x\r\n", "\r\n"};
  static const char base[] = "https://h/a/b/c";
  freddy_error err = {.code = FREDDY_OK};
  struct fy_headers answer;
  struct fy_url url;
  struct fy_step step = {.to_get = 0};
  struct fy_redirect seen = {.answer = &answer, .from = &url, .method = "GET"};
  int rc = FREDDY_OK;
  size_t i;

  CHECK_INT(fy_url_split(base, strlen(base), &url, NULL), FREDDY_OK);
  fy_headers_init(&answer, FY_MAX_HEADERS);
  for (i = 0; i < sizeof(lines) / sizeof(lines[0]) && !rc; i++) {
    rc = fy_headers_line(&answer, lines[i], strlen(lines[i]), &err);
  }
  if (rc == FREDDY_OK) {
    rc = fy_redirect_follow(&seen, &step, &err);
    CHECK_TEXT(step.text.data ? step.text.data : "",
               rc == FREDDY_OK ? "https://h/a/x" : "");
  }
  CHECK_INT(err.code, rc);
  fy_buf_clear(&step.text);
  fy_headers_clear(&answer);
  return rc;
}

/* In pieces, so that nothing can be borrowed. */
static int task_sse(void) {
  static const char body[] =
      "event: long\nid: 1\ndata: first line\ndata: second line\n\n";
  struct fy_sse_event event = {.data = NULL};
  freddy_error err = {.code = FREDDY_OK};
  struct fy_sse sse;
  int rc = FREDDY_OK;
  size_t i;

  fy_sse_init(&sse, FY_MAX_EVENT);
  for (i = 0; i < sizeof(body) - 1 && !rc; i++) {
    const char *at = body + i;
    size_t left = 1;

    CHECK(!event.data);
    rc = fy_sse_next(&sse, &at, &left, &event, &err);
  }
  CHECK_INT(err.code, rc);
  CHECK_BYTES(event.data, event.data_size,
              rc == FREDDY_OK ? "first line\nsecond line" : NULL, 22);
  CHECK(rc || (event.event_size == 4 && event.id_size == 1));
  fy_sse_clear(&sse);
  return rc;
}

static int task_turn(void) {
  static const char data[] =
      "{\"event\":\"response.block\",\"thread_id\":\"thrd_2\","
      "\"block\":{\"type\":\"tool_call\",\"id\":\"a\",\"call_id\":\"b\"}}";
  struct fy_sse_event event = {
      .event = "", .data = data, .data_size = sizeof(data) - 1};
  struct fy_turn_event seen;
  struct fy_turn turn;
  struct fy_buf path;
  int rc;

  fy_buf_init(&path, FY_MAX_URL);
  rc = fy_turn_init(&turn, "thrd_1", 6);
  if (!rc) {
    rc = fy_turn_take(&turn, &event, &seen);
    CHECK(rc || seen.tool == 0);
  }
  if (!rc) {
    rc = fy_turn_resume_path(&turn, "/p", 2, &path);
    CHECK(rc || strcmp(path.data, "/p/thrd_2/stream") == 0);
  }
  fy_buf_clear(&path);
  fy_turn_clear(&turn);
  return rc;
}

static int task_headers(void) {
  static const char *const lines[] = {
      "HTTP/1.1 100 Continue\r\n",
      "\r\n",
      "HTTP/1.1 200 OK\r\n",
      "Content-Length: 5\r\n",
      "X-First: a value that is long enough to need more room\r\n",
      " and goes on here, again longer than what there was before it came\r\n",
      "X-Second: another one, so that the buffer grows once more than "
      "that\r\n",
      "\r\n"};
  freddy_error err = {.code = FREDDY_OK};
  struct fy_headers headers;
  int rc = FREDDY_OK;
  size_t i;

  fy_headers_init(&headers, FY_MAX_HEADERS);
  for (i = 0; i < sizeof(lines) / sizeof(lines[0]) && !rc; i++) {
    rc = fy_headers_line(&headers, lines[i], strlen(lines[i]), &err);
  }
  CHECK_INT(err.code, rc);
  CHECK_INT(headers.complete, rc == FREDDY_OK);
  if (rc == FREDDY_OK) {
    CHECK_INT(headers.count, 3);
    CHECK_INT(headers.length, 5);
  } else {
    CHECK_TEXT(err.message, "out of memory");
  }
  fy_headers_clear(&headers);
  return rc;
}

static int task_secret(void) {
  struct fy_secret *secret = fy_secret_new("Bearer ", "token", 5);
  char *copy = NULL;
  int rc = FREDDY_ENOMEM;

  if (secret) {
    copy = fy_strndup(fy_secret_text(secret), fy_secret_size(secret));
  }
  if (copy) {
    CHECK_TEXT(copy, "Bearer token");
    rc = FREDDY_OK;
  }
  fy_free(copy);
  fy_secret_unref(secret);
  return rc;
}

static int task_session(void) {
  static const struct fy_session_owner owner = {"https://a.test", "session"};
  struct fy_kept_session session = {NULL, NULL, 1000, 2000};
  struct fy_kept_session back = {NULL, NULL, 0, 0};
  char *text = NULL;
  size_t size = 0;
  int rc = FREDDY_ENOMEM;

  session.access = fy_secret_new(NULL, "a", 1);
  session.refresh = fy_secret_new(NULL, "r", 1);
  if (session.access && session.refresh) {
    rc = fy_session_write(&session, &owner, &text, &size);
  }
  if (rc == FREDDY_OK) {
    enum fy_session_fault fault = fy_session_read(text, size, &owner, &back);

    CHECK(fault == FY_SESSION_GOOD || fault == FY_SESSION_NO_MEMORY);
    CHECK_INT(fy_session_is_same(&session, &back), fault == FY_SESSION_GOOD);
    rc = fault ? FREDDY_ENOMEM : FREDDY_OK;
  }
  fy_session_clear(&session);
  fy_session_clear(&back);
  fy_session_text_free(text, size);
  return rc;
}

static int task_calloc(void) {
  char *zeros = fy_calloc(4, 4);
  int rc = zeros ? FREDDY_OK : FREDDY_ENOMEM;

  CHECK(!zeros || !zeros[15]);
  fy_free(zeros);
  return rc;
}

static const struct {
  const char *name;
  int (*run)(void);
  long least; /* allocations that the task makes at the least */
} tasks[] = {{"buf", task_buf, 4},         {"join", task_join, 1},
             {"resolve", task_resolve, 2}, {"redirect", task_redirect, 3},
             {"headers", task_headers, 2}, {"secret", task_secret, 2},
             {"session", task_session, 5}, {"calloc", task_calloc, 1},
             {"sse", task_sse, 3},         {"turn", task_turn, 5}};

int main(void) {
  size_t i;
  int all_after;

  for (i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++) {
    for (all_after = 0; all_after < 2; all_after++) {
      long successes = -1;
      int rc = FREDDY_ENOMEM;

      while (rc == FREDDY_ENOMEM && successes < MOST) {
        successes++;
        UNIT_CASE("%s after %ld", tasks[i].name, successes);
        fy_mem_fail_after(successes, all_after);
        rc = tasks[i].run();
        CHECK(rc == FREDDY_OK || rc == FREDDY_ENOMEM);
      }
      CHECK_INT(rc, FREDDY_OK);
      CHECK(successes >= tasks[i].least);
      CHECK_INT(fy_mem_count(), successes);
    }
  }
  fy_mem_fail_after(-1, 0);
  return unit_end();
}
