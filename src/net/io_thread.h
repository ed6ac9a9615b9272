/* SPDX-License-Identifier: MIT */
/* One small thread, started when it is first needed, for what would hold up
 * the engine or the host: large JSON, large texts to redact. A job lives
 * inside what it works on, so that posting one never allocates. */
#ifndef FY_NET_IO_THREAD_H
#define FY_NET_IO_THREAD_H

struct fy_io_job {
  struct fy_io_job *next;
  void (*run)(struct fy_io_job *job); /* may free what it is in */
};

/* Post a job. 0; or -1 when no thread can be had: then the caller runs it.
 * Any thread; never blocks for long. */
int fy_io_post(struct fy_io_job *job);

/* How many jobs were posted and have not been run to their end. */
int fy_io_count(void);

/* Run what is left, stop and join the thread. */
void fy_io_shutdown(void);

/* The child of a fork has no such thread: forget it. */
void fy_io_forget(void);

#endif
