/* SPDX-License-Identifier: MIT */
/* A socket that rings: for hosts that can wait on nothing but connections of
 * their own making (nginx). They connect to a port of the loopback interface
 * that is open only until they have, and say who they are by a secret; a byte
 * then comes whenever they asked for one and an event has come.
 *
 * A file would have to be made in a folder that the host may write to, and
 * would stay behind when the process is killed; nginx passes on no abstract
 * name. Its inbox's lock guards a bell. */
#ifndef FY_NET_BELL_H
#define FY_NET_BELL_H

#include "base/limits.h"
#include "freddy.h"

struct fy_bell {
  int listener;                     /* -1 unless waited for */
  int socket;                       /* -1 until connected */
  int armed;                        /* 1: to ring at the next event */
  int callers[FY_MAX_BELL_CALLERS]; /* that have not said who they are */
  int next_caller;                  /* to be replaced */
  char secret[FREDDY_BELL_SECRET + 1];
};

void fy_bell_init(struct fy_bell *bell);

/* Hang up, and listen no more. The bell can be opened again. */
void fy_bell_close(struct fy_bell *bell);

/* Listen. What was open is closed before. FREDDY_OK, or an error. */
FREDDY_MUST_CHECK int fy_bell_open(struct fy_bell *bell, int *port,
                                   freddy_error *err);

/* 1 when the one who knows the secret is connected; 0 when not yet. */
int fy_bell_answer(struct fy_bell *bell);

/* Ring, if it is armed. */
void fy_bell_ring(struct fy_bell *bell);

#endif
