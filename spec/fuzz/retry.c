/* SPDX-License-Identifier: MIT */
/* Input: eight bytes of what happened, then what a server says: Retry-After,
 * Date, and a body, each ended by a line feed. Whatever they are, nothing is
 * sent twice that may not be, no wait is longer than the rules say, and the
 * budget holds. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/retry.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

enum { HEAD = 8, ROOM = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const methods[] = {"GET", "PUT", "POST", "PATCH"};
static const char *const reasons[] = {
    "",      "connect",   "first_byte", "stall",
    "total", "proxy",     "event",      "proxy_unreachable",
    "wait",  "bad_http2", "bad_chunk",  "handshake_cut"};

/* The next line as a text of its own; NULL when there is none. */
static const char *next_line(const char **at, size_t *left, char *room) {
  const char *end = memchr(*at, '\n', *left);
  size_t size = end ? (size_t)(end - *at) : 0;

  if (!end) {
    return NULL;
  }
  *left -= size + 1;
  size = size < ROOM - 1 ? size : ROOM - 1;
  memcpy(room, *at, size);
  room[size] = '\0';
  *at = end + 1;
  return room;
}

static double ask(const char **at, size_t *left) {
  char after_room[ROOM], date_room[ROOM];
  const char *after = next_line(at, left, after_room);
  const char *date = next_line(at, left, date_room);
  double seconds = fy_retry_after(after, date, 1795780800);

  MUST(isnan(seconds) || (seconds >= 0 && seconds <= 1e9));
  return seconds;
}

static void check(const struct fy_retry *seen,
                  const struct fy_retry_step *step) {
  int safe = seen->idempotent || seen->method == methods[0] ||
             seen->method == methods[1];
  int refused = seen->failure == FREDDY_OK && seen->status == 429;

  if (step->todo == FY_RETRY_DELIVER) {
    return;
  }
  MUST(seen->replayable && !seen->told);
  MUST(safe || refused || !seen->sent);
  if (step->todo == FY_RETRY_NOW) {
    MUST(seen->stale && !seen->freed && safe);
    return;
  }
  MUST(seen->repeats < seen->retries);
  MUST(!(seen->retry_after > 60));
  MUST(step->delay >= 0 && step->delay <= 68 * FY_SECOND);
  MUST(isnan(seen->retry_after) ||
       (double)step->delay >= seen->retry_after * (double)FY_SECOND - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fy_retry_budget budget;
  struct fy_retry_step step;
  struct fy_retry seen;
  const char *at;
  size_t left;

  if (size < HEAD) {
    return 0;
  }
  at = (const char *)data + HEAD;
  left = size - HEAD;
  seen = (struct fy_retry){.method = methods[data[0] % 4],
                           .idempotent = data[1] & 1,
                           .replayable = !(data[1] & 2),
                           .stale = !!(data[1] & 4),
                           .freed = !!(data[1] & 8),
                           .told = !!(data[1] & 16),
                           .sent = !!(data[1] & 32),
                           .retries = data[2],
                           .repeats = data[3] * 64,
                           .unasked = data[1] >> 6,
                           .failure = (freddy_code)(data[4] % 20),
                           .reason = reasons[data[5] % 12],
                           .status = 400 + data[6]};
  seen.retry_after = ask(&at, &left);
  seen.quota = fy_retry_is_quota(at, left, data[0] & 1);
  fy_retry_budget_init(&budget);
  budget.fifths = data[7];
  fy_retry_decide(&seen, &budget, (double)data[0] / 256, &step);
  check(&seen, &step);
  MUST(budget.fifths == data[7] - (step.todo == FY_RETRY_AFTER ? 5 : 0));
  MUST(!step.budget_empty || data[7] < 5);
  return 0;
}
