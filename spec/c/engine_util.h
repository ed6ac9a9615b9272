/* SPDX-License-Identifier: MIT */
/* What the engine's units share: one client and inbox on a loopback server,
 * and waiting for an event with a bound. */
#ifndef FY_SPEC_ENGINE_UTIL_H
#define FY_SPEC_ENGINE_UTIL_H

#include <time.h>

#include "freddy.h"
#include "loopback.h"
#include "unit.h"

enum { PATIENCE = 20 };

struct rig {
  struct loopback *server; /* copies of a rig share it */
  freddy_client *client;
  freddy_inbox *inbox;
};

static inline freddy_client *rig_client(unsigned port,
                                        const freddy_options *extra) {
  freddy_options options = {.api_key = "unit-key-0123456789abcdef"};
  freddy_client *client = NULL;
  freddy_error err = {.code = FREDDY_OK};
  char url[64];

  if (extra) {
    options = *extra;
  }
  snprintf(url, sizeof(url), "http://127.0.0.1:%u", port);
  options.base_url = url;
  if (freddy_client_new(&options, &client, &err)) {
    printf("client: %s\n", err.message);
    exit(2);
  }
  return client;
}

static inline void rig_open(struct rig *rig, loop_serve *serve) {
  rig->server = calloc(1, sizeof(*rig->server));
  loop_start(rig->server, serve);
  rig->client = rig_client(rig->server->port, NULL);
  CHECK_INT(freddy_inbox_new(&rig->inbox, NULL), FREDDY_OK);
}

static inline void rig_close(struct rig *rig) {
  freddy_client_free(rig->client);
  freddy_inbox_free(rig->inbox);
  freddy_shutdown();
  loop_stop(rig->server);
  free(rig->server);
}

static inline freddy_call *rig_start(struct rig *rig,
                                     const freddy_request *req) {
  freddy_call *call = NULL;
  freddy_error err = {.code = FREDDY_OK};

  if (freddy_start(rig->client, rig->inbox, req, &call, &err)) {
    printf("start: %s\n", err.message);
  }
  CHECK(call != NULL);
  return call;
}

static inline int rig_event(freddy_inbox *inbox, freddy_event *event) {
  return freddy_inbox_wait(inbox, PATIENCE) && freddy_inbox_next(inbox, event);
}

/* Take events until `call` is done; others are dropped. */
static inline int rig_done(freddy_inbox *inbox, const freddy_call *call) {
  freddy_event event;

  while (rig_event(inbox, &event)) {
    if (event.call == call && event.type == FREDDY_DONE) {
      return 1;
    }
  }
  return CHECK(!"no FREDDY_DONE came"), 0;
}

static inline const char *rig_kind(const freddy_call *call) {
  const freddy_error *err = freddy_call_error(call);

  return err ? freddy_error_name(err->code) : "ok";
}

static inline const char *rig_reason(const freddy_call *call) {
  const freddy_error *err = freddy_call_error(call);

  return err ? err->reason : "";
}

/* Wait until a condition holds, with a bound. */
#define EVENTUALLY(condition)                    \
  do {                                           \
    time_t until = time(NULL) + PATIENCE;        \
    struct timespec pause_ = {0, 1000000};       \
    while (!(condition) && time(NULL) < until) { \
      nanosleep(&pause_, NULL);                  \
    }                                            \
    CHECK(condition);                            \
  } while (0)

#endif
