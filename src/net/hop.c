/* SPDX-License-Identifier: MIT */
#include "net/hop.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/secret.h"
#include "net/call.h"
#include "net/client.h"
#include "rules/redirect.h"

/* A server may repeat a credential in a Location. Its own origin knows it;
 * no other learns it from us. */
static int check_secrets(struct freddy_call *call, const struct fy_step *step,
                         freddy_error *err) {
  char *copy = fy_strndup(step->text.data, step->text.size);
  size_t size;
  int clean;

  if (!copy) {
    return fy_error_nomem(err);
  }
  size = fy_client_redact(call->client, copy, step->text.size);
  clean = size == step->text.size && memcmp(copy, step->text.data, size) == 0;
  fy_free(copy);
  if (size == 0) { /* nothing is left of it where the redactor cannot look */
    return fy_error_nomem(err);
  }
  return clean ? FREDDY_OK
               : fy_error_set(err, FREDDY_EREDIRECT, "secret_in_location",
                              "a redirect that would hand a credential to "
                              "another origin, in its URL");
}

static int decide(struct freddy_call *call, int body_spent,
                  struct fy_step *step, freddy_error *err) {
  const struct fy_ask *ask = &call->ask;
  struct fy_redirect seen = {.answer = &call->answer.headers,
                             .method = ask->method,
                             .has_body = ask->body.sources != NULL,
                             .body_spent = body_spent,
                             .hops = call->hops};
  struct fy_url from;
  int rc;

  if (fy_url_split(ask->target.url, strlen(ask->target.url), &from, err)) {
    return FREDDY_EMISUSE; /* cannot be: it was sent */
  }
  seen.from = &from;
  rc = fy_redirect_follow(&seen, step, err);
  return rc == FREDDY_OK && step->leaves ? check_secrets(call, step, err) : rc;
}

/* The lines stand one behind the other; those that stay move up. */
static void drop_headers(struct fy_ask *ask, const struct fy_step *step) {
  char *from = ask->headers;
  char *to = from;
  size_t kept = 0;

  for (size_t i = 0; i < ask->header_count; i++) {
    size_t size = strlen(from) + 1;

    if (fy_redirect_keeps(step, from, strcspn(from, ":;"))) {
      memmove(to, from, size);
      to += size;
      kept++;
    }
    from += size;
  }
  fy_wipe(to, (size_t)(from - to));
  ask->header_count = kept;
}

static void drop_body(struct freddy_call *call) {
  fy_call_unask(call);
  fy_body_clear(&call->ask.body);
}

/* `target` and `method` (NULL: it stays) are stolen. */
static void change(struct freddy_call *call, const struct fy_step *step,
                   struct fy_target *target, char *method) {
  struct fy_ask *ask = &call->ask;

  if (ask->target.url == call->url) {
    ask->target.url = NULL; /* the host may be looking at it */
  }
  fy_target_clear(&ask->target);
  ask->target = *target;
  if (method) {
    fy_free(ask->method);
    ask->method = method;
  }
  if (step->drops_body) {
    drop_body(call);
  }
  drop_headers(ask, step);
  if (step->leaves) {
    /* Also if it comes back: who leads there is not the one who was asked. */
    ask->send_credential = ask->shows_cert = 0;
    ask->other_origin = !fy_url_same_origin(&step->url, &call->client->base);
  }
  fy_headers_clear(&call->answer.headers);
  fy_buf_clear(&call->answer.body);
  call->hops++;
  call->led = 1;
}

int fy_hop_to(struct freddy_call *call, const char *url, size_t size) {
  const struct fy_step step = {.to_get = 1, .drops_body = 1};
  struct fy_target target = {.url = NULL};
  char *method = fy_strndup("GET", 3);
  struct fy_url parts;
  int rc = method ? fy_url_split(url, size, &parts, NULL) : FREDDY_ENOMEM;

  if (rc == FREDDY_OK) {
    rc = fy_target_at(&target, call->client, &parts);
  }
  if (rc != FREDDY_OK) {
    fy_target_clear(&target);
    fy_free(method);
    return FREDDY_ENOMEM;
  }
  change(call, &step, &target, method);
  call->hops = call->led = 0;
  return FREDDY_OK;
}

int fy_hop(struct freddy_call *call, int body_spent, freddy_error *err) {
  struct fy_target target = {.url = NULL};
  struct fy_step step = {.to_get = 0};
  char *method = NULL;
  int rc = decide(call, body_spent, &step, err);

  if (rc == FREDDY_OK && step.to_get) {
    method = fy_strndup("GET", 3);
    rc = method ? FREDDY_OK : fy_error_nomem(err);
  }
  if (rc == FREDDY_OK) {
    rc = fy_target_at(&target, call->client, &step.url);
    if (rc == FREDDY_ETOO_LARGE) {
      rc = fy_error_set(err, FREDDY_EREDIRECT, "bad_location",
                        "a redirect whose Location is too long");
    } else if (rc != FREDDY_OK) {
      fy_error_nomem(err);
    }
  }
  if (rc == FREDDY_OK) {
    change(call, &step, &target, method);
  } else {
    fy_target_clear(&target);
    fy_free(method);
  }
  fy_buf_clear(&step.text);
  return rc;
}
