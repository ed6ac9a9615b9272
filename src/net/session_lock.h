/* SPDX-License-Identifier: MIT */
/* The lock beside a session file. It holds a number, and its bytes are locked
 * one by one: byte 0 by who looks or renames, for microseconds; byte 1 + n by
 * who made claim number n, until it is given back or its holder has died. A
 * claim that is broken (a log-in, or 30 s) leaves its byte locked, and the
 * number goes on. I/O thread. */
#ifndef FY_NET_SESSION_LOCK_H
#define FY_NET_SESSION_LOCK_H

#include <stdint.h>

#include "base/clock.h"
#include "net/private_fd.h"

struct fy_session_lock {
  struct fy_private_fd file;
  int64_t number; /* in the file, when it was entered */
  int64_t claim;  /* ours; 0: none */
  /* Somebody else's claim, and for how long it has been watched. */
  int64_t watched;
  fy_time watched_for, watched_at;
};

/* What is wrong with the file. */
enum fy_lock_fault {
  FY_LOCK_GOOD,
  FY_LOCK_BUSY,       /* another one is inside */
  FY_LOCK_ERRNO,      /* see errno */
  FY_LOCK_NO_LOCKS,   /* the file system has none */
  FY_LOCK_NOT_A_FILE, /* a link, a folder... */
  FY_LOCK_OWNER,      /* it is another user's */
  FY_LOCK_MODE        /* others may open it */
};

void fy_session_lock_init(struct fy_session_lock *lock);

/* Go in: nobody else is inside until fy_session_lock_leave. Tried again for
 * `patience`. A claim of ours that was broken is gone afterwards. */
enum fy_lock_fault fy_session_lock_enter(struct fy_session_lock *lock,
                                         int folder, const char *name,
                                         fy_time patience);

/* The rest but _drop: inside. */

/* Claim: GOOD; BUSY when somebody else's stands, and has not been watched for
 * `ttl`; ERRNO. What we hold already is renewed. */
enum fy_lock_fault fy_session_lock_claim(struct fy_session_lock *lock,
                                         fy_time now, fy_time ttl);

/* Break whatever claim there is, and hold none. 0, or -1 and errno. */
int fy_session_lock_break(struct fy_session_lock *lock);

/* Give our claim back, if there is one. */
void fy_session_lock_release(struct fy_session_lock *lock);

/* Go out; the file stays open for as long as there is a claim. */
void fy_session_lock_leave(struct fy_session_lock *lock);

/* Outside: leave nothing open and locked. */
void fy_session_lock_drop(struct fy_session_lock *lock);

#endif
