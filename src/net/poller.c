/* SPDX-License-Identifier: MIT */
#include "net/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#if defined(__linux__) && !defined(FY_FORCE_POLL)
#define FY_USE_EPOLL
#include <sys/epoll.h>
#include <sys/eventfd.h>
#else
#include <poll.h>
#endif

/* Rounded up, so that a deadline is never found a moment too early. */
static int timeout_ms(fy_time timeout) {
  fy_time ms;

  if (timeout == FY_NEVER) {
    return -1;
  }
  if (timeout <= 0) {
    return 0;
  }
  ms = timeout / FY_MILLISECOND + (timeout % FY_MILLISECOND != 0);
  return ms > INT_MAX ? INT_MAX : (int)ms;
}

#ifdef FY_USE_EPOLL

struct fy_poller {
  int epoll;
  int wake;
  char *watched; /* by descriptor: 1 while epoll knows it */
  int room;
};

static uint32_t to_epoll(int what) {
  return (what & FY_READABLE ? (uint32_t)EPOLLIN : 0) |
         (what & FY_WRITABLE ? (uint32_t)EPOLLOUT : 0);
}

struct fy_poller *fy_poller_new(void) {
  struct fy_poller *poller = fy_calloc(1, sizeof(*poller));
  /* Edge-triggered: each write is reported once and need not be read. */
  struct epoll_event event = {.events = EPOLLIN | EPOLLET};

  if (!poller) {
    return NULL;
  }
  poller->epoll = epoll_create1(EPOLL_CLOEXEC);
  poller->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  event.data.fd = poller->wake;
  if (poller->epoll < 0 || poller->wake < 0 ||
      epoll_ctl(poller->epoll, EPOLL_CTL_ADD, poller->wake, &event)) {
    fy_poller_free(poller);
    return NULL;
  }
  return poller;
}

void fy_poller_free(struct fy_poller *poller) {
  if (!poller) {
    return;
  }
  if (poller->wake >= 0) {
    close(poller->wake);
  }
  if (poller->epoll >= 0) {
    close(poller->epoll);
  }
  fy_free(poller->watched);
  fy_free(poller);
}

static int make_room(struct fy_poller *poller, int fd) {
  int room = fd + fd / 2 + 64;
  char *watched;

  if (fd < poller->room) {
    return 0;
  }
  watched = fy_realloc(poller->watched, (size_t)room);
  if (!watched) {
    return -1;
  }
  memset(watched + poller->room, 0, (size_t)(room - poller->room));
  poller->watched = watched;
  poller->room = room;
  return 0;
}

/* libcurl may have closed it already, and its number be someone's again: then
 * epoll does not know that one, and nothing happens. */
static int unwatch(struct fy_poller *poller, int fd) {
  struct epoll_event event = {.events = 0};

  if (fd < poller->room && poller->watched[fd]) {
    poller->watched[fd] = 0;
    epoll_ctl(poller->epoll, EPOLL_CTL_DEL, fd, &event);
  }
  return 0;
}

int fy_poller_watch(struct fy_poller *poller, int fd, int what) {
  struct epoll_event event = {.events = to_epoll(what), .data.fd = fd};
  int known;

  if (what == 0) {
    return unwatch(poller, fd);
  }
  if (make_room(poller, fd)) {
    return -1;
  }
  known = poller->watched[fd];
  poller->watched[fd] = 1;
  if (epoll_ctl(poller->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd,
                &event) == 0) {
    return 0;
  }
  /* It was closed unseen and made anew, or it is there in spite of all. */
  return epoll_ctl(poller->epoll, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd,
                   &event);
}

static int from_epoll(uint32_t events) {
  return (events & EPOLLIN ? FY_READABLE : 0) |
         (events & EPOLLOUT ? FY_WRITABLE : 0) |
         (events & (EPOLLERR | EPOLLHUP) ? FY_FAILED : 0);
}

int fy_poller_lets_signals_in(void) {
  return 1;
}

