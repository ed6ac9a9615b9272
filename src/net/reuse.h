/* SPDX-License-Identifier: MIT */
/* What of a connection may be used again, where libcurl is too trusting:
 * before a request is sent on an old one, when its answer begins, and when
 * the answer has ended. Engine thread only. */
#ifndef FY_NET_REUSE_H
#define FY_NET_REUSE_H

#include <curl/curl.h>
#include <stddef.h>

struct fy_sockets;
struct fy_transfer;

/* 1 when a request may go out on the connection that libcurl picked, with the
 * local port `port` to `peer` (an address as text) at `peer_port`. */
int fy_reuse_may_send(struct fy_transfer *transfer, int port, const char *peer,
                      int peer_port);

/* 1 when what libcurl takes for the answer was there before the request:
 * nothing has been read from the socket since. Only the first bytes of an
 * answer can be. */
int fy_reuse_hears_stranger(const struct fy_transfer *transfer);
/* Then it ends as `cut`; or is repeated, if it may be. */
void fy_reuse_refuse_stranger(struct fy_transfer *transfer);

/* The header section is whole: see to it that the connection is used again
 * only if it is known where the answer ended. */
void fy_reuse_guard(struct fy_transfer *transfer);

/* libcurl's debug callback; its `context` is the transfer. */
int fy_reuse_comment(CURL *easy, curl_infotype type, char *text, size_t size,
                     void *context);

/* The transfer pauses: its connection is not idle. */
void fy_reuse_pause(struct fy_transfer *transfer);

/* libcurl waits for nothing on `fd` any more, which `transfer` (NULL: none)
 * was the last to use. */
void fy_reuse_rest(struct fy_transfer *transfer, struct fy_sockets *sockets,
                   int fd);

#endif
