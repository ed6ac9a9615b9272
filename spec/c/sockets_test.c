/* SPDX-License-Identifier: MIT */
/* The sockets that libcurl uses: what comes in while one is idle, in the
 * poller's sight and in the moment before the next request. */
#include "net/sockets.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "engine_util.h"

/* --- One socket --------------------------------------------------------- */

enum { MANY = 300, MUCH = 512 * 1024 };

static const uint64_t ALL = UINT64_MAX / 2;

struct pair {
  struct fy_sockets *sockets;
  int ours, theirs, port;
  const char *peer;
};

static int listener;
static unsigned listener_port;

/* loop_listen has one address, and this takes two. */
static int listen_everywhere(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof(address);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  CHECK_INT(bind(fd, (struct sockaddr *)&address, size), 0);
  CHECK_INT(listen(fd, MANY), 0);
  CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &size), 0);
  listener_port = ntohs(address.sin_port);
  return fd;
}

/* Any address of 127/8 is ours; the port is given or the system's. */
static struct pair pair_open_to(struct fy_sockets *sockets, const char *peer,
                                int port) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  struct pair pair = {.sockets = sockets, .peer = peer};
  socklen_t size = sizeof(address);

  pair.ours = fy_sockets_open(sockets, AF_INET, SOCK_STREAM, 0);
  CHECK(pair.ours >= 0);
  CHECK(fcntl(pair.ours, F_GETFD) & FD_CLOEXEC);
  setsockopt(pair.ours, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t)port);
  CHECK_INT(bind(pair.ours, (struct sockaddr *)&address, size), 0);
  inet_pton(AF_INET, peer, &address.sin_addr);
  address.sin_port = htons((uint16_t)listener_port);
  CHECK_INT(connect(pair.ours, (struct sockaddr *)&address, size), 0);
  pair.theirs = accept(listener, NULL, NULL);
  CHECK(pair.theirs >= 0);
  getsockname(pair.ours, (struct sockaddr *)&address, &size);
  pair.port = ntohs(address.sin_port);
  return pair;
}

static struct pair pair_open(struct fy_sockets *sockets) {
  return pair_open_to(sockets, "127.0.0.1", 0);
}

static int pair_find(const struct pair *pair) {
  return fy_sockets_find(pair->sockets, pair->port, pair->peer,
                         (int)listener_port);
}

static void pair_close(struct pair *pair) {
  CHECK_INT(fy_sockets_close(pair->sockets, pair->ours), 0);
  close(pair->theirs);
}

/* Until the bytes, or the end, are there to be read. */
static void await(int fd) {
  char byte;

  CHECK(recv(fd, &byte, 1, MSG_PEEK) >= 0);
}

static int is_ended(int fd) {
  char byte;

  return recv(fd, &byte, 1, 0) <= 0;
}

static int what_is_ready(struct fy_sockets *sockets, int fd) {
  struct fy_ready ready[8];
  int count = fy_poller_wait(sockets->poller, 0, NULL, ready, 8);

  for (int i = 0; i < count; i++) {
    if (ready[i].fd == fd) {
      return ready[i].what;
    }
  }
  return 0;
}

static int is_stale(struct fy_sockets *sockets, int fd) {
  return fy_sockets_is_stale(sockets, fd, NULL);
}

static void test_idle(struct fy_sockets *sockets) {
  struct pair pair = pair_open(sockets);

  CHECK_INT(fy_sockets_watch(sockets, pair.ours, FY_READABLE), 0);
  CHECK_INT(fy_sockets_retire(sockets, pair.ours), 0);
  fy_sockets_rest(sockets, pair.ours, 1);
  CHECK_INT(what_is_ready(sockets, pair.ours), 0);
  CHECK_INT(is_stale(sockets, pair.ours), 0);
  loop_write(pair.theirs, "x", 1);
  await(pair.ours);
  CHECK(what_is_ready(sockets, pair.ours) & FY_READABLE);
  CHECK_INT(fy_sockets_retire(sockets, pair.ours), 1);
  CHECK(is_ended(pair.ours));
  CHECK(is_ended(pair.theirs));
  CHECK_INT(what_is_ready(sockets, pair.ours), 0);
  CHECK_INT(is_stale(sockets, pair.ours), 1);
  pair_close(&pair);
}

