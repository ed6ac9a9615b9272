/* SPDX-License-Identifier: MIT */
/* The secrets that a redactor has to look for: those in use, and those that
 * were replaced while calls that carry them live. Its owner holds a lock
 * around each call. */
#ifndef FY_NET_SECRETS_H
#define FY_NET_SECRETS_H

#include <stddef.h>

#include "base/secret.h"
#include "freddy.h"

struct fy_secrets {
  struct fy_secret **list;
  size_t count, room;
};

/* Make room for `count` more, forgetting those that nobody uses any more.
 * FREDDY_OK or FREDDY_ENOMEM. */
int fy_secrets_reserve(struct fy_secrets *secrets, size_t count);

/* Add one, stolen, unless it is there; room must have been made. */
void fy_secrets_add(struct fy_secrets *secrets, struct fy_secret *secret);

/* Forget those that nobody uses any more. */
void fy_secrets_prune(struct fy_secrets *secrets);

/* The one with the same text as `secret`, borrowed, or NULL. */
struct fy_secret *fy_secrets_find(const struct fy_secrets *secrets,
                                  const struct fy_secret *secret);

void fy_secrets_clear(struct fy_secrets *secrets);

#endif
