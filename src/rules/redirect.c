/* SPDX-License-Identifier: MIT */
#include "rules/redirect.h"

#include <string.h>

#include "base/error.h"
#include "base/limits.h"

int fy_redirect_is(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 ||
         status == 308;
}

static int is_any(const char *name, size_t size, const char *const *names) {
  for (; *names; names++) {
    if (fy_header_name_is(name, size, *names)) {
      return 1;
    }
  }
  return 0;
}

static int refuse(freddy_error *err, const char *reason, const char *message) {
  return fy_error_set(err, FREDDY_EREDIRECT, reason, "%s", message);
}

/* The one Location that there is. */
static int find_location(const struct fy_headers *answer,
                         const char **location, freddy_error *err) {
  const char *at = answer->text.data;
  size_t i;

  *location = NULL;
  for (i = 0; i < answer->count; i++) {
    size_t size = strlen(at);
    const char *value = at + size + 1;
    int is_location = fy_header_name_is(at, size, "location");

    at = value + strlen(value) + 1;
    if (!is_location) {
      continue;
    }
    if (*location && strcmp(*location, value) != 0) {
      return refuse(err, "bad_location",
                    "a redirect with several Locations, which differ");
    }
    *location = value;
  }
  if (!*location || !**location) {
    return refuse(err, "no_location", "a redirect without a Location");
  }
  return FREDDY_OK;
}

static int read_location(const struct fy_redirect *seen, struct fy_step *step,
                         freddy_error *err) {
  freddy_error why = {.code = FREDDY_OK};
  const char *location;
  int rc = find_location(seen->answer, &location, err);

  if (rc) {
    return rc;
  }
  rc = fy_url_resolve(seen->from, location, strlen(location), &step->text,
                      &why);
  if (rc == FREDDY_ENOMEM) {
    return fy_error_nomem(err);
  }
  if (rc == FREDDY_ETOO_LARGE) {
    return refuse(err, "bad_location",
                  "a redirect whose Location is too long");
  }
  if (rc || fy_url_split(step->text.data, step->text.size, &step->url, &why)) {
    return fy_error_set(err, FREDDY_EREDIRECT, "bad_location",
                        "a redirect whose Location cannot be used: %s",
                        why.message);
  }
  return FREDDY_OK;
}

static void choose_method(const struct fy_redirect *seen,
                          struct fy_step *step) {
  int status = seen->answer->status;
  int is_post = strcmp(seen->method, "POST") == 0;

  if (status == 303 || (is_post && (status == 301 || status == 302))) {
    step->to_get =
        strcmp(seen->method, "HEAD") != 0 && strcmp(seen->method, "GET") != 0;
    step->drops_body = 1;
  }
}

/* Methods that only read (RFC 9110 9.2.1): another origin may be asked. */
static int only_reads(const char *method) {
  static const char *const names[] = {"GET", "HEAD", "OPTIONS", "TRACE", NULL};

  for (const char *const *name = names; *name; name++) {
    if (strcmp(method, *name) == 0) {
      return 1;
    }
  }
  return 0;
}

int fy_redirect_follow(const struct fy_redirect *seen, struct fy_step *step,
                       freddy_error *err) {
  int keeps_body;
  int rc;

  memset(step, 0, sizeof(*step));
  fy_buf_init(&step->text, FY_MAX_URL);
  rc = read_location(seen, step, err);
  if (rc) {
    return rc;
  }
  if (seen->hops >= FY_MAX_REDIRECTS) {
    return fy_error_set(err, FREDDY_EREDIRECT, "too_many",
                        "more than %d redirects, one after the other",
                        FY_MAX_REDIRECTS);
  }
  if (seen->from->https && !step->url.https) {
    return refuse(err, "insecure", "a redirect from https to plain http");
  }
  if (!step->url.https && !fy_url_is_loopback(&step->url)) {
    return refuse(err, "insecure",
                  "a redirect to another machine by plain http");
  }
  choose_method(seen, step);
  step->leaves = !fy_url_same_origin(seen->from, &step->url);
  keeps_body = seen->has_body && !step->drops_body;
  if (step->leaves &&
      (keeps_body || (!step->to_get && !only_reads(seen->method)))) {
    return fy_error_set(err, FREDDY_EREDIRECT, "cross_origin_body",
                        "a redirect of a %.20s%s to another origin",
                        seen->method, keeps_body ? " with its body" : "");
  }
  if (keeps_body && seen->body_spent) {
    return refuse(err, "body_spent",
                  "a redirect that wants the body once more, which a reader "
                  "cannot give");
  }
  return FREDDY_OK;
}

int fy_redirect_keeps(const struct fy_step *step, const char *name,
                      size_t size) {
  static const char *const harmless[] = {
      "accept",       "accept-language",     "cache-control",
      "content-type", "content-encoding",    "content-language",
      "if-match",     "if-modified-since",   "if-none-match",
      "if-range",     "if-unmodified-since", "pragma",
      "range",        "user-agent",          NULL};
  static const char *const of_body[] = {"digest", "last-modified",
                                        "repr-digest", NULL};

  if (step->drops_body &&
      ((size > 8 && fy_header_name_is(name, 8, "content-")) ||
       is_any(name, size, of_body))) {
    return 0;
  }
  return !step->leaves || is_any(name, size, harmless);
}