static void test_much_is_drained(struct fy_sockets *sockets) {
  static char block[MUCH];
  struct pair pair = pair_open(sockets);

  fy_sockets_rest(sockets, pair.ours, 1);
  send(pair.theirs, block, sizeof(block), MSG_DONTWAIT);
  await(pair.ours);
  CHECK_INT(fy_sockets_retire(sockets, pair.ours), 1);
  CHECK(is_ended(pair.ours));
  pair_close(&pair);
}

static void test_used_again(struct fy_sockets *sockets) {
  struct pair pair = pair_open(sockets);

  fy_sockets_rest(sockets, pair.ours, 1);
  CHECK_INT(fy_sockets_watch(sockets, pair.ours, FY_WRITABLE), 0);
  loop_write(pair.theirs, "x", 1);
  await(pair.ours);
  CHECK_INT(what_is_ready(sockets, pair.ours), FY_WRITABLE);
  CHECK_INT(fy_sockets_retire(sockets, pair.ours), 0);
  CHECK_INT(is_stale(sockets, pair.ours), 0);
  CHECK_INT(fy_sockets_watch(sockets, pair.ours, 0), 0); /* paused */
  CHECK_INT(what_is_ready(sockets, pair.ours), 0);
  CHECK(!is_ended(pair.ours));
  pair_close(&pair);
}

static void test_end(struct fy_sockets *sockets) {
  struct pair pair = pair_open(sockets);

  fy_sockets_rest(sockets, pair.ours, 1);
  shutdown(pair.theirs, SHUT_WR);
  await(pair.ours);
  CHECK_INT(is_stale(sockets, pair.ours), 1);
  CHECK(is_ended(pair.theirs));
  pair_close(&pair);
}

static void test_http2(struct fy_sockets *sockets) {
  struct pair pair = pair_open(sockets);
  uint64_t read = 1;

  CHECK_INT(fy_sockets_watch(sockets, pair.ours, FY_READABLE), 0);
  fy_sockets_rest(sockets, pair.ours, 0);
  loop_write(pair.theirs, "x", 1);
  await(pair.ours);
  CHECK_INT(what_is_ready(sockets, pair.ours), 0);
  CHECK_INT(fy_sockets_retire(sockets, pair.ours), 0);
  CHECK_INT(fy_sockets_is_stale(sockets, pair.ours, &read), 0);
  CHECK_INT(read, 0); /* not counted */
  CHECK(!is_ended(pair.ours));
  CHECK_INT(fy_sockets_read(sockets, pair.ours, ALL), 0);
  shutdown(pair.theirs, SHUT_WR);
  await(pair.ours);
#ifdef __linux__
  CHECK_INT(is_stale(sockets, pair.ours), 1);
#endif
  pair_close(&pair);
}

static void test_count(struct fy_sockets *sockets) {
  struct pair pair = pair_open(sockets);
  char bytes[6];
  uint64_t read = 0;

  fy_sockets_rest(sockets, pair.ours, 1);
  CHECK_INT(pair_find(&pair), pair.ours);
  loop_write(pair.theirs, "0123456789", 10);
  await(pair.ours);
#ifdef __linux__
  CHECK_INT(fy_sockets_read(sockets, pair.ours, ALL), 0);
  CHECK_INT(recv(pair.ours, bytes, 4, 0), 4);
  CHECK_INT(fy_sockets_read(sockets, pair.ours, ALL), 4);
  CHECK_INT(fy_sockets_read(sockets, pair.ours, 5), 4);
  CHECK_INT(fy_sockets_read(sockets, pair.ours, 2), 4);
  CHECK_INT(fy_sockets_watch(sockets, pair.ours, FY_READABLE), 0);
  CHECK_INT(fy_sockets_is_stale(sockets, pair.ours, &read), 0);
  CHECK_INT(read, 4); /* in use: what waits is an answer's */
  CHECK_INT(recv(pair.ours, bytes, 6, 0), 6);
  fy_sockets_rest(sockets, pair.ours, 1);
  CHECK_INT(fy_sockets_is_stale(sockets, pair.ours, &read), 0);
  CHECK_INT(read, 10);
#else
  (void)bytes;
  (void)read;
#endif
  pair_close(&pair);
  CHECK_INT(fy_sockets_read(sockets, pair.ours, ALL), 0);
  CHECK_INT(fy_sockets_read(sockets, -1, ALL), 0);
  CHECK_INT(pair_find(&pair), -1);
}

