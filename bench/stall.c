/* SPDX-License-Identifier: MIT */
/* stall BASE HANDSHAKES CA: what others feel while a resolver hangs (to be
 * run under slow_resolver_preload.so). A thread makes small requests to BASE,
 * one after another, and notes the longest; the main thread meanwhile starts
 * and cancels calls to names that hang and opens ten TLS connections at a
 * time. Prints: the longest request before that and during it, in ms; the
 * most threads that were seen beyond those known, with all calls to one host
 * and to fifty; the TLS handshakes made. */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "bench.h"
#include "freddy.h"

enum {
  CALLS = 1000,
  BATCH = 50,
  HOSTS = 50,
  CONNECTS = 10,
  KNOWN = 3 /* main, observer, engine */
};

static const double QUIET = 0.5, HANGING = 3;

static freddy_client *client_new(const char *base, const char *ca, int http1) {
  freddy_options opts = {.api_key = "benchmark-key"};
  freddy_error err = {0};
  freddy_client *client;

  opts.base_url = base;
  opts.ca_file = ca;
  opts.http1 = http1;
  if (freddy_client_new(&opts, &client, &err)) {
    bench_die(err.message);
  }
  return client;
}

static freddy_inbox *inbox_new(void) {
  freddy_error err = {0};
  freddy_inbox *inbox;

  if (freddy_inbox_new(&inbox, &err)) {
    bench_die(err.message);
  }
  return inbox;
}

static freddy_call *start(freddy_client *client, freddy_inbox *inbox,
                          const char *path) {
  freddy_request req = {.path = path, .auth = FREDDY_AUTH_OFF};
  freddy_error err = {0};
  freddy_call *call;

  if (freddy_start(client, inbox, &req, &call, &err)) {
    bench_die(err.message);
  }
  return call;
}

static void nap(double seconds) {
  struct timespec left = {(time_t)seconds,
                          (long)((seconds - (double)(time_t)seconds) * 1e9)};

  nanosleep(&left, NULL);
}

/* --- The observer ------------------------------------------------------- */

static atomic_int observing = 1;
static atomic_int hanging;
static double longest[2]; /* before, and while a resolver hangs */

static void *observe(void *context) {
  freddy_inbox *inbox = inbox_new();
  freddy_event event;

  while (atomic_load(&observing)) {
    int phase = atomic_load(&hanging);
    double began = bench_now();

    start(context, inbox, "/small");
    while (!freddy_inbox_next(inbox, &event)) {
      freddy_inbox_wait(inbox, -1);
    }
    if (freddy_call_status(event.call) != 200) {
      bench_die("an answer that is not 200");
    }
    freddy_call_free(event.call);
    began = bench_now() - began;
    longest[phase] = began > longest[phase] ? began : longest[phase];
  }
  freddy_inbox_free(inbox);
  return NULL;
}

/* --- The threads of the process ----------------------------------------- */

static int count_threads(void) {
  DIR *dir = opendir("/proc/self/task");
  int count = 0;

  while (dir && readdir(dir)) {
    count++;
  }
  if (dir) {
    closedir(dir);
  }
  return count - 2 - KNOWN; /* . and .. */
}

/* Start and cancel, a batch at a time; the most threads seen. */
static int cancel_many(freddy_client *client, freddy_inbox *inbox, int hosts) {
  freddy_call *calls[BATCH];
  char url[64];
  int most = 0;

  for (int i = 0; i < CALLS; i += BATCH) {
    for (int j = 0; j < BATCH; j++) {
      snprintf(url, sizeof(url), "https://slow%d.test/", (i + j) % hosts);
      calls[j] = start(client, inbox, url);
    }
    nap(0.002); /* some of them begin a look-up */
    for (int j = 0; j < BATCH; j++) {
      int threads = count_threads();

      most = threads > most ? threads : most;
      freddy_call_cancel(calls[j]);
      freddy_call_free(calls[j]);
    }
  }
  return most;
}

/* --- TLS connects ------------------------------------------------------- */

/* Ten at a time, a wave every 50 ms, until the resolver has hung for long
 * enough. Returns how many were made. */
static int connect_in_waves(freddy_client *client, double until) {
  freddy_inbox *inbox = inbox_new();
  freddy_event event;
  int made = 0;

  while (bench_now() < until) {
    for (int i = 0; i < CONNECTS; i++) {
      start(client, inbox, "/small");
    }
    for (int i = 0; i < CONNECTS;) {
      if (!freddy_inbox_next(inbox, &event)) {
        freddy_inbox_wait(inbox, -1);
        continue;
      }
      made += freddy_call_status(event.call) == 200;
      freddy_call_free(event.call);
      i++;
    }
    nap(0.05);
  }
  freddy_inbox_free(inbox);
  return made;
}

int main(int argc, char **argv) {
  freddy_client *quick, *tls;
  freddy_inbox *inbox = inbox_new();
  pthread_t observer;
  double began;
  int one_host, all_hosts, waves;

  if (argc < 4) {
    bench_die("stall BASE HANDSHAKES CA");
  }
  quick = client_new(argv[1], NULL, 1);
  tls = client_new(argv[2], argv[3], 1);
  if (pthread_create(&observer, NULL, observe, quick)) {
    bench_die("no thread");
  }
  nap(QUIET);
  atomic_store(&hanging, 1);
  began = bench_now();
  one_host = cancel_many(tls, inbox, 1);
  all_hosts = cancel_many(tls, inbox, HOSTS);
  waves = connect_in_waves(tls, began + HANGING);
  atomic_store(&observing, 0);
  pthread_join(observer, NULL);
  printf("%.3f %.3f %d %d %d\n", longest[0] * 1e3, longest[1] * 1e3, one_host,
         all_hosts, waves);
  fflush(stdout);
  _exit(0); /* without waiting for what hangs */
}
