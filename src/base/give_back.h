/* SPDX-License-Identifier: MIT */
/* Memory that one thread makes and others are done with. To free it there
 * would wait for the lock of that thread's heap, for as long as the system
 * lets the thread not run that holds it: longer than a frame has. So it is
 * put aside, and freed where it was made. */
#ifndef FY_BASE_GIVE_BACK_H
#define FY_BASE_GIVE_BACK_H

#include <stddef.h>

struct fy_buf;

/* Free `size` bytes of fy_malloc's or fy_realloc's, once the thread that made
 * them gets to it; at once when there is none, or when too much waits for it.
 * NULL does nothing. Any thread; waits for nothing. */
void fy_give_back(void *memory, size_t size);

/* fy_buf_clear, by fy_give_back. */
void fy_buf_give_back(struct fy_buf *buf);

/* For the thread that made it, now and then: free what was put aside.
 * `goes_on` tells whether it will come again. */
void fy_take_back(int goes_on);

/* How many bytes wait for that, about. */
size_t fy_given_back(void);

#endif
