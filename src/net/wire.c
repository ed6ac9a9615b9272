/* SPDX-License-Identifier: MIT */
#include "net/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "net/call.h"
#include "net/client.h"
#include "net/engine.h"
#include "net/events.h"
#include "net/gunzip.h"
#include "net/outcome.h"
#include "net/reuse.h"
#include "net/save.h"
#include "net/tls.h"
#include "net/transfer.h"
#include "net/tunnel.h"
#include "rules/redirect.h"

/* Every callback asks: once the process exits or the call has ended, nothing
 * more may happen on its behalf. */
static int is_over(const struct fy_transfer *transfer) {
  return !transfer->call || atomic_load(&transfer->engine->stopping);
}

/* --- Connecting --------------------------------------------------------- */

/* Not from the start: libcurl first closes the connections that it finds dead,
 * and the text of a farewell that cannot be sent would stay, since the first
 * one wins. */
static void hear_errors(struct fy_transfer *transfer) {
  curl_easy_setopt(transfer->easy, CURLOPT_ERRORBUFFER, transfer->curl_text);
}

int fy_wire_resolver_start(void *resolver, void *reserved, void *context) {
  struct fy_transfer *transfer = context;

  (void)resolver;
  (void)reserved;
  transfer->resolving = 1;
  hear_errors(transfer);
  return is_over(transfer);
}

/* Only a look-up that there was makes its name known. */
static void end_lookup(struct fy_transfer *transfer) {
  int resolved = transfer->resolving;

  transfer->resolving = 0;
  fy_lookups_leave(&transfer->engine->lookups, transfer, resolved,
                   fy_clock_now());
}

curl_socket_t fy_wire_open_socket(void *context, curlsocktype purpose,
                                  struct curl_sockaddr *address) {
  struct fy_transfer *transfer = context;
  struct fy_engine *engine = transfer->engine;
  curl_socket_t fd;

  (void)purpose;
  hear_errors(transfer);
  if (is_over(transfer) || !transfer->call->ask.target.late_lookup) {
    end_lookup(transfer);
  } else {
    transfer->resolving = 0; /* the proxy's; the server's is to come */
  }
  if (transfer->sends) {
    transfer->resent = 1; /* as for prereq; a proxy's answer comes before it */
    return CURL_SOCKET_BAD;
  }
  if (is_over(transfer) || fy_tls_check(transfer) != FREDDY_OK) {
    return CURL_SOCKET_BAD;
  }
  transfer->opened = 1;
  fy_transfer_connects(transfer);
  atomic_fetch_add(&engine->opened, 1);
  fd = fy_sockets_open(&engine->sockets, address->family, address->socktype,
                       address->protocol);
  if (fd < 0 && errno == ENOMEM) {
    fy_error_nomem(&transfer->error);
  }
  if (fd >= 0 && transfer->call->ask.target.by_proxy &&
      fy_tunnel_opened(transfer, fd) != FREDDY_OK) {
    fy_sockets_close(&engine->sockets, fd);
    fd = CURL_SOCKET_BAD;
  }
  return fd;
}

int fy_wire_close_socket(void *context, curl_socket_t fd) {
  struct fy_engine *engine = context;

  fy_tunnel_closed(engine, fd);
  return fy_sockets_close(&engine->sockets, fd);
}

/* Called each time that libcurl is about to send the request: also when it
 * repeats it by itself on a fresh connection, POSTs included, which is ours
 * to decide. */
int fy_wire_prereq(void *context, char *to_ip, char *from_ip, int to_port,
                   int from_port) {
  struct fy_transfer *transfer = context;

  (void)from_ip;
  end_lookup(transfer);
  if (is_over(transfer)) {
    return CURL_PREREQFUNC_ABORT;
  }
  if (transfer->sends) {
    transfer->resent = 1;
    return CURL_PREREQFUNC_ABORT;
  }
  if (!fy_tunnel_fits(transfer, from_port) ||
      !fy_reuse_may_send(transfer, from_port, to_ip, to_port)) {
    transfer->misfit = 1;
    return CURL_PREREQFUNC_ABORT;
  }
  hear_errors(transfer);
  transfer->sends++;
  if (transfer->opened) { /* and connected: that may have been several tries */
    atomic_fetch_add(&transfer->engine->connected, 1);
    FY_COUNT(transfer->call, opened, 1);
  }
  transfer->call->place.left = 1;
  atomic_store(&transfer->call->sent, 1);
  fy_transfer_connected(transfer);
  return CURL_PREREQFUNC_OK;
}

