/* SPDX-License-Identifier: MIT */
#include "net/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"

#ifdef __linux__ /* glibc's own struct tcp_info stops too early */
#include <linux/tcp.h>
#endif

#ifndef POLLRDHUP /* Linux: the peer has sent its last byte */
#define POLLRDHUP 0
#endif

struct fy_socket {
  int next;        /* in the chain of its bucket; -1: none */
  uint16_t port;   /* the local one; 0: not in a chain */
  uint8_t watched; /* what the poller watches it for */
  uint8_t ours;
  uint8_t idle;
  uint8_t http1;
};

static struct fy_socket *find(const struct fy_sockets *sockets, int fd) {
  return fd >= 0 && fd < sockets->room && sockets->all[fd].ours
             ? &sockets->all[fd]
             : NULL;
}

#ifdef __linux__
/* What came in so far; 0 when the system does not tell. */
static uint64_t bytes_received(int fd) {
  struct tcp_info info = {.tcpi_state = 0};
  socklen_t size = sizeof(info);

  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) ||
                 size < offsetof(struct tcp_info, tcpi_bytes_received) +
                            sizeof(info.tcpi_bytes_received)
             ? 0
             : info.tcpi_bytes_received;
}
#else
static uint64_t bytes_received(int fd) {
  (void)fd;
  return 0;
}
#endif

/* What came in less what still waits: `enough` and more, or exactly how much;
 * 0 when it does not stand still. Only this thread reads, so that two equal
 * looks at what waits mean that nothing came between them. */
static uint64_t bytes_read(int fd, uint64_t enough) {
  uint64_t received = 0;
  int before = -1;
  int after = -1;

  for (int tries = 0; tries < 8; tries++) {
    before = after;
    received = bytes_received(fd);
    if (!received || ioctl(fd, FIONREAD, &after)) {
      return 0;
    }
    if (after == before || received >= enough + (uint64_t)after) {
      return received - (uint64_t)after;
    }
  }
  return 0;
}

/* --- Birth and death ---------------------------------------------------- */

void fy_sockets_init(struct fy_sockets *sockets, struct fy_poller *poller) {
  sockets->poller = poller;
  sockets->all = NULL;
  sockets->room = 0;
  for (int i = 0; i < FY_SOCKET_BUCKETS; i++) {
    sockets->by_port[i] = -1;
  }
}

void fy_sockets_clear(struct fy_sockets *sockets) {
  fy_free(sockets->all);
  fy_sockets_init(sockets, sockets->poller);
}

static int make_room(struct fy_sockets *sockets, int fd) {
  int room = fd + fd / 2 + 64;
  struct fy_socket *all;

  if (fd < sockets->room) {
    return 0;
  }
  all = fy_realloc(sockets->all, (size_t)room * sizeof(*all));
  if (!all) {
    return -1;
  }
  memset(all + sockets->room, 0,
         (size_t)(room - sockets->room) * sizeof(*all));
  sockets->all = all;
  sockets->room = room;
  return 0;
}

/* CLOEXEC, which libcurl 7.88 does not set: no child of the host may hold
 * our connections. */
