/* SPDX-License-Identifier: MIT */
/* The options of an easy handle, set for one transfer. */
#ifndef FY_NET_EASY_H
#define FY_NET_EASY_H

#include <curl/curl.h>

struct fy_engine;
struct fy_transfer;

/* 60: libcurl's own default, stated because net/lookups counts on it. */
enum { FY_DNS_CACHE_SECONDS = 60 };

/* A handle from the pool, or a new one; NULL when there is no memory. */
CURL *fy_easy_take(struct fy_engine *engine);
/* Back to the pool, forgetting everything, its secrets first. */
void fy_easy_give(struct fy_engine *engine, CURL *easy);

/* Set everything up. FREDDY_OK or FREDDY_ENOMEM. The credential is read now,
 * at send time, and put nowhere but into the header that is sent. */
int fy_easy_setup(struct fy_transfer *transfer);
/* Free what the setup made. */
void fy_easy_clear(struct fy_transfer *transfer);

#endif
