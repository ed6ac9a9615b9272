/* SPDX-License-Identifier: MIT */
/* What happens between us and a proxy before a request is sent: the sockets
 * to proxies and whose credentials opened them, and the proxy's answer to
 * CONNECT. Engine thread only. */
#ifndef FY_NET_TUNNEL_H
#define FY_NET_TUNNEL_H

#include <stddef.h>

struct fy_engine;
struct fy_transfer;
struct fy_tunnel;

/* A socket was opened for `transfer`. FREDDY_OK or FREDDY_ENOMEM. */
int fy_tunnel_opened(struct fy_transfer *transfer, int fd);

/* It is about to be closed. */
void fy_tunnel_closed(struct fy_engine *engine, int fd);

/* 1 when the connection that libcurl picked, known by its local port, is no
 * tunnel, or one that was opened with the transfer's own credentials.
 * libcurl 7.88 does not ask: it gives one client's tunnel to another. */
int fy_tunnel_fits(struct fy_transfer *transfer, int local_port);

/* End the conversation on what `transfer` has opened, so that libcurl
 * notices; for one that cannot be removed. */
void fy_tunnel_break(struct fy_transfer *transfer);

/* The transfer is going. */
void fy_tunnel_forget(struct fy_transfer *transfer);

/* Free what is kept. */
void fy_tunnel_clear(struct fy_engine *engine);

/* One line of the proxy's answer to CONNECT: 1 to go on, or 0 when it is a
 * refusal, no HTTP or too much; transfer->error says so then. */
int fy_tunnel_header(struct fy_transfer *transfer, const char *line,
                     size_t size);

#endif