int fy_poller_wait(struct fy_poller *poller, fy_time timeout,
                   const sigset_t *asleep, struct fy_ready *ready, int max) {
  struct epoll_event events[64];
  int count;
  int found = 0;

  count = epoll_pwait(poller->epoll, events, max < 64 ? max : 64,
                      timeout_ms(timeout), asleep);
  for (int i = 0; i < count; i++) {
    if (events[i].data.fd == poller->wake) {
      continue;
    }
    ready[found].fd = events[i].data.fd;
    ready[found].what = from_epoll(events[i].events);
    found++;
  }
  return found;
}

void fy_poller_wake(struct fy_poller *poller) {
  uint64_t one = 1;

  while (write(poller->wake, &one, sizeof(one)) < 0 && errno == EINTR) {
  }
}

#else /* poll */

struct fy_poller {
  struct pollfd *fds; /* the first one is the reading end of the pipe */
  nfds_t count;
  nfds_t room;
  int wake;
};

static int set_flags(int fd) {
  return fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, O_NONBLOCK);
}

struct fy_poller *fy_poller_new(void) {
  struct fy_poller *poller = fy_calloc(1, sizeof(*poller));
  int ends[2];

  if (!poller) {
    return NULL;
  }
  poller->wake = -1;
  poller->fds = fy_calloc(16, sizeof(*poller->fds));
  if (!poller->fds || pipe(ends)) {
    fy_poller_free(poller);
    return NULL;
  }
  poller->room = 16;
  poller->count = 1;
  poller->fds[0].fd = ends[0];
  poller->fds[0].events = POLLIN;
  poller->wake = ends[1];
  if (set_flags(ends[0]) || set_flags(ends[1])) {
    fy_poller_free(poller);
    return NULL;
  }
  return poller;
}

void fy_poller_free(struct fy_poller *poller) {
  if (!poller) {
    return;
  }
  if (poller->wake >= 0) {
    close(poller->wake);
    close(poller->fds[0].fd);
  }
  fy_free(poller->fds);
  fy_free(poller);
}

static int make_room(struct fy_poller *poller) {
  struct pollfd *fds;

  if (poller->count < poller->room) {
    return 0;
  }
  fds = fy_realloc(poller->fds, 2 * poller->room * sizeof(*fds));
  if (!fds) {
    return -1;
  }
  poller->fds = fds;
  poller->room *= 2;
  return 0;
}

int fy_poller_watch(struct fy_poller *poller, int fd, int what) {
  nfds_t at = 1;

  while (at < poller->count && poller->fds[at].fd != fd) {
    at++;
  }
  if (what == 0) {
    if (at < poller->count) {
      poller->fds[at] = poller->fds[--poller->count];
    }
    return 0;
  }
  if (at == poller->count) {
    if (make_room(poller)) {
      return -1;
    }
    poller->count++;
  }
  poller->fds[at].fd = fd;
  poller->fds[at].events = (short)((what & FY_READABLE ? POLLIN : 0) |
                                   (what & FY_WRITABLE ? POLLOUT : 0));
  poller->fds[at].revents = 0;
  return 0;
}

static int from_poll(int events) {
  return (events & POLLIN ? FY_READABLE : 0) |
         (events & POLLOUT ? FY_WRITABLE : 0) |
         (events & (POLLERR | POLLHUP | POLLNVAL) ? FY_FAILED : 0);
}

int fy_poller_lets_signals_in(void) {
  return 0;
}

int fy_poller_wait(struct fy_poller *poller, fy_time timeout,
                   const sigset_t *asleep, struct fy_ready *ready, int max) {
  int found = 0;
  char scrap[64];

  (void)asleep;
  if (poll(poller->fds, poller->count, timeout_ms(timeout)) <= 0) {
    return 0;
  }
  while (poller->fds[0].revents &&
         read(poller->fds[0].fd, scrap, sizeof(scrap)) > 0) {
  }
  for (nfds_t i = 1; i < poller->count && found < max; i++) {
    if (poller->fds[i].revents) {
      ready[found].fd = poller->fds[i].fd;
      ready[found].what = from_poll(poller->fds[i].revents);
      found++;
    }
  }
  return found;
}

void fy_poller_wake(struct fy_poller *poller) {
  while (write(poller->wake, "", 1) < 0 && errno == EINTR) {
  }
}

#endif
