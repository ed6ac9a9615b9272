/* SPDX-License-Identifier: MIT */
#include "net/outcome.h"

#include <curl/curl.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "net/auth_call.h"
#include "net/call.h"
#include "net/client.h"
#include "net/engine.h"
#include "net/save.h"
#include "net/transfer.h"

static double seconds_of(CURL *easy, CURLINFO what) {
  curl_off_t microseconds = 0;

  curl_easy_getinfo(easy, what, &microseconds);
  return (double)microseconds / 1e6;
}

void fy_outcome_count_sent(struct fy_transfer *transfer, int64_t sent) {
  struct freddy_call *call = transfer->call;
  int64_t more = sent - transfer->uploaded;

  if (more > 0) {
    transfer->uploaded = sent;
    atomic_fetch_add(&call->engine->bytes_sent, (uint64_t)more);
    FY_COUNT(call, bytes_sent, more);
  }
}

void fy_outcome_measure(struct freddy_call *call,
                        struct fy_transfer *transfer) {
  freddy_stats *stats = &call->answer.stats;
  CURL *easy = transfer->easy;
  curl_off_t sent = 0;
  long connects = 0;

  stats->dns = seconds_of(easy, CURLINFO_NAMELOOKUP_TIME_T);
  stats->connect = seconds_of(easy, CURLINFO_CONNECT_TIME_T);
  stats->tls = seconds_of(easy, CURLINFO_APPCONNECT_TIME_T);
  stats->first_byte = seconds_of(easy, CURLINFO_STARTTRANSFER_TIME_T);
  curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &sent);
  curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
  stats->sent = fy_transfer_sent(transfer, sent);
  stats->received = transfer->received;
  stats->reused = transfer->sends > 0 && connects == 0;
  stats->http_version = call->answer.headers.http_version;
  fy_outcome_count_sent(transfer, sent);
}

static int is_success(const struct freddy_call *call,
                      const freddy_error *err) {
  int status = call->answer.headers.status;

  return err->code == FREDDY_OK && status >= 200 && status <= 299;
}

static int has_document(const struct freddy_call *call,
                        const freddy_error *err) {
  const freddy_decoder *decoder = call->ask.decoder;
  const char *type;

  if (!decoder || call->streaming || err->code != FREDDY_OK ||
      call->answer.body.size == 0 ||
      call->answer.body.size < decoder->threshold) {
    return 0;
  }
  type = fy_headers_get(&call->answer.headers, "content-type");
  return type && fy_header_is_json(type);
}

static void decode(struct freddy_call *call) {
  struct fy_answer *answer = &call->answer;

  answer->document = call->ask.decoder->decode(
      answer->body.data, answer->body.size, &answer->document_error);
}

/* A success is the caller's own; anything else becomes an error, and no text
 * of an error may hold a secret that the server repeated. */
static int must_redact(const struct freddy_call *call,
                       const freddy_error *err) {
  return call->client && !is_success(call, err);
}

static void redact(struct freddy_call *call) {
  char *text = call->failure.message;

  /* The head of a stream is the host's already. */
  if (!call->streaming &&
      fy_client_redact_call(call->client, call) != FREDDY_OK) {
    call->failure.code = FREDDY_OK; /* the first error would win */
    fy_error_nomem(&call->failure);
    call->failure.sent = atomic_load(&call->sent);
  }
  text[fy_client_redact(call->client, text, strlen(text))] = '\0';
}

static void finish(struct freddy_call *call) {
  const freddy_error *err = &call->failure;

  if (must_redact(call, err)) {
    redact(call);
  }
  if (has_document(call, err)) {
    decode(call);
  }
  fy_call_end(call, err->code == FREDDY_OK ? NULL : err, FY_ALL);
}

/* A request of the engine's own reports to nobody else. */
static void finish_own(struct freddy_call *call, const freddy_error *err) {
  fy_auth_call_end(call, err);
  fy_call_unref(call);
}

static void run_finish(struct fy_io_job *job) {
  struct freddy_call *call =
      (struct freddy_call *)((char *)job - offsetof(struct freddy_call, job));

  finish(call);
  fy_call_unref(call);
}

/* What would hold up the engine: a decoder, or much to look through, or many
 * keys to look for. */
static int takes_long(struct freddy_call *call, const freddy_error *err) {
  size_t size = call->answer.body.size + call->answer.headers.total;

  if (has_document(call, err)) {
    return 1;
  }
  return must_redact(call, err) &&
         size * fy_client_secret_count(call->client) >= FY_INLINE_JSON;
}

void fy_outcome_drop_file(struct freddy_call *call) {
  fy_save_drop(call->save);
  call->save = NULL;
}

void fy_outcome_deliver(struct freddy_call *call, const freddy_error *err) {
  struct fy_answer *answer = &call->answer;
  const freddy_stats *stats = &answer->stats;

  if (call->ask.progress && is_success(call, err)) {
    fy_call_tell_progress(call, stats->sent, stats->sent, stats->received,
                          stats->received);
  }
  call->failure = *err;
  answer->stats.attempts = atomic_load(&call->attempts);
  answer->stats.total =
      (double)(fy_clock_now() - call->started) / (double)FY_SECOND;
  if (err->code != FREDDY_OK) {
    atomic_fetch_add(&call->engine->failures, !call->ask.renewal);
    FY_COUNT(call, failures, 1);
    answer->stats.saved = 0;
  }
  fy_outcome_drop_file(call);
  fy_engine_release_call(call->engine, call);
  if (call->renews) {
    finish_own(call, err);
    return;
  }
  call->job.run = run_finish;
  if (!takes_long(call, err) || fy_io_post(&call->job)) {
    run_finish(&call->job);
  }
}
