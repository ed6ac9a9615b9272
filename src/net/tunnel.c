/* SPDX-License-Identifier: MIT */
#include "net/tunnel.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/ascii.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/call.h"
#include "net/client.h"
#include "net/engine.h"
#include "net/transfer.h"

/* A socket to a proxy, from its opening to its close. */
struct fy_tunnel {
  struct fy_tunnel *next;
  int fd;
  int port; /* local; 0: not known yet */
  struct fy_secret *login;
  struct fy_transfer *opener; /* NULL once that has gone */
};

/* --- Whose it is -------------------------------------------------------- */

/* One text that stands for user and password; NULL: none. */
static struct fy_secret *login_of(const struct fy_transfer *transfer) {
  const struct freddy_call *call = transfer->call;

  return call->ask.target.by_proxy ? call->client->proxy->basic : NULL;
}

int fy_tunnel_opened(struct fy_transfer *transfer, int fd) {
  struct fy_tunnel *tunnel = fy_calloc(1, sizeof(*tunnel));

  if (!tunnel) {
    return FREDDY_ENOMEM;
  }
  tunnel->fd = fd;
  tunnel->login = fy_secret_ref(login_of(transfer));
  tunnel->opener = transfer;
  tunnel->next = transfer->engine->tunnels;
  transfer->engine->tunnels = tunnel;
  return FREDDY_OK;
}

static void tunnel_free(struct fy_tunnel *tunnel) {
  fy_secret_unref(tunnel->login);
  fy_free(tunnel);
}

void fy_tunnel_closed(struct fy_engine *engine, int fd) {
  struct fy_tunnel **link = &engine->tunnels;

  while (*link) {
    struct fy_tunnel *tunnel = *link;

    if (tunnel->fd == fd) {
      *link = tunnel->next;
      tunnel_free(tunnel);
      return;
    }
    link = &tunnel->next;
  }
}

static int local_port(int fd) {
  struct sockaddr_storage address;
  socklen_t size = sizeof(address);

  memset(&address, 0, sizeof(address));
  if (getsockname(fd, (struct sockaddr *)&address, &size)) {
    return 0;
  }
  switch (address.ss_family) {
  case AF_INET:
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
  case AF_INET6:
    return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
  default:
    return 0;
  }
}

static int same_login(const struct fy_secret *a, const struct fy_secret *b) {
  if (!a || !b) {
    return a == b;
  }
  return fy_secret_size(a) == fy_secret_size(b) &&
         memcmp(fy_secret_text(a), fy_secret_text(b), fy_secret_size(a)) == 0;
}

/* Where a forwarded request names its credentials by itself, any connection
 * will do. */
static int is_tunnel(const struct fy_transfer *transfer) {
  const struct freddy_call *call = transfer->call;

  return call->ask.target.by_proxy &&
         (call->ask.target.https || !fy_proxy_is_http(call->client->proxy));
}

/* Two sockets may share a local port when they lead to different proxies:
 * then both have to fit. */
int fy_tunnel_fits(struct fy_transfer *transfer, int port) {
  struct fy_secret *login = login_of(transfer);
  int found = 0;

  if (!is_tunnel(transfer) || transfer->fresh) {
    return 1;
  }
  for (struct fy_tunnel *tunnel = transfer->engine->tunnels; tunnel;
       tunnel = tunnel->next) {
    if (!tunnel->port) {
      tunnel->port = local_port(tunnel->fd);
    }
    if (tunnel->port == port) {
      if (!same_login(tunnel->login, login)) {
        return 0;
      }
      found = 1;
    }
  }
  return found;
}

void fy_tunnel_break(struct fy_transfer *transfer) {
  for (struct fy_tunnel *tunnel = transfer->engine->tunnels; tunnel;
       tunnel = tunnel->next) {
    if (tunnel->opener == transfer) {
      shutdown(tunnel->fd, SHUT_RDWR);
    }
  }
}

void fy_tunnel_forget(struct fy_transfer *transfer) {
  for (struct fy_tunnel *tunnel = transfer->engine->tunnels; tunnel;
       tunnel = tunnel->next) {
    if (tunnel->opener == transfer) {
      tunnel->opener = NULL;
    }
  }
}

void fy_tunnel_clear(struct fy_engine *engine) {
  while (engine->tunnels) {
    struct fy_tunnel *next = engine->tunnels->next;

    tunnel_free(engine->tunnels);
    engine->tunnels = next;
  }
}

/* --- The answer to CONNECT ---------------------------------------------- */

/* The status of "HTTP/1.x nnn", or 0. */
static int read_status(const char *line, size_t size) {
  if (size < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ' ||
      !fy_is_digit(line[9]) || !fy_is_digit(line[10]) ||
      !fy_is_digit(line[11])) {
    return 0;
  }
  return (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
}

static int fail(struct fy_transfer *transfer, const char *what) {
  fy_error_set(&transfer->error, FREDDY_ECONNECT, "proxy", "the proxy %s: %s",
               transfer->call->client->proxy->host, what);
  return 0;
}

/* libcurl would read the body of a refusal, however long, byte by byte and
 * without a pause for anyone: so a refusal ends here. */
int fy_tunnel_header(struct fy_transfer *transfer, const char *line,
                     size_t size) {
  transfer->connect_bytes += size;
  if (transfer->connect_bytes > FY_MAX_CONNECT_HEADERS) {
    return fail(transfer, "its answer to CONNECT has too many headers");
  }
  if (transfer->connect_bytes == size) {
    transfer->connect_status = read_status(line, size);
    if (!transfer->connect_status) {
      return fail(transfer, "its answer to CONNECT is no HTTP");
    }
  }
  if (line[0] != '\r' && line[0] != '\n') {
    return 1;
  }
  if (transfer->connect_status / 100 == 2) {
    return 1;
  }
  fy_error_set(&transfer->error, FREDDY_ECONNECT,
               transfer->connect_status == 407 ? "proxy_auth" : "proxy",
               "the proxy %s refused the tunnel with status %d",
               transfer->call->client->proxy->host, transfer->connect_status);
  return 0;
}
