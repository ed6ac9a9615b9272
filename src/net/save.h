/* SPDX-License-Identifier: MIT */
/* The way of an answer into its file: the engine hands the pieces over, the
 * I/O thread writes them, and tells the engine by FY_CALL_SAVED when the file
 * has its name, or as soon as it cannot have it. */
#ifndef FY_NET_SAVE_H
#define FY_NET_SAVE_H

#include <stddef.h>

#include "freddy.h"

struct fy_save;

/* Have the file of `call` (ask.save_to) opened. It keeps the call until it is
 * dropped. NULL: no memory. All of this: engine thread. */
struct fy_save *fy_save_new(struct freddy_call *call);

/* 1 when as much is unwritten as the call may buffer: the transfer has to
 * pause, and is resumed (FY_CALL_RESUME) when half of that is written. */
int fy_save_is_full(struct fy_save *save);

/* Hand over a copy of `data`. FREDDY_OK; FREDDY_ENOMEM; or, with `err`, why
 * the file failed before. */
int fy_save_put(struct fy_save *save, const char *data, size_t size,
                freddy_error *err);

/* All was handed over: the file is to get its name. */
void fy_save_finish(struct fy_save *save);

/* 1 once it has its outcome: err->code is FREDDY_OK, or why it failed. */
int fy_save_outcome(struct fy_save *save, freddy_error *err);

/* Let go of it. Unless it was given its name, nothing of it is left. */
void fy_save_drop(struct fy_save *save);

#endif