/* More than there are chains: each is found, whatever went before it. */
static void test_many(struct fy_sockets *sockets) {
  struct pair *pairs = calloc(MANY, sizeof(*pairs));

  for (int i = 0; i < MANY; i++) {
    pairs[i] = pair_open(sockets);
    fy_sockets_rest(sockets, pairs[i].ours, 1);
  }
  for (int at = 0; at < MANY; at++) {
    int i = at * 7 % MANY; /* 7 and 300 have no divisor in common */

    CHECK_INT(pair_find(&pairs[i]), pairs[i].ours);
    CHECK_INT(is_stale(sockets, pairs[i].ours), 0);
    loop_write(pairs[i].theirs, "x", 1);
    await(pairs[i].ours);
    CHECK_INT(is_stale(sockets, pairs[i].ours), 1);
    pair_close(&pairs[i]);
  }
  free(pairs);
}

/* One local port, two peers. */
static void test_same_port(struct fy_sockets *sockets) {
  struct pair one = pair_open(sockets);
  struct pair two = pair_open_to(sockets, "127.0.0.2", one.port);

  fy_sockets_rest(sockets, one.ours, 1);
  CHECK_INT(pair_find(&one), one.ours);
  fy_sockets_rest(sockets, two.ours, 1);
  CHECK_INT(pair_find(&one), one.ours);
  CHECK_INT(pair_find(&two), two.ours);
  CHECK_INT(
      fy_sockets_find(sockets, one.port, "127.0.0.3", (int)listener_port), -1);
  pair_close(&one);
  CHECK_INT(pair_find(&two), two.ours);
  pair_close(&two);
}

/* A number that is given up is nobody's, unless it was idle before. */
static void test_give_up(struct fy_sockets *sockets) {
  struct pair pair = pair_open(sockets);

  CHECK_INT(fy_sockets_watch(sockets, pair.ours, FY_READABLE), 0);
  fy_sockets_rest(sockets, pair.ours, 1);
  fy_sockets_give_up(sockets, pair.ours);
  CHECK(fy_sockets_has(sockets, pair.ours));
  CHECK_INT(pair_find(&pair), pair.ours);
  loop_write(pair.theirs, "x", 1);
  await(pair.ours);
  CHECK_INT(what_is_ready(sockets, pair.ours), 0);
  CHECK_INT(fy_sockets_retire(sockets, pair.ours), 0);
  CHECK(!is_ended(pair.ours));
  pair_close(&pair);

  pair = pair_open(sockets);
  CHECK_INT(fy_sockets_watch(sockets, pair.ours, FY_READABLE), 0);
  close(pair.ours); /* behind our back */
  fy_sockets_give_up(sockets, pair.ours);
  CHECK(!fy_sockets_has(sockets, pair.ours));
  CHECK_INT(pair_find(&pair), -1);
  CHECK_INT(what_is_ready(sockets, pair.ours), 0);
  close(pair.theirs);
}

/* It paused before anyone heard that it is in use. */
static void test_keep(struct fy_sockets *sockets) {
  struct pair pair = pair_open(sockets);

  fy_sockets_rest(sockets, pair.ours, 1);
  fy_sockets_keep(sockets, pair.ours);
  loop_write(pair.theirs, "x", 1);
  await(pair.ours);
  CHECK_INT(what_is_ready(sockets, pair.ours), 0);
  CHECK_INT(fy_sockets_retire(sockets, pair.ours), 0);
  CHECK_INT(fy_sockets_watch(sockets, pair.ours, FY_READABLE), 0);
  fy_sockets_keep(sockets, pair.ours); /* is nothing to one in use */
  CHECK(what_is_ready(sockets, pair.ours) & FY_READABLE);
  CHECK(!is_ended(pair.ours));
  pair_close(&pair);
}

static void test_foreign(struct fy_sockets *sockets) {
  int ends[2];

  CHECK_INT(pipe(ends), 0);
  CHECK_INT(fy_sockets_watch(sockets, ends[0], FY_READABLE), 0);
  CHECK_INT(write(ends[1], "x", 1), 1);
  CHECK(what_is_ready(sockets, ends[0]) & FY_READABLE);
  CHECK_INT(fy_sockets_retire(sockets, ends[0]), 0);
  fy_sockets_rest(sockets, ends[0], 1);
  CHECK_INT(what_is_ready(sockets, ends[0]), 0);
  close(ends[0]);
  close(ends[1]);
}

