/* SPDX-License-Identifier: MIT */
/* Redirects: whether one is followed, with what request, and where a secret
 * must not go along. Pure. RFC 9110 15.4; Fetch standard, HTTP-redirect
 * fetch. */
#ifndef FY_RULES_REDIRECT_H
#define FY_RULES_REDIRECT_H

#include <stddef.h>

#include "base/buf.h"
#include "rules/header.h"
#include "rules/url.h"

/* The request that was answered, and the answer. */
struct fy_redirect {
  const struct fy_headers *answer; /* complete, fy_redirect_is of its status */
  const struct fy_url *from;
  const char *method;
  int has_body;
  int body_spent; /* 1: its reader was asked, and cannot be once more */
  int hops;       /* redirects followed before this one */
};

/* The request that follows it. */
struct fy_step {
  struct fy_buf text; /* the URL, ready to be sent; the caller clears it */
  struct fy_url url;  /* views into `text` */
  int to_get;         /* 1: the method becomes GET */
  int drops_body;     /* 1: no body, and none of its headers */
  int leaves;         /* 1: another origin: no credential from here on */
};

/* 1 for the statuses that are redirects: 301, 302, 303, 307, 308. */
int fy_redirect_is(int status);

/* FREDDY_OK: follow it, by `step`. FREDDY_ENOMEM. FREDDY_EREDIRECT: do not,
 * with a reason in `err` (optional):
 *   no_location        there is none, or an empty one
 *   bad_location       no http(s) URL that can be used: another scheme, a user
 *                      name, control characters, no valid host; too long; or
 *                      several Locations that differ
 *   too_many           FY_MAX_REDIRECTS were followed already
 *   insecure           from https to http, or by http to another machine
 *   cross_origin_body  another origin would get the body, or a request that
 *                      does more than read (POST, PUT, PATCH, DELETE)
 *   body_spent         the body would have to be sent again, and cannot be
 * 303, and 301 and 302 on POST, become GET without the body (HEAD stays);
 * all others keep method and body. */
FREDDY_MUST_CHECK int fy_redirect_follow(const struct fy_redirect *seen,
                                         struct fy_step *step,
                                         freddy_error *err);

/* 1 when the header `name` of a request goes along. With the body go its
 * headers (Content-Type...). To another origin go only those that say what
 * is wanted and nothing about who asks: Cookie does not, nor does any name
 * that is not known here. */
int fy_redirect_keeps(const struct fy_step *step, const char *name,
                      size_t size);

#endif
