/* SPDX-License-Identifier: MIT */
/* How a call ends: measured, redacted where it failed, its large JSON
 * decoded, and delivered. Engine thread. */
#ifndef FY_NET_OUTCOME_H
#define FY_NET_OUTCOME_H

#include <stdint.h>

#include "freddy.h"

struct freddy_call;
struct fy_transfer;

/* `sent` bytes of the attempt's body have been sent by now: count those that
 * have not been counted. */
void fy_outcome_count_sent(struct fy_transfer *transfer, int64_t sent);

/* Keep the figures of the attempt that is ending. */
void fy_outcome_measure(struct freddy_call *call,
                        struct fy_transfer *transfer);

/* Let go of the file that the answer was saved to. */
void fy_outcome_drop_file(struct freddy_call *call);

/* The call is over: deliver `err` (code FREDDY_OK: none) with what there is
 * of an answer, and drop the engine's reference. */
void fy_outcome_deliver(struct freddy_call *call, const freddy_error *err);

#endif
