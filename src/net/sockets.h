/* SPDX-License-Identifier: MIT */
/* The sockets that we open for libcurl, by descriptor.
 *
 * libcurl 7.88 reuses an idle connection on which bytes have already come in,
 * and the next caller gets a stranger's answer. So an idle HTTP/1 connection
 * stays in the poller: one that becomes readable, by bytes or by its end, is
 * shut down and drained, and libcurl finds it dead. What comes in too late
 * for that is found just before a request is sent (fy_sockets_is_stale).
 *
 * HTTP/2 is left alone: its frames say whose answer they are, a server may
 * send some of them (PING, SETTINGS, what was on its way to a stream that was
 * cancelled) at any time, and libcurl reads them before it reuses the
 * connection. Only its end is looked for, before a request is sent.
 *
 * Engine thread only. */
#ifndef FY_NET_SOCKETS_H
#define FY_NET_SOCKETS_H

#include <stdint.h>

#include "net/poller.h"

enum { FY_SOCKET_BUCKETS = 256 };

struct fy_socket;

struct fy_sockets {
  struct fy_poller *poller; /* borrowed */
  struct fy_socket *all;    /* by descriptor */
  int room;
  int by_port[FY_SOCKET_BUCKETS]; /* the first of a chain; -1: none */
};

void fy_sockets_init(struct fy_sockets *sockets, struct fy_poller *poller);
/* Forget them all; closes nothing. */
void fy_sockets_clear(struct fy_sockets *sockets);

/* A new socket, CLOEXEC, or -1 with errno. */
int fy_sockets_open(struct fy_sockets *sockets, int family, int type,
                    int protocol);
/* Close one, out of the poller first: its number may be someone's again at
 * once. */
int fy_sockets_close(struct fy_sockets *sockets, int fd);

/* 1 when `fd` is one that was opened here. */
int fy_sockets_has(const struct fy_sockets *sockets, int fd);

/* Watch `fd` for `what` (0: no more) on behalf of libcurl; of any descriptor,
 * also one that it made itself. 0, or -1. */
int fy_sockets_watch(struct fy_sockets *sockets, int fd, int what);

/* Nobody uses `fd` any more, but it is still open. `http1`: 0 for a
 * connection that may speak HTTP/2. */
void fy_sockets_rest(struct fy_sockets *sockets, int fd, int http1);

/* Nobody waits for `fd` any more, and no request has been sent on it: libcurl
 * 7.88 closes a socket that never got connected behind our back, and its
 * number may be someone's again. */
void fy_sockets_give_up(struct fy_sockets *sockets, int fd);

/* Something came in on `fd`: 1 when it was idle, and is shut down by now;
 * 0 when the event is libcurl's. */
int fy_sockets_retire(struct fy_sockets *sockets, int fd);

/* The connection with the local port `port`, if it has been idle before; else
 * -1. `peer` (an address as text) and `peer_port` tell it from others with
 * the same port, which have other peers. */
int fy_sockets_find(const struct fy_sockets *sockets, int port,
                    const char *peer, int peer_port);

/* `fd` is about to be used again: 1 when what would be read first is not the
 * answer. It is shut down then. Else `*count`, unless that is NULL, is how
 * many bytes have been read from it so far; 0: not known (fy_sockets_read). */
int fy_sockets_is_stale(struct fy_sockets *sockets, int fd, uint64_t *count);

/* `fd` is in use, although nobody waits for it: libcurl tells nothing when a
 * transfer that just began on it pauses. */
void fy_sockets_keep(struct fy_sockets *sockets, int fd);

/* How many bytes have been read from a connection that speaks HTTP/1: exactly,
 * or `enough` and more; 0 when that is not known (the system counts: Linux).
 * Under TLS what follows an answer in its last record is out of the kernel's
 * sight, and libcurl takes it for the next answer. But then it does so without
 * reading a byte. */
uint64_t fy_sockets_read(const struct fy_sockets *sockets, int fd,
                         uint64_t enough);

#endif
