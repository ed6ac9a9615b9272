/* SPDX-License-Identifier: MIT */
/* A session that is kept: what its clockwork asks a store, and what becomes of
 * the answers. Engine thread, where nothing else is said. */
#ifndef FY_NET_CREDENTIAL_STORE_H
#define FY_NET_CREDENTIAL_STORE_H

#include <stdatomic.h>

#include "net/session_file.h"
#include "rules/token.h"

struct fy_credential;
struct fy_given;

/* One thing that is asked of a store at a time. */
struct fy_keep {
  struct fy_session_job job; /* the first */
  struct fy_credential *credential;
  struct fy_token_step step;
  struct fy_token_step next; /* once this is done; NOTHING: none */
  int busy;
  atomic_int over;
};

/* Give a new session its store, if its client has one; `life` is that of the
 * token that was given. FREDDY_OK or FREDDY_ENOMEM. Any thread. */
int fy_store_open(struct fy_credential *credential,
                  const struct fy_given *given, fy_time life);

/* Do a step that is a store's: CLAIM, SAVE, RELEASE. */
void fy_store_step(struct fy_credential *credential,
                   const struct fy_token_step *step);

/* 1 when it holds tokens that were given and are good, where the store has
 * none: they are what was to be fetched. */
int fy_store_has_given(struct fy_credential *credential,
                       struct fy_token_grant *grant);

/* One of the next two is about to be posted: an exit waits for it. Any
 * thread. */
void fy_store_expect(struct fy_credential *credential);
/* It does not come to that. */
void fy_store_unexpect(struct fy_credential *credential);

/* Save what somebody logged in with, whatever the store has. */
void fy_store_save_given(struct fy_credential *credential);

/* Its user logged out. Engine thread; or any, where no engine knows of it. */
void fy_store_clear(struct fy_credential *credential);

/* 1 while one of these is under way. */
int fy_store_is_busy(const struct fy_credential *credential);

/* Jobs are done. */
void fy_store_heed(struct fy_credential *credential);

/* An engine runs it now: jobs may have ended while none did. */
void fy_store_adopted(struct fy_credential *credential);

/* Seconds since 1970. Any thread. */
double fy_store_wall_now(void);

/* Count it among those that an exit waits for, or no longer. */
void fy_store_publish(struct fy_credential *credential, int at_risk);

#endif
