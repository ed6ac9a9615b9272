/* SPDX-License-Identifier: MIT */
/* What all of the public C API stands on: errors, and the names of what it
 * hands out. Part of freddy.h, which includes it. */
#ifndef FREDDY_BASE_H
#define FREDDY_BASE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define FREDDY_API __attribute__((visibility("default")))
#define FREDDY_MUST_CHECK __attribute__((warn_unused_result))
#else
#define FREDDY_API
#define FREDDY_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A code and the lower-case name of its kind (freddy_error_name). An HTTP
 * answer of any status is no error here: it is a response. */
typedef enum freddy_code {
  FREDDY_OK = 0,
  FREDDY_EMISUSE,     /* "misuse": an argument is wrong; message says which */
  FREDDY_ERESOLVE,    /* "resolve": the name has no address */
  FREDDY_ECONNECT,    /* "connect": none; reason proxy, proxy_auth... */
  FREDDY_ETLS,        /* "tls": handshake or certificate */
  FREDDY_ETIMEOUT,    /* "timeout": reason connect, first_byte, stall, total */
  FREDDY_ECUT,        /* "cut": closed before or within the answer */
  FREDDY_ECANCELLED,  /* "cancelled": freddy_call_cancel */
  FREDDY_ETOO_LARGE,  /* "too_large": a ceiling; reason header, body, event */
  FREDDY_EPROTOCOL,   /* "protocol": no HTTP; reason bad_gzip, bad_length... */
  FREDDY_EREDIRECT,   /* "redirect": not followed; reason no_location,
                         bad_location, too_many, insecure, cross_origin_body,
                         body_spent, secret_in_location. The answer is there */
  FREDDY_EAUTH,       /* "auth" */
  FREDDY_EBODY,       /* "body": what is sent; reason reader_failed,
                         file_failed; or what is to be kept: save_failed */
  FREDDY_EQUEUE_FULL, /* "queue_full" */
  FREDDY_ERATE_LIMITED,       /* "rate_limited": held back by a known limit */
  FREDDY_ECLOSED,             /* "closed": the client was closed */
  FREDDY_EFORKED,             /* "forked": belongs to another process */
  FREDDY_ENOMEM,              /* "memory" */
  FREDDY_EMISSING_CREDENTIALS /* "missing_credentials" */
} freddy_code;

/* A failure. A plain struct, so that reporting one never allocates; it never
 * holds a secret. Zero it before use: the first error wins, and one that holds
 * an error stays as it is. `sent` is 1 when any byte of the request may have
 * left. */
typedef struct freddy_error {
  freddy_code code;
  int sent;
  char reason[24];    /* one stable word, or "" */
  char message[232];  /* one line for a person */
  double retry_after; /* FREDDY_EAUTH, refresh_failed, and
                         FREDDY_ERATE_LIMITED: seconds; 0: unknown */
  int uncertain;      /* FREDDY_EAUTH, session_expired: 1 when the answer of a
                         refresh was lost before */
  const char *cause;  /* FREDDY_EAUTH: why the server refused what there was
                         to renew the token with, "invalid_api_key"; FREDDY_ECUT
                         of a turn: why it is not resumed; static; NULL: not
                         known */
} freddy_error;

typedef struct freddy_client freddy_client;
typedef struct freddy_inbox freddy_inbox;
typedef struct freddy_call freddy_call;

/* The name of a code, such as "timeout". Static; "unknown" for no code. */
FREDDY_API const char *freddy_error_name(freddy_code code);

#ifdef __cplusplus
}
#endif
#endif
