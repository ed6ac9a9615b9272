/* SPDX-License-Identifier: MIT */
/* What became of a transfer: libcurl's result, and what libcurl takes for a
 * success, put into one of our names. */
#ifndef FY_NET_VERDICT_H
#define FY_NET_VERDICT_H

#include <curl/curl.h>

#include "freddy.h"

struct fy_transfer;

/* Fill `err` unless the transfer brought one whole answer, or a refusal that
 * is cut within its body; err->code says which. */
void fy_verdict(struct fy_transfer *transfer, CURLcode code,
                freddy_error *err);

/* 1 once the head of an answer has come whose status says all: 400 and up, but
 * not what only a proxy says. */
int fy_verdict_is_refusal(const struct fy_transfer *transfer);

#endif
