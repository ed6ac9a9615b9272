/* SPDX-License-Identifier: MIT */
/* Dates as HTTP headers give them: RFC 9110 5.6.7, all three forms. */
#ifndef FY_RULES_HTTP_DATE_H
#define FY_RULES_HTTP_DATE_H

/* Seconds since 1970, or NAN when `text` (NULL is fine) is no date. The year
 * of the form with two digits is the one that lies at most 50 years after
 * `now` (seconds since 1970). The day's name is not compared with the date. */
double fy_http_date(const char *text, double now);

#endif
