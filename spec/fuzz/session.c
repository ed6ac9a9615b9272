/* SPDX-License-Identifier: MIT */
/* Input: the text of a session file, or, when it begins with a comma, what
 * follows the members that it must have: jansson does not tell the fuzzer how
 * to come by them. What is taken from it can be written and
 * read again, and is the same; what is refused leaves nothing behind. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "rules/session.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fy_session_owner owner = {"s", "k"};

static void check_round(const struct fy_kept_session *session) {
  struct fy_kept_session back;
  char *text;
  size_t size;

  MUST(fy_session_write(session, &owner, &text, &size) == FREDDY_OK);
  MUST(size <= FY_MAX_SESSION);
  MUST(fy_session_read(text, size, &owner, &back) == FY_SESSION_GOOD);
  MUST(fy_session_is_same(session, &back));
  MUST(back.obtained_at - session->obtained_at < 0.001);
  MUST(session->expires_at - back.expires_at < 0.001);
  fy_session_clear(&back);
  fy_session_text_free(text, size);
}

static const char head[] =
    "{\"freddy_session\":1,\"server\":\"s\","
    "\"kind\":\"k\"";

/* A block of its own, so that a look beyond its end is seen. */
static char *make_text(const uint8_t *data, size_t size, size_t *all) {
  size_t ahead = size && data[0] == ',' ? sizeof(head) - 1 : 0;
  char *text = malloc(ahead + size + 1);

  memcpy(text, head, ahead);
  if (size) {
    memcpy(text + ahead, data, size);
  }
  *all = ahead + size;
  if (ahead) {
    text[(*all)++] = '}';
  }
  return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fy_token_grant grant;
  struct fy_kept_session session;
  char *text = make_text(data, size, &size);
  enum fy_session_fault fault = fy_session_read(text, size, &owner, &session);

  free(text);
  if (fault) {
    MUST(fy_session_is_empty(&session));
    return 0;
  }
  check_round(&session);
  fy_session_grant(&session, 1730000000, 1000 * FY_SECOND, &grant);
  MUST(grant.since <= 1000 * FY_SECOND);
  MUST(grant.life >= 0);
  fy_session_clear(&session);
  return 0;
}
