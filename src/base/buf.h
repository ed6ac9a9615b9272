/* SPDX-License-Identifier: MIT */
/* A byte buffer with a ceiling that is stated at birth. `data` is always
 * NUL-terminated once anything was appended. A failed append leaves the
 * buffer as it was. Not for secrets (see secret.h), but with `wipes` for what
 * may repeat one. */
#ifndef FY_BASE_BUF_H
#define FY_BASE_BUF_H

#include <stddef.h>

#include "freddy.h"

struct fy_buf {
  char *data;
  size_t size;
  size_t room;
  size_t max;
  int wipes; /* 1: memory that it gives back is wiped before, also when it
                grows; set after fy_buf_init */
};

/* No allocation. `max` counts data bytes, not the NUL. */
void fy_buf_init(struct fy_buf *buf, size_t max);

/* FREDDY_OK, FREDDY_ETOO_LARGE (over `max`) or FREDDY_ENOMEM. */
FREDDY_MUST_CHECK int fy_buf_add(struct fy_buf *buf, const void *data,
                                 size_t size);
FREDDY_MUST_CHECK int fy_buf_adds(struct fy_buf *buf, const char *text);
FREDDY_MUST_CHECK int fy_buf_addf(struct fy_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Make room for `size` more bytes, so that adding them cannot fail. */
FREDDY_MUST_CHECK int fy_buf_reserve(struct fy_buf *buf, size_t size);

/* Give the memory away (fy_free); the buffer is empty afterwards. NULL when
 * nothing was ever appended. `size` may be NULL. */
char *fy_buf_take(struct fy_buf *buf, size_t *size);

/* Free; the buffer may be used again, with the same ceiling. */
void fy_buf_clear(struct fy_buf *buf);

#endif
