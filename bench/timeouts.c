/* SPDX-License-Identifier: MIT */
/* timeouts: how exactly each time limit fires. A server of its own keeps each
 * request waiting in another way; per limit there is a line with its name and
 * how late it came, in ms: at the least, in the median and at the most
 * (negative: early). Where the host waits on the inbox, all that lies between
 * the limit and the host's knowing is in it. */
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "freddy.h"

enum { ROUNDS = 25, BACKLOG = 64, FOREVER = -1 };

static const double LIMIT = 0.2;

/* --- A server that keeps you waiting ------------------------------------ */

static int listen_on(int backlog, unsigned *port) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof(address);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) ||
      listen(fd, backlog) ||
      getsockname(fd, (struct sockaddr *)&address, &size)) {
    bench_die("no port to listen on");
  }
  *port = ntohs(address.sin_port);
  return fd;
}

/* Nobody accepts, and these two fill the queue: who comes next waits. */
static void fill_backlog(unsigned port) {
  struct sockaddr_in address = {.sin_family = AF_INET};

  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t)port);
  for (int i = 0; i < 2; i++) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    (void)!connect(fd, (struct sockaddr *)&address, sizeof(address));
  }
}

static int say(int fd, const char *text) {
  return send(fd, text, strlen(text), MSG_NOSIGNAL) > 0;
}

static void drip(int fd) {
  struct timespec pause = {0, 5000000};

  while (say(fd, "x")) {
    nanosleep(&pause, NULL);
  }
}

static void *serve(void *context) {
  int fd = (int)(intptr_t)context;
  char request[4096];
  ssize_t size = recv(fd, request, sizeof(request) - 1, 0);

  request[size > 0 ? size : 0] = '\0';
  if (strstr(request, "/stall")) {
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n12345");
  } else if (strstr(request, "/drip")) {
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n");
    drip(fd);
  } else if (strstr(request, "/busy")) {
    say(fd,
        "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n"
        "Retry-After: 30\r\n\r\n");
  }
  while (recv(fd, request, sizeof(request), 0) > 0) {
  }
  close(fd);
  return NULL;
}

static void *accept_all(void *context) {
  int listener = (int)(intptr_t)context;
  pthread_t thread;
  int fd;

  while ((fd = accept(listener, NULL, NULL)) >= 0) {
    if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd)) {
      bench_die("no thread");
    }
    pthread_detach(thread);
  }
  return NULL;
}

/* --- What is measured --------------------------------------------------- */

struct limit {
  const char *name;
  const char *scheme;
  int is_full; /* 1: the port whose queue is full */
  const char *path;
  const char *reason;
  freddy_timeouts timeout;
};

static int by_value(const void *a, const void *b) {
  double one = *(const double *)a, other = *(const double *)b;

  return (one > other) - (one < other);
}

static double measure(freddy_client *client, freddy_inbox *inbox,
                      const struct limit *limit) {
  freddy_request req = {
      .path = limit->path, .auth = FREDDY_AUTH_OFF, .timeout = limit->timeout};
  freddy_error err = {0};
  freddy_call *call;
  freddy_event event;
  const freddy_error *why;
  double late, started = bench_now();

  if (freddy_start(client, inbox, &req, &call, &err)) {
    bench_die(err.message);
  }
  while (!freddy_inbox_next(inbox, &event)) {
    freddy_inbox_wait(inbox, FOREVER);
  }
  late = bench_now() - started - LIMIT;
  why = freddy_call_error(call);
  if (!why || strcmp(why->reason, limit->reason) != 0) {
    bench_die(why ? why->message : "a limit that did not fire");
  }
  freddy_call_free(call);
  return late * 1000;
}

static void print_limit(const struct limit *limit, unsigned port) {
  freddy_options opts = {.retries = strcmp(limit->path, "/busy") ? -1 : 0};
  freddy_error err = {0};
  freddy_client *client;
  freddy_inbox *inbox;
  double late[ROUNDS];
  char base[64];

  snprintf(base, sizeof(base), "%s://127.0.0.1:%u", limit->scheme, port);
  opts.base_url = base;
  if (freddy_client_new(&opts, &client, &err) ||
      freddy_inbox_new(&inbox, &err)) {
    bench_die(err.message);
  }
  for (int i = 0; i < ROUNDS; i++) {
    late[i] = measure(client, inbox, limit);
  }
  qsort(late, ROUNDS, sizeof(late[0]), by_value);
  printf("%s\t%.2f\t%.2f\t%.2f\n", limit->name, late[0], late[ROUNDS / 2],
         late[ROUNDS - 1]);
  freddy_client_free(client);
  freddy_inbox_free(inbox);
}

int main(void) {
  const struct limit limits[] = {
      {"connect, nobody accepts",
       "http",
       1,
       "/",
       "connect",
       {.connect = LIMIT}},
      {"connect, in the TLS handshake",
       "https",
       0,
       "/",
       "connect",
       {.connect = LIMIT}},
      {"first_byte", "http", 0, "/never", "first_byte", {.first_byte = LIMIT}},
      {"stall", "http", 0, "/stall", "stall", {.stall = LIMIT}},
      {"total, while it connects", "http", 1, "/", "total", {.total = LIMIT}},
      {"total, drop by drop", "http", 0, "/drip", "total", {.total = LIMIT}},
      {"total, before a repeat",
       "http",
       0,
       "/busy",
       "total",
       {.total = LIMIT}},
  };
  unsigned port, full;
  int listener = listen_on(BACKLOG, &port);
  pthread_t thread;

  listen_on(0, &full);
  fill_backlog(full);
  if (pthread_create(&thread, NULL, accept_all, (void *)(intptr_t)listener)) {
    bench_die("no thread");
  }
  for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
    print_limit(&limits[i], limits[i].is_full ? full : port);
  }
  freddy_shutdown();
  return 0;
}
