/* SPDX-License-Identifier: MIT */
/* What an answer tells of rate limits: both sets of headers that the API has
 * shown (API facts, auth.md 5), and Retry-After (RFC 9110 10.2.3). All of them
 * are optional, and none is believed without a look. Pure. */
#ifndef FY_RULES_RATE_HEADERS_H
#define FY_RULES_RATE_HEADERS_H

struct fy_headers;

/* Counts, and seconds from now; NAN: not said, or not to be understood. */
struct fy_rate_facts {
  int refused; /* 1: the status is 429 */
  double limit, remaining, reset;
  double tokens_remaining, tokens_reset; /* of the second set only */
  double retry_after;
};

/* X-RateLimit-Limit and its like go before x-ratelimit-limit-requests and its
 * like, one by one.
 *
 * wall  seconds since 1970 by this machine: used where the answer has no
 *       Date */
void fy_rate_facts_read(const struct fy_headers *headers, double wall,
                        struct fy_rate_facts *facts);

/* What an answer asks to wait, in seconds from now, as fy_retry_after reads
 * it: its Retry-After, else its X-RateLimit-Retry-After where that is above 0.
 * NAN: nothing.
 *
 * wall  as above */
double fy_rate_retry_after(const struct fy_headers *headers, double wall);

/* The seconds until a reset: a number below 10^8 is that; a larger one, the
 * moment in seconds since 1970, read by the server's own clock. Also a date as
 * HTTP has them, and a duration such as "6m0s" or "250ms". What has passed is
 * 0. NAN when `text` (NULL is fine) is none of these.
 *
 * now  seconds since 1970 by the server */
double fy_rate_reset(const char *text, double now);

#endif
