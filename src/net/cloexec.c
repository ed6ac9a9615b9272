/* SPDX-License-Identifier: MIT */
#include "net/cloexec.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The system gives the lowest free numbers: a new pair is found early. */
enum { MAX_SCANNED = 1024 };

/* 1 for a local stream socket that a child would get. */
static int is_open_local(int fd) {
  struct sockaddr_storage address;
  socklen_t size = sizeof(address);
  int flags = fcntl(fd, F_GETFD);

  return flags >= 0 && !(flags & FD_CLOEXEC) &&
         getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
         address.ss_family == AF_UNIX;
}

static int bytes_waiting(int fd) {
  int count;

  return ioctl(fd, FIONREAD, &count) ? -1 : count;
}

static int scan_end(void) {
  long most = sysconf(_SC_OPEN_MAX);

  return most > 0 && most < MAX_SCANNED ? (int)most : MAX_SCANNED;
}

static void mark(int fd) {
  fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* The other end is where a byte arrives that is written to this one. It
 * stays there unread: libcurl's pairs are used in one direction. */
static void mark_other_end(int fd) {
  int end = scan_end();

  for (int other = 0; other < end; other++) {
    int before;

    if (other == fd || !is_open_local(other)) {
      continue;
    }
    before = bytes_waiting(other);
    if (before < 0 || send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1) {
      continue;
    }
    if (bytes_waiting(other) > before) {
      mark(other);
      return;
    }
  }
}

void fy_cloexec_watched(int fd) {
  int flags = fcntl(fd, F_GETFD);

  if (flags < 0 || flags & FD_CLOEXEC) {
    return;
  }
  if (is_open_local(fd)) {
    mark_other_end(fd);
  }
  mark(fd);
}

void fy_cloexec_wakeup(CURLM *multi) {
  int end = scan_end();

  for (int fd = 0; fd < end; fd++) {
    int before;

    if (!is_open_local(fd)) {
      continue;
    }
    before = bytes_waiting(fd);
    if (before >= 0 && curl_multi_wakeup(multi) == CURLM_OK &&
        bytes_waiting(fd) > before) {
      fy_cloexec_watched(fd);
      break;
    }
  }
  curl_multi_poll(multi, NULL, 0, 0, NULL); /* takes the wake-ups back */
}