static void test_sockets(void) {
  struct fy_sockets sockets;

  listener = listen_everywhere();
  fy_sockets_init(&sockets, fy_poller_new());
  CHECK_INT(is_stale(&sockets, -1), 0);
  CHECK_INT(fy_sockets_retire(&sockets, 1000), 0);
  test_idle(&sockets);
  test_much_is_drained(&sockets);
  test_used_again(&sockets);
  test_end(&sockets);
  test_http2(&sockets);
  test_count(&sockets);
  test_many(&sockets);
  test_same_port(&sockets);
  test_give_up(&sockets);
  test_keep(&sockets);
  test_foreign(&sockets);
  fy_sockets_clear(&sockets);
  fy_poller_free(sockets.poller);
  close(listener);
}

/* --- The moment before a request ---------------------------------------- */

static atomic_int held, is_awake;

/* The engine knows what is ready and what is not, and stays there as long as
 * it is held. */
static void stay_if_held(void) {
  if (atomic_load(&held)) {
    atomic_store(&is_awake, 1);
    while (atomic_load(&held)) {
      sched_yield();
    }
  }
}

/* In the place of libc's. */
int epoll_wait(int fd, struct epoll_event *events, int max, int timeout) {
  long count =
      syscall(SYS_epoll_pwait, fd, events, max, timeout, NULL, (size_t)8);

  stay_if_held();
  return (int)count;
}

int poll(struct pollfd *fds, nfds_t count, int timeout) {
  struct timespec until = {timeout / 1000, timeout % 1000 * 1000000L};
  long found = syscall(SYS_ppoll, fds, count, timeout < 0 ? NULL : &until,
                       NULL, (size_t)8);

  stay_if_held();
  return (int)found;
}

static atomic_int last_fd;

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  (void)server;
  (void)nth;
  atomic_store(&last_fd, fd);
  return loop_answer(fd, 200, "", req->path) == 0;
}

static freddy_call *finish(struct rig *rig, freddy_call *call) {
  freddy_event event;

  CHECK(rig_event(rig->inbox, &event));
  CHECK(event.call == call);
  CHECK_TEXT(rig_kind(call), "ok");
  return call;
}

/* The engine wakes to nothing but the new request; what came meanwhile on the
 * idle connection is found by its last look only. */
static void test_late(struct rig *rig, const char *method, const char *bytes) {
  freddy_request first = {.path = "/first"};
  freddy_request next = {.path = "/next", .method = method};
  int connections;
  freddy_call *call;
  freddy_stats stats;

  UNIT_CASE("%s after %s", method, bytes ? bytes : "the end");
  freddy_call_free(finish(rig, rig_start(rig, &first)));
  connections = atomic_load(&rig->server->connections);
  atomic_store(&is_awake, 0);
  atomic_store(&held, 1);
  call = rig_start(rig, &next);
  EVENTUALLY(atomic_load(&is_awake));
  if (bytes) {
    loop_write(atomic_load(&last_fd), bytes, strlen(bytes));
  } else {
    shutdown(atomic_load(&last_fd), SHUT_WR);
  }
  atomic_store(&held, 0);
  finish(rig, call);
  CHECK_TEXT(freddy_call_body(call, NULL), "/next");
  freddy_call_stats(call, &stats);
  CHECK_INT(stats.attempts, 1);
  CHECK_INT(atomic_load(&rig->server->connections), connections + 1);
  freddy_call_free(call);
  UNIT_CASE("%s", "");
}

static void test_engine(void) {
  static const char stranger[] =
      "HTTP/1.1 200 X\r\nContent-Length: 8\r\n\r\nstranger";
  struct rig rig;

  rig_open(&rig, serve);
  test_late(&rig, "GET", stranger);
  test_late(&rig, "POST", stranger);
  test_late(&rig, "POST", "\n");
  test_late(&rig, "POST", NULL);
  rig_close(&rig);
}

int main(void) {
  test_sockets();
  test_engine();
  return unit_end();
}
