/* SPDX-License-Identifier: MIT */
/* Memory for credentials: in pages of its own, locked and left out of core
 * dumps as far as the system allows, and wiped before they are released. A
 * forked child sees the same text in pages of its own. Immutable and
 * reference-counted; any thread. */
#ifndef FY_BASE_SECRET_H
#define FY_BASE_SECRET_H

#include <stddef.h>

struct fy_secret;

/* A new secret with a copy of prefix + data, reference count 1; NULL when
 * there is no memory. Costs at least one page. `prefix` may be NULL. */
struct fy_secret *fy_secret_new(const char *prefix, const void *data,
                                size_t size);
/* Take one more reference; returns `secret`. NULL is fine. */
struct fy_secret *fy_secret_ref(struct fy_secret *secret);
/* Drop a reference; the last one wipes. NULL is fine. */
void fy_secret_unref(struct fy_secret *secret);

/* The holder of one reference only watches it (a redactor does, which has to
 * know it as long as it is used), or drops the reference of one who did. */
void fy_secret_watch(struct fy_secret *secret);
void fy_secret_unwatch(struct fy_secret *secret);

/* 1 when there is a reference of someone who does not only watch. */
int fy_secret_is_used(const struct fy_secret *secret);

/* 1 when both have the same text; the time hangs on their sizes only. */
int fy_secret_equal(const struct fy_secret *a, const struct fy_secret *b);

/* The text with its prefix, NUL-terminated, and its length. Borrowed. */
const char *fy_secret_text(const struct fy_secret *secret);
size_t fy_secret_size(const struct fy_secret *secret);
/* The text without its prefix. */
const char *fy_secret_bare(const struct fy_secret *secret);
size_t fy_secret_bare_size(const struct fy_secret *secret);

/* Overwrite memory in a way that no compiler removes. */
void fy_wipe(void *memory, size_t size);

#endif
