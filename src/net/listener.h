/* SPDX-License-Identifier: MIT */
/* Who listens to a client's session, and is asked for what only the host can
 * do: take over new tokens, provide them. A listener is a call that sends
 * nothing; all of the process stand in one list, which needs no engine. */
#ifndef FY_NET_LISTENER_H
#define FY_NET_LISTENER_H

#include "base/clock.h"
#include "base/secret.h"
#include "freddy.h"
#include "rules/grant.h"

struct freddy_call;
struct fy_credential;
struct fy_rate;

/* What is told. */
struct fy_told {
  struct fy_secret *access;  /* NULL: logged out */
  struct fy_secret *refresh; /* or NULL */
  fy_time ends_at;           /* FY_NEVER: not known */
  const char *cause;
};

/* Drop its secrets; may be repeated. */
void fy_told_clear(struct fy_told *told);

/* All under the inbox's lock, but what stands first. */
struct fy_listener {
  struct freddy_call *prev, *next;
  int listed;
  int hears, provides, hears_failures, permits;

  struct fy_told news; /* not drained yet */
  uint32_t told_question;
  struct fy_credential *told_by; /* waits for the answer; NULL: nobody */

  const char *why;
  uint32_t need_question;
  struct fy_credential *asked_by; /* NULL: nobody asks */
  int replied;
  struct fy_grant grant;
  char failure[232];

  freddy_error not_kept; /* not drained yet */

  struct fy_rate *permits_for; /* asks for permits (net/permits.h), or NULL */
  uint32_t permits_question;
  freddy_ask_permits wanted;
};

/* Make `call` one, and put it into the list. FREDDY_OK or FREDDY_ENOMEM. */
int fy_listener_join(struct freddy_call *call, const freddy_listener *how);
/* Out of the list: nobody waits for its answers. Any thread. */
void fy_listener_leave(struct freddy_call *call);
void fy_listener_free(struct fy_listener *listener);

/* The host's side; the caller of the first holds the inbox's lock. */
void fy_listener_next_event(struct freddy_call *call, freddy_event *event);
int fy_listener_answer(struct freddy_call *call, uint32_t question,
                       const freddy_tokens *tokens, const char *failure);

/* End all those of a client that closes. */
void fy_listeners_close(freddy_client *client);

/* Show each to `look`, under the list's lock. Any thread. */
void fy_listeners_each(void (*look)(struct freddy_call *call, void *context),
                       void *context);

/* How many hear of `credential`. Any thread, as the next. */
int fy_listeners_count(struct fy_credential *credential);
/* Tell them (`told` is borrowed); how many were told. `asks` 0: nobody waits
 * for their answers. */
int fy_listeners_tell(struct fy_credential *credential,
                      const struct fy_told *told, int asks);

/* Tell those who hear of failures of one. */
void fy_listeners_tell_failure(struct fy_credential *credential,
                               const freddy_error *failure);

/* 1 while one of them has not answered. Engine thread, as all below. */
int fy_listeners_are_busy(struct fy_credential *credential);
/* Ask the first that provides; 0: there is none. */
int fy_listeners_ask(struct fy_credential *credential, const char *why);
/* What it provided: 1 and *grant; -1 and `err`, with reason provider_failed
 * (also when it has left); 0: it has not answered yet. */
int fy_listeners_take(struct fy_credential *credential, struct fy_grant *grant,
                      freddy_error *err);
/* Its answer is not wanted any more. */
void fy_listeners_unask(struct fy_credential *credential);

/* 1 when one hears on another thread than this, as far as is known. */
int fy_listeners_are_elsewhere(void);

/* Around a fork. */
void fy_listeners_lock(void);
void fy_listeners_unlock(void);

#endif
