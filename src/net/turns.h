/* SPDX-License-Identifier: MIT */
/* A call whose events answer POST /v1/model/response: rules/turn says what
 * they are, and here is what follows from it. It ends where the answer does,
 * not where the body does; one that breaks off goes on by another request of
 * the same call; and a 401 that comes as an event renews the token. Engine
 * thread only. */
#ifndef FY_NET_TURNS_H
#define FY_NET_TURNS_H

#include "freddy.h"
#include "rules/header.h"
#include "rules/turn.h"

struct fy_events;

struct fy_turns {
  struct fy_turn turn;
  char *thread;     /* that the request names; NULL: none */
  int resumes;      /* 1: it may go on behind a break */
  int begun;        /* 1: a stream has begun, on whichever connection */
  int told;         /* 1: the host knows the head */
  int refused;      /* 1: the last event was a 401 */
  int resuming;     /* 1: the connection is not the first */
  freddy_error cut; /* how it broke off first */
};

/* The head that the host looks at while other connections have others. */
struct fy_shown {
  struct fy_headers headers;
  char *url;
};

/* NULL when there is no memory. `thread` is borrowed, and may be NULL. */
struct fy_turns *fy_turns_new(const char *thread, int resumes);
void fy_turns_free(struct fy_turns *turns);
void fy_shown_free(struct fy_shown *shown);

/* The head of a stream has come. FREDDY_OK or FREDDY_ENOMEM. */
int fy_turns_begin(struct freddy_call *call, struct fy_turns *turns);

/* 1 while events must be held back, since they may have to be forgotten. */
int fy_turns_holds(const struct freddy_call *call,
                   const struct fy_turns *turns);

/* What has been held back, and the head, may go to the host. */
int fy_turns_show(struct freddy_call *call, struct fy_turns *turns);

/* What came is a 401: the request is sent once more, if nothing of what it
 * brought was shown. */
void fy_turns_refuse(struct fy_turns *turns);

/* It is. */
void fy_turns_forget(struct fy_turns *turns);

/* 1 when nothing more is to be waited for. */
int fy_turns_is_over(const struct fy_turns *turns);

/* An attempt has ended as `err` says: what that means for the answer, of which
 * this was a stream or not. */
void fy_turns_end(const struct fy_turns *turns, int is_stream,
                  freddy_error *err);

/* An attempt of the call is over. 1: the call goes on, or has been ended. 0:
 * it ends with *err. -1: it is an attempt like any other. */
int fy_turns_try(struct freddy_call *call, struct fy_turns *turns,
                 const freddy_error *err);

/* The rate limit allows no request for too long. 1: the call was waiting to go
 * on, and has been ended as what broke off. */
int fy_turns_hold_back(struct freddy_call *call, struct fy_turns *turns,
                       const freddy_error *err);

#endif
