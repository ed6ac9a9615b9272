/* SPDX-License-Identifier: MIT */
#include "net/secrets.h"

#include <string.h>

#include "base/mem.h"

void fy_secrets_prune(struct fy_secrets *secrets) {
  size_t kept = 0;

  for (size_t i = 0; i < secrets->count; i++) {
    if (fy_secret_is_used(secrets->list[i])) {
      secrets->list[kept++] = secrets->list[i];
    } else {
      fy_secret_unwatch(secrets->list[i]);
    }
  }
  secrets->count = kept;
}

int fy_secrets_reserve(struct fy_secrets *secrets, size_t count) {
  size_t room = secrets->room ? 2 * secrets->room : 8;
  struct fy_secret **list;

  fy_secrets_prune(secrets);
  if (secrets->count + count <= secrets->room) {
    return FREDDY_OK;
  }
  if (room < secrets->count + count) {
    room = secrets->count + count;
  }
  list = fy_realloc(secrets->list, room * sizeof(struct fy_secret *));
  if (!list) {
    return FREDDY_ENOMEM;
  }
  secrets->list = list;
  secrets->room = room;
  return FREDDY_OK;
}

void fy_secrets_add(struct fy_secrets *secrets, struct fy_secret *secret) {
  for (size_t i = 0; i < secrets->count; i++) {
    if (secrets->list[i] == secret) {
      fy_secret_unref(secret);
      return;
    }
  }
  fy_secret_watch(secret);
  secrets->list[secrets->count++] = secret;
}

struct fy_secret *fy_secrets_find(const struct fy_secrets *secrets,
                                  const struct fy_secret *secret) {
  for (size_t i = 0; i < secrets->count; i++) {
    if (fy_secret_equal(secrets->list[i], secret)) {
      return secrets->list[i];
    }
  }
  return NULL;
}

void fy_secrets_clear(struct fy_secrets *secrets) {
  for (size_t i = 0; i < secrets->count; i++) {
    fy_secret_unwatch(secrets->list[i]);
  }
  fy_free(secrets->list);
  memset(secrets, 0, sizeof(*secrets));
}
