/* SPDX-License-Identifier: MIT */
#include "net/target.h"

#include <string.h>

#include "base/ascii.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/client.h"

static int copy_lower(const char *text, size_t size, char **out) {
  *out = fy_strndup(text, size);
  if (!*out) {
    return FREDDY_ENOMEM;
  }
  for (char *at = *out; *at; at++) {
    *at = fy_lower(*at);
  }
  return FREDDY_OK;
}

static int is_localhost(const struct fy_target *target) {
  return strcmp(target->host, "localhost") == 0;
}

/* What is looked up, if anything is: with socks5 it is the server's name,
 * after the proxy's own; the two count as one look-up. */
static int set_host(struct fy_target *target,
                    const struct freddy_client *client,
                    const struct fy_url *url) {
  const struct fy_proxy *proxy = client->proxy;
  int literal = fy_url_is_literal(url);
  int rc;

  target->https = url->https;
  target->port = url->port;
  target->by_proxy = fy_proxy_serves(proxy, url);
  target->late_lookup =
      target->by_proxy && proxy->scheme == FY_PROXY_SOCKS5 && !literal;
  target->literal = literal;
  rc = copy_lower(url->host.data, url->host.size, &target->host);
  if (rc != FREDDY_OK || !target->by_proxy) {
    target->localhost = rc == FREDDY_OK && is_localhost(target);
    return rc;
  }
  target->localhost = proxy->scheme == FY_PROXY_SOCKS5 && is_localhost(target);
  if (target->late_lookup) {
    return FREDDY_OK;
  }
  fy_free(target->host);
  target->literal = proxy->literal;
  return copy_lower(proxy->host, strlen(proxy->host), &target->host);
}

static int set_target(struct fy_target *target,
                      const struct freddy_client *client,
                      const struct fy_url *base, const char *path,
                      size_t size) {
  struct fy_buf text;
  int rc;

  fy_buf_init(&text, FY_MAX_URL);
  rc = fy_url_join(base, path, size, &text);
  if (rc == FREDDY_OK) {
    target->url = fy_buf_take(&text, NULL);
    rc = set_host(target, client, base);
  }
  fy_buf_clear(&text);
  return rc;
}

int fy_target_under(struct fy_target *target,
                    const struct freddy_client *client, const char *path,
                    size_t size) {
  return set_target(target, client, &client->base, path, size);
}

/* A full URL goes the same way as a path: encoded where need be. */
int fy_target_at(struct fy_target *target, const struct freddy_client *client,
                 const struct fy_url *url) {
  struct fy_url origin = *url;
  struct fy_buf path;
  int rc;

  origin.path.size = origin.query.size = 0;
  fy_buf_init(&path, FY_MAX_URL);
  rc = url->path.size ? fy_buf_add(&path, url->path.data, url->path.size)
                      : fy_buf_adds(&path, "/");
  if (rc == FREDDY_OK && url->query.size) {
    rc = fy_buf_adds(&path, "?");
    if (rc == FREDDY_OK) {
      rc = fy_buf_add(&path, url->query.data, url->query.size);
    }
  }
  if (rc == FREDDY_OK) {
    rc = set_target(target, client, &origin, path.data, path.size);
  }
  fy_buf_clear(&path);
  return rc;
}

void fy_target_clear(struct fy_target *target) {
  fy_free(target->url);
  fy_free(target->host);
  memset(target, 0, sizeof(*target));
}
