/* SPDX-License-Identifier: MIT */
/* The options of an easy handle, set for one transfer. */
#ifndef FY_NET_EASY_H
#define FY_NET_EASY_H

#include <curl/curl.h>

struct fy_engine;
struct fy_transfer;

/* 60: libcurl's own default, stated because net/lookups counts on it. */
enum { FY_DNS_CACHE_SECONDS = 60 };

/* A handle from the pool, or a new one. FREDDY_OK or FREDDY_ENOMEM. */
int fy_easy_take(struct fy_transfer *transfer);
/* Back to the pool, forgetting everything, its secrets first; but after a
 * plain request that ended well it keeps its client's options, for the next
 * one: to set them anew is most of what a request costs the engine. */
void fy_easy_give(struct fy_transfer *transfer);
/* Free what is in the pool. */
void fy_easy_drop_pool(struct fy_engine *engine);

/* Set everything up. FREDDY_OK or FREDDY_ENOMEM. The credential is read now,
 * at send time, and put nowhere but into the header that is sent. */
int fy_easy_setup(struct fy_transfer *transfer);
/* Its connect may last as long as it likes, by libcurl's leave. */
void fy_easy_lift_limit(struct fy_transfer *transfer);
/* Free what the setup made. */
void fy_easy_clear(struct fy_transfer *transfer);

#endif
