/* SPDX-License-Identifier: MIT */
/* One attempt of a call, on one easy handle. Engine thread only. */
#ifndef FY_NET_TRANSFER_H
#define FY_NET_TRANSFER_H

#include <curl/curl.h>

#include "base/clock.h"
#include "freddy.h"
#include "net/lookups.h"
#include "net/timers.h"
#include "net/upload.h"

struct freddy_call;
struct fy_engine;
struct fy_gunzip;
struct fy_secret;

struct fy_transfer {
  struct fy_transfer *prev, *next; /* all of the engine's */
  struct fy_transfer *next_ready;
  struct fy_engine *engine;
  struct freddy_call *call; /* NULL: parked, its call has ended */
  CURL *easy;               /* NULL until launched */
  uint64_t easy_for;        /* the client whose options it has, or 0 */
  int ended_well;           /* what libcurl knows of it can stay */
  struct curl_slist *header_nodes;
  struct curl_slist proxy_header; /* borrows the secret below */
  struct fy_secret *proxy_line;
  struct fy_secret *client_key; /* borrowed by the handle */
  struct curl_slist *resolve;
  struct fy_lookup lookup;
  struct fy_timer connect_timer;
  struct fy_timer byte_timer; /* first_byte, then stall */
  fy_time last_byte;
  int is_ready;         /* stands in the engine's list */
  int fresh;            /* 1: no pooled connection */
  int resolving;        /* a look-up is under way: removing would join it */
  int opened;           /* it opened a socket of its own */
  int connecting;       /* and that does not stand yet */
  int misfit;           /* the connection is one that it must not use */
  int reused;           /* the pooled connection's descriptor; -1: none */
  int strange;          /* a fault was found in bytes that were there before */
  int sends;            /* how often libcurl began to send; we allow one */
  int resent;           /* libcurl wanted to send again */
  int answered;         /* a byte of the answer has come */
  int body_begun;       /* the final header block is complete */
  int redirected;       /* it is a redirect's: its body does not matter */
  uint64_t read_before; /* bytes of a pooled connection; 0: unknown */
  int receiving_paused, sending_paused;
  struct fy_gunzip *gunzip;
  size_t ahead;     /* bytes decoded that libcurl will give once more */
  int64_t received; /* body bytes on the wire */
  int64_t uploaded; /* those of the request's that have been counted */
  size_t trailer_bytes;
  size_t connect_bytes; /* of a proxy's answer to CONNECT */
  int connect_status;
  struct fy_upload upload; /* of a body that libcurl asks for */
  freddy_error error;      /* why we broke it off */
  char curl_text[CURL_ERROR_SIZE];
};

/* Begin an attempt of `call`: FREDDY_OK, or FREDDY_ENOMEM (nothing begun). */
int fy_transfer_start(struct freddy_call *call, int fresh);

/* Build the easy handle and hand it to libcurl. A failure ends the call. */
void fy_transfer_launch(struct fy_transfer *transfer);

/* Break the attempt off without a word to its call. During a look-up the
 * handle is parked until that has ended. */
void fy_transfer_abort(struct fy_transfer *transfer);

/* libcurl has finished it: judge, then end the call or begin anew. */
void fy_transfer_finish(struct fy_transfer *transfer, CURLcode code);

/* Bytes of the body that have left, of which libcurl says `by_curl`: it
 * counts the framing of chunks, too. */
int64_t fy_transfer_sent(const struct fy_transfer *transfer, int64_t by_curl);

/* Go on after a pause. */
void fy_transfer_resume(struct fy_transfer *transfer);

/* Time ran out on it: once it is broken off, no other request gets its
 * connection. Over HTTP/2 libcurl would only give up the stream, and one that
 * says nothing any more would make the next request wait as long, and each
 * after that. Those who use it already go on. */
void fy_transfer_distrust(struct fy_transfer *transfer);

/* It cannot go on, for want of memory; to be called inside libcurl, where
 * nothing may be removed: it ends in the same turn. */
void fy_transfer_doom(struct fy_transfer *transfer);

/* What the callbacks saw: a connection is opened, stands, the upload moved, a
 * byte of the answer came. They move the deadlines. */
void fy_transfer_connects(struct fy_transfer *transfer);
void fy_transfer_connected(struct fy_transfer *transfer);
void fy_transfer_sent_some(struct fy_transfer *transfer);
void fy_transfer_got_some(struct fy_transfer *transfer);
/* Its body has said all there is to say: soon it is finished. */
void fy_transfer_linger(struct fy_transfer *transfer);
/* It is a redirect: whatever becomes of its body, soon it is finished. */
void fy_transfer_is_redirected(struct fy_transfer *transfer);

#endif
