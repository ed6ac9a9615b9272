/* SPDX-License-Identifier: MIT */
#include "net/reuse.h"

#include <string.h>

#include "base/error.h"
#include "net/call.h"
#include "net/engine.h"
#include "net/transfer.h"

enum { TLS_RECORD_HEAD = 5 };

/* Once the answer has ended, its connection is closed. */
static void forbid(struct fy_transfer *transfer) {
  curl_easy_setopt(transfer->easy, CURLOPT_FORBID_REUSE, 1L);
}

/* libcurl tells some things in its comments only. They begin as late as can
 * be, so that they cost little and hold none of the request. */
static void listen_to_comments(struct fy_transfer *transfer) {
  curl_easy_setopt(transfer->easy, CURLOPT_VERBOSE, 1L);
}

/* --- Before the request ------------------------------------------------- */

int fy_reuse_may_send(struct fy_transfer *transfer, int port, const char *peer,
                      int peer_port) {
  struct fy_sockets *sockets = &transfer->engine->sockets;
  int https = transfer->call->ask.target.https;

  if (transfer->opened || transfer->fresh) {
    return 1;
  }
  transfer->reused = fy_sockets_find(sockets, port, peer, peer_port);
  if (fy_sockets_is_stale(sockets, transfer->reused,
                          https ? &transfer->read_before : NULL)) {
    forbid(transfer);
    return 0;
  }
  if (transfer->read_before) {
    listen_to_comments(transfer);
  }
  return 1;
}

/* --- The first bytes of an answer --------------------------------------- */

int fy_reuse_hears_stranger(const struct fy_transfer *transfer) {
  /* A close may count as one byte; a TLS record has more than its head. */
  uint64_t enough = transfer->read_before + TLS_RECORD_HEAD;
  uint64_t now;

  if (transfer->answered || !transfer->read_before) {
    return 0;
  }
  now = fy_sockets_read(&transfer->engine->sockets, transfer->reused, enough);
  return now && now < enough;
}

void fy_reuse_refuse_stranger(struct fy_transfer *transfer) {
  transfer->resent = 1; /* as good as: it was sent to no avail */
  fy_error_set(&transfer->error, FREDDY_ECUT, NULL,
               "bytes that nobody had asked for came before the answer");
}

/* --- The end of an answer ----------------------------------------------- */

/* With both framings nobody knows for sure where it ended (RFC 9112 6.1). */
void fy_reuse_guard(struct fy_transfer *transfer) {
  const struct fy_headers *headers = &transfer->call->answer.headers;

  if (headers->http_version >= 20) {
    return;
  }
  if (headers->chunked && headers->length >= 0) {
    forbid(transfer);
  }
  listen_to_comments(transfer);
}

static int begins_with(const char *text, size_t size, const char *start) {
  size_t length = strlen(start);

  return size >= length && memcmp(text, start, length) == 0;
}

/* What was read beyond the answer is gone; what follows it may not be. And
 * a fault in an answer is judged while its socket is still there. */
int fy_reuse_comment(CURL *easy, curl_infotype type, char *text, size_t size,
                     void *context) {
  struct fy_transfer *transfer = context;

  (void)easy;
  if (type != CURLINFO_TEXT) {
    return 0;
  }
  if (begins_with(text, size, "Excess found") ||
      begins_with(text, size, "Leftovers after chunking")) {
    forbid(transfer);
  }
  if (transfer->curl_text[0] && fy_reuse_hears_stranger(transfer)) {
    transfer->strange = 1;
  }
  return 0;
}

/* --- Between two requests ----------------------------------------------- */

void fy_reuse_pause(struct fy_transfer *transfer) {
  fy_sockets_keep(&transfer->engine->sockets, transfer->reused);
}

/* Only a plain connection is known to speak HTTP/1 before its answer. */
static int speaks_http1(const struct fy_transfer *transfer) {
  const struct freddy_call *call = transfer->call;

  return call &&
         (!call->ask.target.https || call->answer.headers.http_version == 10 ||
          call->answer.headers.http_version == 11);
}

/* It is idle, unless the transfer is paused. A connection of HTTP/1 has one
 * user; that of HTTP/2 may have others that are paused, and so never counts
 * as idle. */
void fy_reuse_rest(struct fy_transfer *transfer, struct fy_sockets *sockets,
                   int fd) {
  if (!transfer || !transfer->sends) {
    fy_sockets_give_up(sockets, fd);
  } else if (transfer->receiving_paused || transfer->sending_paused) {
    fy_sockets_watch(sockets, fd, 0);
  } else {
    fy_sockets_rest(sockets, fd, speaks_http1(transfer));
  }
}