/* --- Receiving ---------------------------------------------------------- */

/* Nothing of it is kept: an error would carry all that to the host. */
static int refuse_body(struct fy_transfer *transfer, uint64_t limit) {
  fy_buf_clear(&transfer->call->answer.body);
  return fy_error_set(
      &transfer->error, FREDDY_ETOO_LARGE, "body",
      "the answer's body is larger than max_body (%" PRIu64 " bytes)", limit);
}

static int has_no_body(const struct freddy_call *call) {
  int status = call->answer.headers.status;

  return status == 204 || status == 304 ||
         strcmp(call->ask.method, "HEAD") == 0;
}

static int begin_gunzip(struct fy_transfer *transfer) {
  const struct fy_headers *headers = &transfer->call->answer.headers;

  if (headers->gzip && headers->length != 0) {
    transfer->gunzip = fy_gunzip_new();
    if (!transfer->gunzip) {
      return fy_error_nomem(&transfer->error);
    }
  }
  return FREDDY_OK;
}

/* A redirect's body is read so that the connection can be used again, and
 * kept for the error if it is not followed; much of it is not worth either. */
static int begin_redirect(struct fy_transfer *transfer) {
  struct fy_headers *headers = &transfer->call->answer.headers;

  fy_transfer_is_redirected(transfer);
  if (transfer->sending_paused) {
    return FREDDY_EREDIRECT; /* half a request: its connection is lost */
  }
  if (has_no_body(transfer->call)) {
    headers->gzip = 0;
  } else if (headers->length > (int64_t)FY_MAX_DRAIN) {
    return FREDDY_EREDIRECT;
  }
  return begin_gunzip(transfer);
}

/* What goes through is not kept in memory, and bounded by nothing but an
 * explicit limit. */
static uint64_t body_limit(const struct freddy_call *call, int success) {
  const struct fy_ask *ask = &call->ask;

  return call->streaming || (success && ask->save_to) ? ask->pass_max
                                                      : ask->max_body;
}

/* The head goes to the host; but where events are asked for, and no event
 * stream comes, the answer is not streamed: JSON is kept for the error. */
static int begin_stream(struct fy_transfer *transfer) {
  struct freddy_call *call = transfer->call;
  const char *type = fy_headers_get(&call->answer.headers, "content-type");

  if (call->streaming && call->events) {
    return fy_events_begin(call->events) == FREDDY_OK
               ? FREDDY_OK
               : fy_error_nomem(&transfer->error);
  } else if (call->streaming) {
    fy_call_tell_head(call);
  } else if (call->events && !(type && fy_header_is_json(type))) {
    return fy_events_refuse(call, &transfer->error);
  }
  return FREDDY_OK;
}

/* The final header block is whole: what kind of body follows? */
static int begin_body(struct fy_transfer *transfer) {
  struct freddy_call *call = transfer->call;
  struct fy_headers *headers = &call->answer.headers;
  int success = headers->status >= 200 && headers->status <= 299;
  uint64_t limit;
  int rc;

  transfer->body_begun = 1;
  fy_admission_heard(transfer->call); /* a stream has its end much later */
  fy_reuse_guard(transfer);
  if (fy_redirect_is(headers->status) && !call->ask.stays) {
    return begin_redirect(transfer);
  }
  call->streaming =
      call->ask.stream && success && (!call->events || fy_events_fits(call));
  limit = body_limit(call, success);
  if (has_no_body(call)) {
    headers->gzip = 0;
  } else if (headers->length >= 0 && (uint64_t)headers->length > limit) {
    return refuse_body(transfer, limit);
  }
  if (headers->encoded_otherwise) {
    return fy_error_set(&transfer->error, FREDDY_EPROTOCOL, "bad_encoding",
                        "the answer has a Content-Encoding that was not "
                        "asked for");
  }
  if (success && begin_stream(transfer) != FREDDY_OK) {
    return transfer->error.code;
  }
  if (call->ask.save_to && success) {
    call->answer.stats.saved = 0;
    call->save = fy_save_new(call);
    if (!call->save) {
      return fy_error_nomem(&transfer->error);
    }
  }
  rc = begin_gunzip(transfer);
  if (rc == FREDDY_OK && transfer->gunzip && !call->save && !call->streaming) {
    fy_gunzip_limit(transfer->gunzip, limit);
  }
  return rc;
}

