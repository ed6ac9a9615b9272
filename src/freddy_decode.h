/* SPDX-License-Identifier: MIT */
/* What is decoded off the caller's thread. Part of freddy.h, which includes
 * it. */
#ifndef FREDDY_DECODE_H
#define FREDDY_DECODE_H

#include "freddy_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Turns a large JSON body, or text (freddy_decode), into a document off the
 * caller's thread. The functions run on the I/O thread and must not touch Lua.
 */
typedef struct freddy_decoder {
  /* A new document, or NULL with `err` filled. `body` is borrowed. */
  void *(*decode)(const char *body, size_t size, freddy_error *err);
  void (*release)(void *document);
  size_t threshold; /* smaller bodies are left to the caller */
} freddy_decoder;

/* A call that does nothing but have a text decoded where it holds up nobody:
 * on the I/O thread, or here where there is none to be had. It ends with
 * FREDDY_DONE; freddy_call_document then has the document, or says why there
 * is none. One that was cancelled has no document, and is not decoded if that
 * had not begun. Never blocks otherwise.
 *
 * inbox    borrowed; where the call reports.
 * decoder  NULL: FREDDY_EMISUSE. Its `threshold` does not count. Must outlive
 *          the process's use of freddy.
 * text     of `size` bytes, however many; copied, and given back once they
 *          are decoded.
 * user     the event's `user`.
 * out      receives the call, which the caller owns (freddy_call_free).
 * err      optional; filled on failure.
 *
 * Returns FREDDY_OK, or FREDDY_EMISUSE, FREDDY_EFORKED, FREDDY_EQUEUE_FULL
 * (16,384 wait already), FREDDY_ENOMEM: then no event follows. */
FREDDY_API FREDDY_MUST_CHECK int freddy_decode(freddy_inbox *inbox,
                                               const freddy_decoder *decoder,
                                               const char *text, size_t size,
                                               void *user, freddy_call **out,
                                               freddy_error *err);

#ifdef __cplusplus
}
#endif
#endif
