/* SPDX-License-Identifier: MIT */
/* The public entry points: calls. */
#include "net/call.h"

#include <string.h>

#include "base/error.h"
#include "net/engine.h"
#include "net/listener.h"
#include "net/permits.h"
#include "net/turns.h"

static const freddy_error forked_error = {
    .code = FREDDY_EFORKED, .message = "the call belongs to another process"};

void freddy_call_cancel(freddy_call *call) {
  if (call && !fy_call_is_foreign(call)) {
    fy_call_cancel(call);
  }
}

int freddy_call_next(freddy_call *call, freddy_event *event) {
  return !fy_call_is_foreign(call) && fy_flow_pull(call, event);
}

int freddy_call_answer(freddy_call *call, uint32_t question, const char *data,
                       size_t size) {
  return fy_call_is_foreign(call) ? FREDDY_EFORKED
                                  : fy_call_reply(call, question, data, size);
}

int freddy_call_answer_token(freddy_call *call, uint32_t question,
                             const freddy_tokens *tokens,
                             const char *failure) {
  return fy_call_is_foreign(call)
             ? FREDDY_EFORKED
             : fy_listener_answer(call, question, tokens, failure);
}

int freddy_call_answer_permits(freddy_call *call, uint32_t question,
                               const freddy_permits *permits) {
  return fy_call_is_foreign(call) ? FREDDY_EFORKED
                                  : fy_permits_answer(call, question, permits);
}

void freddy_call_free(freddy_call *call) {
  if (!call || fy_call_is_foreign(call)) {
    return;
  }
  fy_call_abandon(call);
  fy_call_unref(call);
}

int freddy_call_done(const freddy_call *call) {
  return atomic_load(&call->done_taken) || fy_call_is_foreign(call);
}

static int has_all(const freddy_call *call) {
  return atomic_load(&call->published) == FY_ALL;
}

const freddy_error *freddy_call_last(const freddy_call *call, int *status) {
  if (!atomic_load(&call->done_taken) || !has_all(call) ||
      !call->last.attempt) {
    return NULL;
  }
  if (status) {
    *status = call->last.status;
  }
  return &call->last.error;
}

const freddy_error *freddy_call_error(const freddy_call *call) {
  if (!atomic_load(&call->done_taken)) {
    return fy_call_is_foreign(call) ? &forked_error : NULL;
  }
  return call->error.code == FREDDY_OK ? NULL : &call->error;
}

/* The head that is the host's, or NULL. */
static const struct fy_headers *head_of(const freddy_call *call) {
  const struct fy_headers *headers;

  if (atomic_load(&call->published) < FY_HEAD_ONLY) {
    return NULL;
  }
  headers = call->shown ? &call->shown->headers : &call->answer.headers;
  return headers->complete ? headers : NULL;
}

int freddy_call_status(const freddy_call *call) {
  const struct fy_headers *head = head_of(call);

  return head ? head->status : 0;
}

int freddy_call_header(const freddy_call *call, size_t index,
                       const char **name, const char **value) {
  const struct fy_headers *head = head_of(call);

  return head && fy_headers_at(head, index, name, value);
}

const char *freddy_call_header_get(const freddy_call *call, const char *name) {
  const struct fy_headers *head = head_of(call);

  return head ? fy_headers_get(head, name) : NULL;
}

const char *freddy_call_body(const freddy_call *call, size_t *size) {
  int present = has_all(call) && call->answer.body.data;

  if (size) {
    *size = present ? call->answer.body.size : 0;
  }
  return present ? call->answer.body.data : "";
}

void *freddy_call_document(const freddy_call *call, freddy_error *err) {
  if (!has_all(call)) {
    return NULL;
  }
  if (!call->answer.document && err &&
      call->answer.document_error.code != FREDDY_OK) {
    *err = call->answer.document_error;
  }
  return call->answer.document;
}

void freddy_call_stats(const freddy_call *call, freddy_stats *stats) {
  const struct fy_headers *head = head_of(call);

  memset(stats, 0, sizeof(*stats));
  if (has_all(call)) {
    *stats = call->answer.stats;
  } else {
    stats->attempts = atomic_load(&call->attempts);
    stats->http_version = head ? head->http_version : 0;
  }
}

int freddy_call_sent(const freddy_call *call) {
  return atomic_load(&call->sent);
}

/* The engine may be following a redirect: what it has come to is the host's
 * once it is published. */
const char *freddy_call_url(const freddy_call *call) {
  const char *url = call->url;

  if (atomic_load(&call->published) >= FY_HEAD_ONLY) {
    url = call->shown ? call->shown->url : call->ask.target.url;
  }

  return url ? url : "";
}
