/* SPDX-License-Identifier: MIT */
/* Members of a JSON object, found without parsing it: for texts of any size
 * on a thread that must not stand still. Allocates nothing. */
#ifndef FY_RULES_MEMBER_H
#define FY_RULES_MEMBER_H

#include <stddef.h>
#include <stdint.h>

#include "rules/url.h"

struct fy_member {
  const char *name; /* which one is wanted: ASCII, nothing to be escaped */
  char kind;        /* what it is: '"' '{' '[' '0' (a number) 't' 'f' 'n', or
                       0: there is none */
  struct fy_span value; /* as it stands in the text; a string without its
                           quotes, escapes and all */
};

/* Find `count` members of the object that `text` is, in one pass; of equal
 * names the last. 1; or 0, none found, when `text` is no object, does not end
 * with it, or breaks off. Values are not looked into: one that JSON would not
 * allow is taken as it is. */
int fy_members_find(const char *text, size_t size, struct fy_member *members,
                    size_t count);

/* 1 when it is a string, and this one. */
int fy_member_is(const struct fy_member *member, const char *text);

/* The bytes of a string, escapes resolved, with a NUL behind them, into
 * `out`. Their number; or -1 when it is no string, a wrong one, or has no
 * room there. */
long fy_member_text(const struct fy_member *member, char *out, size_t room);

/* An integer, from 0 on; -1 when it is none, or too large. */
int64_t fy_member_number(const struct fy_member *member);

#endif
