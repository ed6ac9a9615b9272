/* SPDX-License-Identifier: MIT */
/* libcurl driven by socket_action and epoll: what it asks of a loop. */
#ifndef FY_BENCH_LOOP_H
#define FY_BENCH_LOOP_H

#include <curl/curl.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "bench.h"

struct loop {
  CURLM *multi;
  int epoll;
  double due; /* when libcurl wants to be called; < 0: never */
};

static inline int loop_on_socket(CURL *easy, curl_socket_t fd, int what,
                                 void *context, void *known) {
  struct loop *loop = context;
  struct epoll_event event = {.data.fd = fd};

  (void)easy;
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, &event);
    return 0;
  }
  event.events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                 (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
  epoll_ctl(loop->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
  curl_multi_assign(loop->multi, fd, loop);
  return 0;
}

static inline int loop_on_timer(CURLM *multi, long ms, void *context) {
  struct loop *loop = context;

  (void)multi;
  loop->due = ms < 0 ? -1 : bench_now() + (double)ms / 1e3;
  return 0;
}

static inline void loop_open(struct loop *loop) {
  loop->multi = curl_multi_init();
  loop->epoll = epoll_create1(EPOLL_CLOEXEC);
  loop->due = -1;
  if (!loop->multi || loop->epoll < 0) {
    bench_die("no multi handle");
  }
  curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, loop_on_socket);
  curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
  curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, loop_on_timer);
  curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
}

#endif
