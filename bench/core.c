/* SPDX-License-Identifier: MIT */
/* freddy from C, through freddy.h alone:
 *
 *   core flight BASE N WIDTH [CA]   WIDTH in flight
 *   core bursts BASE N WIDTH [CA]   N bursts of WIDTH; the connections are
 *                               those opened after the first, whose answers
 *                               are slow: it needs as many as it has */
#include <string.h>

#include "bench.h"
#include "freddy.h"

enum { WARM_UP = 200, FOREVER = -1 };

static freddy_client *client;
static freddy_inbox *inbox;

static void open_client(const char *base, const char *ca) {
  freddy_options opts = {.base_url = base, .api_key = "benchmark-key"};
  freddy_error err = {0};

  opts.ca_file = ca;
  if (freddy_client_new(&opts, &client, &err) ||
      freddy_inbox_new(&inbox, &err)) {
    bench_die(err.message);
  }
}

static void start(const char *path) {
  freddy_request req = {.path = path};
  freddy_error err = {0};
  freddy_call *call;

  if (freddy_start(client, inbox, &req, &call, &err)) {
    bench_die(err.message);
  }
}

static void take_one(void) {
  freddy_event event;
  const freddy_error *err;

  while (!freddy_inbox_next(inbox, &event)) {
    freddy_inbox_wait(inbox, FOREVER);
  }
  err = freddy_call_error(event.call);
  if (err || freddy_call_status(event.call) != 200) {
    bench_die(err ? err->message : "an answer that is not 200");
  }
  freddy_call_free(event.call);
}

static void flight(const char *path, long count, long width) {
  long sent = 0;

  while (sent < count && sent < width) {
    start(path);
    sent++;
  }
  for (long done = 0; done < count; done++) {
    take_one();
    if (sent < count) {
      start(path);
      sent++;
    }
  }
}

static long opened(void) {
  freddy_engine_stats stats;

  freddy_engine_stats_get(&stats);
  return (long)stats.connections_opened;
}

static void run_bursts(long bursts, long width) {
  struct bench bench;
  long before;

  flight("/slow", width, width);
  before = opened();
  bench_begin(&bench);
  for (long i = 1; i < bursts; i++) {
    flight("/text", width, width);
  }
  bench_end(&bench);
  bench.connections = opened() - before;
  bench_print(&bench);
}

static void run_flight(long count, long width) {
  struct bench bench;
  long before;

  if (count > width) {
    flight("/text", WARM_UP, width);
  }
  before = opened();
  bench_begin(&bench);
  flight("/text", count, width);
  bench_end(&bench);
  bench.connections = opened() - before;
  bench_print(&bench);
}

int main(int argc, char **argv) {
  const char *what = argc > 3 ? argv[1] : "";
  long count = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
  long width = argc > 4 ? strtol(argv[4], NULL, 10) : 1;

  if (count < 1 || width < 1) {
    bench_die("core flight|bursts BASE N WIDTH [CA]");
  }
  open_client(argv[2], argc > 5 ? argv[5] : NULL);
  if (strcmp(what, "bursts") == 0) {
    run_bursts(count, width);
  } else {
    run_flight(count, width);
  }
  freddy_client_free(client);
  freddy_inbox_free(inbox);
  freddy_shutdown();
  return 0;
}
