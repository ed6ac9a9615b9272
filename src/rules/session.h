/* SPDX-License-Identifier: MIT */
/* A session as it is kept in a file: the text, and what its times mean in
 * another process. No I/O; the clocks are parameters.
 *
 * The text is one JSON object: freddy_session (the version, 1), server and
 * kind (whose it is), access_token, refresh_token, obtained_at and expires_at
 * (seconds since 1970). One without tokens says that somebody logged out.
 * Members that are not known are passed over, and gone at the next save. */
#ifndef FY_RULES_SESSION_H
#define FY_RULES_SESSION_H

#include <stddef.h>

#include "base/clock.h"
#include "base/secret.h"
#include "freddy.h"
#include "rules/token.h"

/* All zero: none. */
struct fy_kept_session {
  struct fy_secret *access;  /* NULL: only something to renew it with */
  struct fy_secret *refresh; /* NULL: nothing to renew it with */
  double obtained_at;        /* when its request was sent; wall clock, seconds
                                since 1970 */
  double expires_at;         /* the same clock; 0: not known */
};

/* Whose session a file holds. One that is another's is not used and not
 * overwritten. Printable ASCII, at most FY_MAX_URL each; borrowed. */
struct fy_session_owner {
  const char *server; /* the base URL */
  const char *kind;   /* how it was come by: "session", "exchange"... */
};

enum fy_session_fault {
  FY_SESSION_GOOD,
  FY_SESSION_NO_MEMORY,
  FY_SESSION_CORRUPT,      /* no JSON, or not what we write */
  FY_SESSION_NEWER,        /* a version that we do not know */
  FY_SESSION_OTHER_SERVER, /* not `owner`'s */
  FY_SESSION_OTHER_KIND
};

/* Read the text of a file. GOOD and `session` (fy_session_clear), all zero
 * when somebody logged out or there is no text at all. Else nothing is held.
 * Never more than FY_MAX_SESSION bytes. */
FREDDY_MUST_CHECK enum fy_session_fault fy_session_read(
    const char *text, size_t size, const struct fy_session_owner *owner,
    struct fy_kept_session *session);

/* Write the text of `session`, NUL-terminated, into new memory that
 * fy_session_text_free wipes and frees. FREDDY_OK; FREDDY_ENOMEM;
 * FREDDY_EMISUSE when a token, a time or the owner cannot be read back. */
FREDDY_MUST_CHECK int fy_session_write(const struct fy_kept_session *session,
                                       const struct fy_session_owner *owner,
                                       char **text, size_t *size);
void fy_session_text_free(char *text, size_t size);

/* `to` becomes the same as `from`, with references of its own; what it held
 * is dropped. */
void fy_session_set(struct fy_kept_session *to,
                    const struct fy_kept_session *from);
/* Drop the secrets; all zero afterwards. */
void fy_session_clear(struct fy_kept_session *session);

/* 1 when there is nothing: no token at all. */
int fy_session_is_empty(const struct fy_kept_session *session);
/* 1 when both hold the same tokens. */
int fy_session_is_same(const struct fy_kept_session *a,
                       const struct fy_kept_session *b);

/* 1 when the access token may still be sent: it has one, and it is not within
 * min(10 s, 5 %) of its end by the wall clock. */
int fy_session_is_alive(const struct fy_kept_session *session, double wall);

/* What the clockwork is to be told of it, `now` and `wall` being the same
 * moment. A session from the future is taken for brand-new: a wall clock that
 * stepped back must not make a token immortal, nor dead. */
void fy_session_grant(const struct fy_kept_session *session, double wall,
                      fy_time now, struct fy_token_grant *grant);

#endif
