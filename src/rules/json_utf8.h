/* SPDX-License-Identifier: MIT */
/* UTF-8 as JSON needs it. */
#ifndef FY_RULES_JSON_UTF8_H
#define FY_RULES_JSON_UTF8_H

#include <stddef.h>

/* How many bytes the character at `text` has: 1 to 4, or 0 when it is not
 * UTF-8 (RFC 3629: no surrogates, none beyond U+10FFFF, no overlong form)
 * or `size` is 0. */
size_t fy_utf8_length(const char *text, size_t size);

/* How many bytes at the start of `text` are whole UTF-8 characters that stand
 * in a JSON string as they are (RFC 8259 7). Ends at `size`, at a character
 * to be escaped (below 0x80) or at what is not UTF-8 (0x80 and up). */
size_t fy_utf8_plain(const char *text, size_t size);

#endif
