/* SPDX-License-Identifier: MIT */
/* Where calls report. A call with something to tell stands in the list once;
 * draining is round-robin over the calls. */
#ifndef FY_NET_INBOX_H
#define FY_NET_INBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/flag.h"
#include "freddy.h"
#include "net/bell.h"
#include "net/listener.h"
#include "net/post.h"

struct fy_cause;
struct fy_chunk;

struct freddy_inbox {
  struct fy_post post;
  atomic_int refs;
  _Atomic uint64_t generation; /* of the engine it was used with; 0: none */
  struct fy_flag flag;         /* up while something is listed */
  atomic_int waiters;

  pthread_mutex_t lock; /* all that follows, and the calls' outboxes */
  int has_waited;       /* 1: a thread has, and this one did */
  pthread_t waiter;     /* the last time */
  int wake;             /* they are to be told when the lock is let go */
  int closed;
  struct freddy_call *first, *last;
  int fd; /* -1 until asked for */
  int fd_write;
  int fd_signalled;
  struct fy_bell bell;
  struct fy_chunk *held;       /* the data event that the host is looking at */
  struct freddy_call *lender;  /* or whose, when it stays in its flow */
  struct fy_cause *held_cause; /* or the cause of a repeat */
  struct fy_told told;         /* the tokens of another, and */
  freddy_tokens tokens;        /* as it sees them */
  freddy_error failure;        /* or what has failed */
  freddy_ask_permits ask_permits; /* or what is asked for */

  struct fy_engine *led; /* perhaps, by the waiter: its poller
                            is where that one sleeps */

  int adopted; /* the engine's: calls in flight that report here */
  int to_wake; /* stands in its list */
  struct freddy_inbox *next_to_wake;
};

/* What can be wished of an inbox. */
enum { FY_INBOX_CLOSE = 1 };

struct freddy_inbox *fy_inbox_new(freddy_error *err);
struct freddy_inbox *fy_inbox_ref(struct freddy_inbox *inbox);
void fy_inbox_unref(struct freddy_inbox *inbox);

/* Deliver nothing any more. The caller posts FY_INBOX_CLOSE. */
void fy_inbox_cut(struct freddy_inbox *inbox);

int fy_inbox_wait(struct freddy_inbox *inbox, double seconds);
/* The thread that waits leads no engine any more. */
void fy_inbox_led_no_more(struct freddy_inbox *inbox);
int fy_inbox_fd(struct freddy_inbox *inbox, freddy_error *err);
int fy_inbox_next(struct freddy_inbox *inbox, freddy_event *event);

int fy_inbox_bell_open(struct freddy_inbox *inbox, int *port, char *secret,
                       freddy_error *err);
int fy_inbox_bell_answer(struct freddy_inbox *inbox);
int fy_inbox_bell_arm(struct freddy_inbox *inbox);
void fy_inbox_bell_close(struct freddy_inbox *inbox);

/* Let the lock go, and tell whoever waits if something was listed: not
 * before, or they would wake only to wait for the lock. The caller holds a
 * reference. */
void fy_inbox_unlock(struct freddy_inbox *inbox);

/* Between the two, this thread wakes nobody: they are woken once, at the
 * end, for all that it has listed for them. */
void fy_inbox_hold_wakes(void);
void fy_inbox_let_wakes(void);

/* Put `call` in the list, if it is not there. The caller holds the lock, and
 * lets it go by fy_inbox_unlock. */
void fy_inbox_list(struct freddy_inbox *inbox, struct freddy_call *call);
void fy_inbox_unlist(struct freddy_inbox *inbox, struct freddy_call *call);

#endif