size_t fy_wire_header(char *data, size_t one, size_t size, void *context) {
  struct fy_transfer *transfer = context;
  struct freddy_call *call = transfer->call;
  struct fy_headers *headers;
  int rc;

  (void)one;
  if (is_over(transfer)) {
    return 0;
  }
  if (!transfer->sends) { /* a proxy's answer to CONNECT */
    return fy_tunnel_header(transfer, data, size) ? size : 0;
  }
  if (fy_reuse_hears_stranger(transfer)) {
    fy_reuse_refuse_stranger(transfer);
    return 0;
  }
  fy_transfer_got_some(transfer);
  headers = &call->answer.headers;
  if (headers->complete) {
    /* Trailers: the head may be the host's to read by now. They are counted,
     * and dropped. */
    transfer->trailer_bytes += size;
    if (transfer->trailer_bytes > FY_MAX_HEADERS) {
      fy_error_set(&transfer->error, FREDDY_ETOO_LARGE, "header",
                   "the answer's trailers are too large");
      return 0;
    }
    return size;
  }
  rc = fy_headers_line(headers, data, size, &transfer->error);
  if (rc == FREDDY_OK && headers->complete && !transfer->body_begun) {
    rc = begin_body(transfer);
  }
  return rc == FREDDY_OK ? size : 0;
}

/* What does not fit is read all the same, unless gzip makes it up. */
static int take_redirect_body(struct fy_transfer *transfer, const char *data,
                              size_t size) {
  struct fy_answer *answer = &transfer->call->answer;
  int rc = FREDDY_OK;

  if (answer->body.size + size > FY_MAX_DRAIN) {
    rc = FREDDY_ETOO_LARGE;
  } else if (!answer->headers.encoded_otherwise) {
    rc = fy_buf_add(&answer->body, data, size);
  }
  if (rc == FREDDY_ENOMEM) {
    return fy_error_nomem(&transfer->error);
  }
  return transfer->gunzip ? rc : FREDDY_OK;
}

/* 1: no room until the consumer has taken some, who has it resumed then. */
static int is_full(const struct fy_transfer *transfer) {
  struct freddy_call *call = transfer->call;

  return call->save ? fy_save_is_full(call->save)
                    : call->streaming && fy_flow_is_full(call);
}

static int save_body(struct fy_transfer *transfer, const char *data,
                     size_t size) {
  struct freddy_call *call = transfer->call;
  int64_t *saved = &call->answer.stats.saved;
  int rc;

  if (size > call->ask.pass_max - (uint64_t)*saved) {
    return refuse_body(transfer, call->ask.pass_max);
  }
  rc = fy_save_put(call->save, data, size, &transfer->error);
  *saved += (int64_t)size;
  return rc;
}

static int stream_body(struct fy_transfer *transfer, const char *data,
                       size_t size) {
  struct freddy_call *call = transfer->call;

  if (size > call->ask.pass_max - call->flow.passed) {
    return refuse_body(transfer, call->ask.pass_max);
  }
  call->flow.passed += size;
  return call->events
             ? fy_events_put(call->events, data, size, &transfer->error)
             : fy_flow_put(call, data, size);
}

static int keep_body(struct fy_transfer *transfer, const char *data,
                     size_t size) {
  struct freddy_call *call = transfer->call;
  struct fy_buf *body = &call->answer.body;
  int status = call->answer.headers.status;
  int rc;

  /* A large success is seldom about secrets, and takes time to wipe. */
  body->wipes &= body->size < FY_MAX_WIPED || status < 200 || status > 299 ||
                 call->ask.is_guarded;
  rc = fy_buf_add(body, data, size);
  return rc == FREDDY_ETOO_LARGE ? refuse_body(transfer, call->ask.max_body)
                                 : rc;
}

static int take_body(void *context, const char *data, size_t size) {
  struct fy_transfer *transfer = context;
  struct freddy_call *call = transfer->call;
  int rc;

  if (transfer->redirected) {
    return take_redirect_body(transfer, data, size);
  } else if (call->save) {
    rc = save_body(transfer, data, size);
  } else if (call->streaming) {
    rc = stream_body(transfer, data, size);
  } else {
    rc = keep_body(transfer, data, size);
  }
  if (rc != FREDDY_OK) {
    return fy_error_nomem(&transfer->error); /* the first error wins */
  }
  return is_full(transfer) ? FY_GUNZIP_FULL : FREDDY_OK;
}

static void count_received(struct fy_transfer *transfer, size_t size) {
  transfer->received += (int64_t)size;
  atomic_fetch_add(&transfer->engine->bytes_received, size);
  FY_COUNT(transfer->call, bytes_received, size);
}

