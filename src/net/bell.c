/* SPDX-License-Identifier: MIT */
#include "net/bell.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/random.h"

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

static void close_one(int *fd) {
  if (*fd >= 0) {
    close(*fd);
  }
  *fd = -1;
}

static void stop_listening(struct fy_bell *bell) {
  close_one(&bell->listener);
  for (int i = 0; i < FY_MAX_BELL_CALLERS; i++) {
    close_one(&bell->callers[i]);
  }
}

void fy_bell_init(struct fy_bell *bell) {
  memset(bell, 0, sizeof(*bell));
  bell->listener = bell->socket = -1;
  for (int i = 0; i < FY_MAX_BELL_CALLERS; i++) {
    bell->callers[i] = -1;
  }
}

void fy_bell_close(struct fy_bell *bell) {
  stop_listening(bell);
  close_one(&bell->socket);
  bell->armed = 0;
}

static int make_private(int fd) {
  return fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, O_NONBLOCK);
}

static int new_socket(void) {
#ifdef SOCK_CLOEXEC
  return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#else
  int fd = socket(AF_INET, SOCK_STREAM, 0);

  if (fd >= 0 && make_private(fd)) {
    close_one(&fd);
  }
  return fd;
#endif
}

static int accept_one(int listener) {
  int one = 1;
  int fd;

  do {
#ifdef SOCK_CLOEXEC
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
#else
    fd = accept(listener, NULL, NULL);
#endif
  } while (fd < 0 && errno == EINTR);
  if (fd >= 0 && (make_private(fd) || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY,
                                                 &one, sizeof(one)))) {
    close_one(&fd);
  }
  return fd;
}

static int make_secret(char *into) {
  static const char digits[] = "0123456789abcdef";
  unsigned char bytes[FREDDY_BELL_SECRET / 2];

  if (fy_random(bytes, sizeof(bytes))) {
    return -1;
  }
  for (size_t i = 0; i < sizeof(bytes); i++) {
    into[2 * i] = digits[bytes[i] >> 4];
    into[2 * i + 1] = digits[bytes[i] & 15];
  }
  into[FREDDY_BELL_SECRET] = '\0';
  return 0;
}

int fy_bell_open(struct fy_bell *bell, int *port, freddy_error *err) {
  struct sockaddr_in name;
  socklen_t size = sizeof(name);

  fy_bell_close(bell);
  memset(&name, 0, sizeof(name));
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bell->listener = new_socket();
  if (bell->listener < 0 || make_secret(bell->secret) ||
      bind(bell->listener, (struct sockaddr *)&name, size) ||
      listen(bell->listener, FY_MAX_BELL_CALLERS) ||
      getsockname(bell->listener, (struct sockaddr *)&name, &size)) {
    fy_bell_close(bell);
    return fy_error_set(err, FREDDY_ENOMEM, NULL,
                        "no local socket can be had for the inbox");
  }
  *port = ntohs(name.sin_port);
  return FREDDY_OK;
}

/* 1: it knows the secret; 0: it has not said all of it; -1: it does not. Who
 * says it in two pieces is refused: nobody does whom we know. */
static int question(int fd, const char *secret) {
  char said[FREDDY_BELL_SECRET];
  ssize_t size;
  unsigned char differ = 0;

  do {
    size = recv(fd, said, sizeof(said), 0);
  } while (size < 0 && errno == EINTR);
  if (size < 0) {
    return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
  } else if (size != sizeof(said)) {
    return -1;
  }
  for (size_t i = 0; i < sizeof(said); i++) {
    differ |= (unsigned char)(said[i] ^ secret[i]);
  }
  return differ ? -1 : 1;
}

static void take_callers(struct fy_bell *bell) {
  int fd = accept_one(bell->listener);

  for (int i = 0; fd >= 0 && i < FY_MAX_BELL_CALLERS; i++) {
    int *slot = &bell->callers[bell->next_caller];

    bell->next_caller = (bell->next_caller + 1) % FY_MAX_BELL_CALLERS;
    close_one(slot);
    *slot = fd;
    fd = i + 1 < FY_MAX_BELL_CALLERS ? accept_one(bell->listener) : -1;
  }
}

int fy_bell_answer(struct fy_bell *bell) {
  if (bell->listener < 0) {
    return bell->socket >= 0;
  }
  take_callers(bell);
  for (int i = 0; i < FY_MAX_BELL_CALLERS; i++) {
    int *caller = &bell->callers[i];
    int knows = *caller < 0 ? 0 : question(*caller, bell->secret);

    if (knows > 0) {
      bell->socket = *caller;
      *caller = -1;
      stop_listening(bell);
      return 1;
    } else if (knows < 0) {
      close_one(caller);
    }
  }
  return 0;
}

void fy_bell_ring(struct fy_bell *bell) {
  if (!bell->armed) {
    return;
  }
  bell->armed = 0;
  /* Not more than one byte is under way: there is room for it. */
  while (send(bell->socket, "!", 1, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}
