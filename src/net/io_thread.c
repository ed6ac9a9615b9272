/* SPDX-License-Identifier: MIT */
#include "net/io_thread.h"

#include <pthread.h>
#include <stddef.h>

#include "base/thread.h"

/* Replaced, not locked, in the child of a fork. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_t thread;
static int running, stopping;
static struct fy_io_job *first, *last;
static int count;

static struct fy_io_job *take_job(void) {
  struct fy_io_job *job;

  pthread_mutex_lock(&lock);
  while (!first && !stopping) {
    pthread_cond_wait(&cond, &lock);
  }
  job = first;
  if (job) {
    first = job->next;
    if (!first) {
      last = NULL;
    }
  }
  pthread_mutex_unlock(&lock);
  return job;
}

static void *io_main(void *unused) {
  struct fy_io_job *job;

  (void)unused;
  while ((job = take_job())) {
    job->run(job);
    pthread_mutex_lock(&lock);
    count--;
    pthread_mutex_unlock(&lock);
  }
  return NULL;
}

int fy_io_post(struct fy_io_job *job) {
  int rc = 0;

  pthread_mutex_lock(&lock);
  if (!running && !stopping) {
    running = fy_thread_start(&thread, io_main, NULL) == 0;
  }
  if (!running || stopping) {
    rc = -1;
  } else {
    job->next = NULL;
    if (last) {
      last->next = job;
    } else {
      first = job;
    }
    last = job;
    count++;
    pthread_cond_signal(&cond);
  }
  pthread_mutex_unlock(&lock);
  return rc;
}

int fy_io_count(void) {
  int jobs;

  pthread_mutex_lock(&lock);
  jobs = count;
  pthread_mutex_unlock(&lock);
  return jobs;
}

void fy_io_shutdown(void) {
  int was_running;

  pthread_mutex_lock(&lock);
  was_running = running;
  stopping = 1;
  pthread_cond_signal(&cond);
  pthread_mutex_unlock(&lock);
  if (was_running) {
    pthread_join(thread, NULL);
  }
  pthread_mutex_lock(&lock);
  running = stopping = 0;
  pthread_mutex_unlock(&lock);
}

void fy_io_forget(void) {
  pthread_mutex_t fresh_lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t fresh_cond = PTHREAD_COND_INITIALIZER;

  lock = fresh_lock;
  cond = fresh_cond;
  running = stopping = 0;
  first = last = NULL;
  count = 0;
}
