/* SPDX-License-Identifier: MIT */
/* Masking secrets in texts that leave. Pure. */
#ifndef FY_RULES_REDACT_H
#define FY_RULES_REDACT_H

#include <stddef.h>

#include "rules/url.h"

/* What replaces a secret. Never longer than a secret that is masked
 * anywhere, so that redacting in place is possible. */
#define FY_MASK "***"

/* Mask in `text`, in place, every occurrence of the secrets: plain,
 * percent-encoded (either case of hex, any choice of which characters are
 * encoded) and JSON-escaped (any of the escapes JSON allows, \uXXXX in either
 * case included), or any mixture of these. Occurrences that overlap are
 * masked as one, from the first's start to the last's end.
 *
 * Secrets of 8 bytes and more are masked anywhere, and so is the beginning of
 * one (8 bytes of it at least) with which the text ends: it was cut there.
 * Shorter ones are masked only as a whole JSON value or between
 * non-alphanumerics, where an escaped character counts as what it means; the
 * mask may be cut to the secret's length. Secrets of length 0 are ignored.
 *
 * Linear in the text for a bounded number of secrets.
 *
 * Returns the new size, never more than `size`; the text is not
 * NUL-terminated by this. */
size_t fy_redact(char *text, size_t size, const struct fy_span *secrets,
                 size_t count);

#endif
