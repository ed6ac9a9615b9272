/* SPDX-License-Identifier: MIT */
/* The main job in C: list the models of a Freddy API.
 *
 *   FREDDY_API_KEY=... models
 *
 * FREDDY_BASE_URL and FREDDY_CA_FILE are heeded too. Prints the JSON. */
#include <stdio.h>
#include <stdlib.h>

#include "freddy.h"

static int fail(const char *what, const freddy_error *err) {
  fprintf(stderr, "%s: %s: %s\n", what, freddy_error_name(err->code),
          err->message);
  return EXIT_FAILURE;
}

static int wait_done(freddy_inbox *inbox) {
  freddy_event event;

  do {
    freddy_inbox_wait(inbox, -1);
  } while (!freddy_inbox_next(inbox, &event) || event.type != FREDDY_DONE);
  return EXIT_SUCCESS;
}

static int list_models(freddy_client *client, freddy_inbox *inbox) {
  freddy_request req = {.path = "/v1/models"};
  freddy_error err = {.code = FREDDY_OK};
  freddy_call *call;
  int status;

  if (freddy_start(client, inbox, &req, &call, &err) != FREDDY_OK) {
    return fail("start", &err);
  }
  wait_done(inbox);
  if (freddy_call_error(call)) {
    status = fail("call", freddy_call_error(call));
  } else {
    printf("%s\n", freddy_call_body(call, NULL));
    status = freddy_call_status(call) == 200 ? EXIT_SUCCESS : EXIT_FAILURE;
  }
  freddy_call_free(call);
  return status;
}

int main(void) {
  freddy_options options = {.api_key = getenv("FREDDY_API_KEY"),
                            .base_url = getenv("FREDDY_BASE_URL"),
                            .ca_file = getenv("FREDDY_CA_FILE")};
  freddy_error err = {.code = FREDDY_OK};
  freddy_client *client = NULL;
  freddy_inbox *inbox = NULL;
  int status;

  if (freddy_client_new(&options, &client, &err) != FREDDY_OK) {
    return fail("client", &err);
  }
  if (freddy_inbox_new(&inbox, &err) != FREDDY_OK) {
    freddy_client_free(client);
    return fail("inbox", &err);
  }
  status = list_models(client, inbox);
  freddy_inbox_free(inbox);
  freddy_client_free(client);
  freddy_shutdown();
  return status;
}