static int open_socket(int family, int type, int protocol) {
#ifdef SOCK_CLOEXEC
  return socket(family, type | SOCK_CLOEXEC, protocol);
#else
  int fd = socket(family, type, protocol);

  if (fd >= 0) {
    fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  return fd;
#endif
}

int fy_sockets_open(struct fy_sockets *sockets, int family, int type,
                    int protocol) {
  int fd = open_socket(family, type, protocol);

  if (fd < 0) {
    return -1;
  }
  if (make_room(sockets, fd)) {
    close(fd);
    errno = ENOMEM;
    return -1;
  }
  memset(&sockets->all[fd], 0, sizeof(sockets->all[fd]));
  sockets->all[fd].ours = 1;
  return fd;
}

int fy_sockets_has(const struct fy_sockets *sockets, int fd) {
  return find(sockets, fd) != NULL;
}

/* --- By local port ------------------------------------------------------ */

/* The port of an address; its text, with room for INET6_ADDRSTRLEN, too. */
static uint16_t read_address(const struct sockaddr_storage *address,
                             char *text) {
  const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
  const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

  switch (address->ss_family) {
  case AF_INET:
    inet_ntop(AF_INET, &v4->sin_addr, text, INET6_ADDRSTRLEN);
    return ntohs(v4->sin_port);
  case AF_INET6:
    inet_ntop(AF_INET6, &v6->sin6_addr, text, INET6_ADDRSTRLEN);
    return ntohs(v6->sin6_port);
  default:
    return 0;
  }
}

/* The local port, or 0. */
static uint16_t port_of(int fd) {
  struct sockaddr_storage address;
  socklen_t size = sizeof(address);
  char text[INET6_ADDRSTRLEN];

  return getsockname(fd, (struct sockaddr *)&address, &size)
             ? 0
             : read_address(&address, text);
}

static int leads_to(int fd, const char *peer, int peer_port) {
  struct sockaddr_storage address;
  socklen_t size = sizeof(address);
  char text[INET6_ADDRSTRLEN];

  return getpeername(fd, (struct sockaddr *)&address, &size) == 0 &&
         read_address(&address, text) == peer_port && strcmp(text, peer) == 0;
}

static int next_with_port(const struct fy_sockets *sockets, int fd, int port) {
  while (fd >= 0 && sockets->all[fd].port != port) {
    fd = sockets->all[fd].next;
  }
  return fd;
}

/* Mostly there is one, which need not be asked whom it leads to. */
int fy_sockets_find(const struct fy_sockets *sockets, int port,
                    const char *peer, int peer_port) {
  int fd = next_with_port(sockets, sockets->by_port[port % FY_SOCKET_BUCKETS],
                          port);

  if (fd < 0 || next_with_port(sockets, sockets->all[fd].next, port) < 0) {
    return fd;
  }
  while (fd >= 0 && !leads_to(fd, peer, peer_port)) {
    fd = next_with_port(sockets, sockets->all[fd].next, port);
  }
  return fd;
}

static void chain(struct fy_sockets *sockets, int fd) {
  struct fy_socket *sock = &sockets->all[fd];
  int *first;

  if (sock->port) {
    return;
  }
  sock->port = port_of(fd);
  if (sock->port) {
    first = &sockets->by_port[sock->port % FY_SOCKET_BUCKETS];
    sock->next = *first;
    *first = fd;
  }
}

static void unchain(struct fy_sockets *sockets, int fd) {
  struct fy_socket *sock = &sockets->all[fd];
  int *at = &sockets->by_port[sock->port % FY_SOCKET_BUCKETS];

  if (!sock->port) {
    return;
  }
  while (*at != fd) {
    at = &sockets->all[*at].next;
  }
  *at = sock->next;
  sock->port = 0;
}

static void forget(struct fy_sockets *sockets, int fd) {
  struct fy_socket *sock = find(sockets, fd);

  if (sock) {
    sock->ours = 0;
    unchain(sockets, fd);
  }
  fy_poller_watch(sockets->poller, fd, 0);
}

int fy_sockets_close(struct fy_sockets *sockets, int fd) {
  forget(sockets, fd);
  return close(fd);
}

/* --- Watching ----------------------------------------------------------- */

/* One that goes back and forth between idle and in use is watched for the
 * same all the time, and the system need not be told. */
static int watch(struct fy_sockets *sockets, int fd, int what) {
  struct fy_socket *sock = &sockets->all[fd];

  if (sock->watched == what) {
    return 0;
  }
  if (fy_poller_watch(sockets->poller, fd, what)) {
    return -1;
  }
  sock->watched = (uint8_t)what;
  return 0;
}

int fy_sockets_watch(struct fy_sockets *sockets, int fd, int what) {
  struct fy_socket *sock = find(sockets, fd);

  if (!sock) {
    return fy_poller_watch(sockets->poller, fd, what);
  }
  sock->idle = 0;
  return watch(sockets, fd, what);
}

/* Once shut down, nothing more can queue up: what has is thrown away, for
 * libcurl calls a connection that can still be read from a living one. */
static void drain(int fd) {
  char scrap[16 * 1024];
  size_t left = FY_MAX_SCRAP;
  ssize_t size;

  do {
    size = recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT);
    left -= sizeof(scrap);
  } while (size > 0 && left);
}

static void shut_down(struct fy_sockets *sockets, int fd) {
  watch(sockets, fd, 0); /* it would be reported for ever */
  shutdown(fd, SHUT_RDWR);
  drain(fd);
}

void fy_sockets_rest(struct fy_sockets *sockets, int fd, int http1) {
  struct fy_socket *sock = find(sockets, fd);

  if (!sock) {
    fy_poller_watch(sockets->poller, fd, 0);
    return;
  }
  chain(sockets, fd);
  if (http1) {
    sock->http1 = 1;
  }
  sock->idle = sock->http1;
  if (watch(sockets, fd, sock->http1 ? FY_READABLE : 0)) {
    shut_down(sockets, fd);
  }
}

void fy_sockets_give_up(struct fy_sockets *sockets, int fd) {
  const struct fy_socket *sock = find(sockets, fd);

  if (sock && sock->port) {
    fy_sockets_watch(sockets, fd, 0); /* it was idle once: it is connected */
  } else {
    forget(sockets, fd);
  }
}

int fy_sockets_retire(struct fy_sockets *sockets, int fd) {
  const struct fy_socket *sock = find(sockets, fd);

  if (!sock || !sock->idle) {
    return 0;
  }
  shut_down(sockets, fd);
  return 1;
}

static int has_come(int fd, short what) {
  struct pollfd at = {.fd = fd, .events = what};

  return poll(&at, 1, 0) != 0;
}

int fy_sockets_is_stale(struct fy_sockets *sockets, int fd, uint64_t *count) {
  const struct fy_socket *sock = find(sockets, fd);
  uint64_t received;

  if (count) {
    *count = 0;
  }
  if (!sock) {
    return 0;
  }
  if (!sock->http1) {
    return has_come(fd, POLLRDHUP);
  }
  /* What has come by now has been read, if nothing waits after. */
  received = count && sock->idle ? bytes_received(fd) : 0;
  if (!sock->idle || !has_come(fd, POLLIN | POLLRDHUP)) {
    if (count) {
      *count = sock->idle ? received : bytes_read(fd, UINT64_MAX / 2);
    }
    return 0;
  }
  shut_down(sockets, fd);
  return 1;
}

void fy_sockets_keep(struct fy_sockets *sockets, int fd) {
  struct fy_socket *sock = find(sockets, fd);

  if (sock && sock->idle) {
    sock->idle = 0;
    watch(sockets, fd, 0);
  }
}

uint64_t fy_sockets_read(const struct fy_sockets *sockets, int fd,
                         uint64_t enough) {
  const struct fy_socket *sock = find(sockets, fd);

  return sock && sock->http1 ? bytes_read(fd, enough) : 0;
}
