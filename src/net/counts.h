/* SPDX-License-Identifier: MIT */
/* What is counted of a client: by the engine, for whoever looks. */
#ifndef FY_NET_COUNTS_H
#define FY_NET_COUNTS_H

#include <stdatomic.h>
#include <stdint.h>

struct fy_counts {
  _Atomic uint64_t requests, attempts, retries, failures;
  _Atomic uint64_t waits, waited; /* in line; nanoseconds in all */
  _Atomic uint64_t bytes_sent, bytes_received;
  _Atomic uint64_t opened, reused;
  _Atomic uint32_t waiting, in_flight; /* now */
};

/* Add to what is counted of a call's client; the engine's own requests, which
 * renew tokens, are nobody's, and who only waits for them has made none. */
#define FY_COUNT(call, what, count)                           \
  ((call)->client && !(call)->renews && !(call)->ask.renewal  \
       ? (void)atomic_fetch_add(&(call)->client->counts.what, \
                                (uint64_t)(count))            \
       : (void)0)

#endif
