/* SPDX-License-Identifier: MIT */
/* The public entry points: inboxes. */
#include "net/inbox.h"

#include "base/error.h"
#include "net/engine.h"
#include "net/permits.h"

int freddy_inbox_new(freddy_inbox **out, freddy_error *err) {
  *out = fy_inbox_new(err);
  return *out ? FREDDY_OK : FREDDY_ENOMEM;
}

void freddy_inbox_free(freddy_inbox *inbox) {
  struct fy_engine *engine = fy_engine_running();

  if (!inbox || fy_engine_is_foreign(inbox->generation)) {
    return;
  }
  fy_inbox_cut(inbox);
  fy_permits_cut(inbox);
  if (engine && atomic_load(&inbox->generation)) {
    fy_engine_post(engine, &inbox->post, FY_INBOX_CLOSE);
  }
  fy_inbox_unref(inbox);
}

int freddy_inbox_ready(const freddy_inbox *inbox) {
  return fy_flag_is_up(&inbox->flag);
}

int freddy_inbox_wait(freddy_inbox *inbox, double seconds) {
  return fy_engine_is_foreign(inbox->generation)
             ? 0
             : fy_inbox_wait(inbox, seconds);
}

/* From here on it is this process's: a child would share its descriptors. */
static int adopt_inbox(freddy_inbox *inbox, freddy_error *err) {
  uint64_t unused = 0;

  if (fy_engine_is_foreign(inbox->generation)) {
    return fy_error_set(err, FREDDY_EFORKED, NULL,
                        "the inbox belongs to another process");
  }
  atomic_compare_exchange_strong(&inbox->generation, &unused,
                                 fy_engine_generation());
  return FREDDY_OK;
}

int freddy_inbox_fd(freddy_inbox *inbox, freddy_error *err) {
  return adopt_inbox(inbox, err) ? -1 : fy_inbox_fd(inbox, err);
}

int freddy_inbox_bell_open(freddy_inbox *inbox, int *port, char *secret,
                           freddy_error *err) {
  int rc = adopt_inbox(inbox, err);

  return rc ? rc : fy_inbox_bell_open(inbox, port, secret, err);
}

int freddy_inbox_bell_answer(freddy_inbox *inbox) {
  return fy_engine_is_foreign(inbox->generation) ? 0
                                                 : fy_inbox_bell_answer(inbox);
}

int freddy_inbox_bell_arm(freddy_inbox *inbox) {
  return fy_engine_is_foreign(inbox->generation) ? 0
                                                 : fy_inbox_bell_arm(inbox);
}

void freddy_inbox_bell_close(freddy_inbox *inbox) {
  if (!fy_engine_is_foreign(inbox->generation)) {
    fy_inbox_bell_close(inbox);
  }
}

int freddy_inbox_forked(const freddy_inbox *inbox) {
  return fy_engine_is_foreign(inbox->generation);
}

int freddy_inbox_next(freddy_inbox *inbox, freddy_event *event) {
  return fy_engine_is_foreign(inbox->generation) ? 0
                                                 : fy_inbox_next(inbox, event);
}