/* A few bytes of gzip may become a thousand times as many. When there is no
 * room for those, libcurl keeps the whole piece and gives it again, perhaps
 * in several: what was decoded of it is passed over then. */
static int gunzip_body(struct fy_transfer *transfer, const char *data,
                       size_t size) {
  size_t over = transfer->ahead < size ? transfer->ahead : size;
  size_t used = 0;
  int rc;

  transfer->ahead -= over;
  if (transfer->ahead) {
    return FREDDY_OK;
  }
  rc = fy_gunzip_feed(transfer->gunzip, data + over, size - over, &used,
                      take_body, transfer, &transfer->error);
  count_received(transfer, used);
  if (rc == FY_GUNZIP_FULL) {
    transfer->ahead = over + used;
  } else if (rc == FREDDY_ETOO_LARGE && !transfer->redirected) {
    refuse_body(transfer, transfer->call->ask.max_body);
  }
  return rc;
}

static size_t pause_receiving(struct fy_transfer *transfer) {
  transfer->receiving_paused = 1;
  fy_reuse_pause(transfer);
  return CURL_WRITEFUNC_PAUSE;
}

size_t fy_wire_write(char *data, size_t one, size_t size, void *context) {
  struct fy_transfer *transfer = context;
  int rc;

  (void)one;
  if (is_over(transfer)) {
    return 0;
  }
  fy_transfer_got_some(transfer);
  if (is_full(transfer)) {
    return pause_receiving(transfer);
  }
  if (transfer->redirected &&
      transfer->received + (int64_t)size > (int64_t)FY_MAX_DRAIN) {
    return 0;
  }
  if (transfer->gunzip) {
    rc = gunzip_body(transfer, data, size);
    if (rc == FY_GUNZIP_FULL) {
      return pause_receiving(transfer);
    }
  } else {
    count_received(transfer, size);
    rc = take_body(transfer, data, size);
  }
  return rc == FREDDY_OK || rc == FY_GUNZIP_FULL ? size : 0;
}

/* --- Sending ------------------------------------------------------------ */

size_t fy_wire_read(char *data, size_t one, size_t size, void *context) {
  struct fy_transfer *transfer = context;
  size_t given;

  if (is_over(transfer)) {
    return CURL_READFUNC_ABORT;
  }
  fy_transfer_sent_some(transfer);
  switch (fy_upload_read(&transfer->upload, data, one * size, &given,
                         &transfer->error)) {
  case FY_UPLOAD_GIVEN:
    return given;
  case FY_UPLOAD_WAIT:
    transfer->sending_paused = 1;
    return CURL_READFUNC_PAUSE;
  default:
    return CURL_READFUNC_ABORT;
  }
}

/* libcurl goes back to the start before it repeats a request by itself: that
 * is ours to decide, and prereq refuses it. */
int fy_wire_seek(void *context, curl_off_t offset, int origin) {
  (void)context;
  return offset == 0 && origin == SEEK_SET ? CURL_SEEKFUNC_OK
                                           : CURL_SEEKFUNC_CANTSEEK;
}

/* What counts of the answer is what its reader gets: not the body of one that
 * is led elsewhere, or refused. */
static void tell_progress(const struct fy_transfer *transfer, int64_t sent) {
  struct freddy_call *call = transfer->call;
  const struct fy_headers *headers = &call->answer.headers;
  int counts =
      transfer->body_begun && headers->status >= 200 && headers->status <= 299;

  fy_call_tell_progress(call, sent,
                        call->ask.body.sources ? call->ask.body.size : 0,
                        counts ? transfer->received : 0,
                        counts && !has_no_body(call) ? headers->length : -1);
}

int fy_wire_progress(void *context, curl_off_t receive_total,
                     curl_off_t received, curl_off_t send_total,
                     curl_off_t sent) {
  struct fy_transfer *transfer = context;

  (void)receive_total;
  (void)received;
  (void)send_total;
  if (transfer->resolving) {
    return 0; /* to break it off now would join its resolver's thread */
  }
  if (is_over(transfer)) {
    return 1;
  }
  if (sent > transfer->uploaded) {
    fy_outcome_count_sent(transfer, sent);
    fy_transfer_sent_some(transfer);
  }
  if (transfer->call->ask.progress && !transfer->redirected) {
    tell_progress(transfer, fy_transfer_sent(transfer, sent));
  }
  return 0;
}
