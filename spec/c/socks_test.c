/* SPDX-License-Identifier: MIT */
/* A SOCKS5 proxy that stalls, and a resolver that hangs while the proxy
 * waits. Nothing may wait for either but their own calls, and nothing stays
 * behind. */
#include "stuck_resolver.h"

static atomic_int asked; /* what the proxy was asked to lead to */

/* --- The proxy ---------------------------------------------------------- */

/* Greets, reads what it should lead to, and says nothing. */
static void *stall_main(void *context) {
  int fd = *(int *)context;
  char bytes[256];

  free(context);
  if (recv(fd, bytes, 2, MSG_WAITALL) == 2 &&
      recv(fd, bytes, (size_t)bytes[1], MSG_WAITALL) > 0 &&
      send(fd, "\5\0", 2, MSG_NOSIGNAL) == 2 &&
      recv(fd, bytes, 10, MSG_WAITALL) == 10) {
    atomic_fetch_add(&asked, 1);
    while (recv(fd, bytes, sizeof(bytes), 0) > 0) {
    }
  }
  close(fd);
  return NULL;
}

static void *proxy_main(void *context) {
  int listener = *(int *)context;
  int fd;

  while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
    int *own = malloc(sizeof(*own));
    pthread_t thread;

    *own = fd;
    pthread_create(&thread, NULL, stall_main, own);
    pthread_detach(thread);
  }
  return NULL;
}

/* --- The tests ---------------------------------------------------------- */

static freddy_call *start(struct rig *proxied, const char *host,
                          double connect) {
  char url[128];
  freddy_request req = {
      .path = url, .timeout = {.connect = connect}, .retries = -1};

  snprintf(url, sizeof(url), "https://%s/", host);
  return rig_start(proxied, &req);
}

static void end(struct rig *rig, freddy_call *call, const char *kind) {
  rig_done(rig->inbox, call);
  CHECK_TEXT(rig_kind(call), kind);
  CHECK_INT(freddy_call_error(call)->sent, 0);
  freddy_call_free(call);
}

static void test_cancel_in_lookup(struct rig *rig, struct rig *proxied) {
  freddy_call *calls[10];

  set_release(0);
  for (int i = 0; i < 10; i++) {
    calls[i] = start(proxied, "slow-one.test", 0);
  }
  EVENTUALLY(read_int(&hanging) == 4); /* per host name */
  for (int i = 0; i < 10; i++) {
    freddy_call_cancel(calls[i]);
  }
  for (int i = 0; i < 10; i++) {
    end(proxied, calls[i], "cancelled");
  }
  EVENTUALLY(parked() == 4);
  check_others_go_on(rig);
  CHECK_INT(read_int(&hanging), 4);
  CHECK_INT(read_int(&worst), 4);
  set_release(1);
  EVENTUALLY(parked() == 0);
}

static void test_timeout_in_lookup(struct rig *rig, struct rig *proxied) {
  freddy_call *calls[30];

  set_release(0);
  for (int i = 0; i < 30; i++) {
    calls[i] = start(proxied, "slow-two.test", 0.1);
  }
  for (int i = 0; i < 30; i++) {
    end(proxied, calls[i], "timeout");
  }
  CHECK(read_int(&worst) <= 4);
  check_others_go_on(rig);
  set_release(1);
  EVENTUALLY(parked() == 0);
}

static void test_bound_on_all(struct rig *rig, struct rig *proxied) {
  freddy_call *calls[40];

  set_release(0);
  for (int i = 0; i < 40; i++) {
    char host[32];

    snprintf(host, sizeof(host), "slow%d.test", i);
    calls[i] = start(proxied, host, 0);
  }
  EVENTUALLY(read_int(&hanging) == 16);
  check_others_go_on(rig);
  for (int i = 0; i < 40; i++) {
    freddy_call_cancel(calls[i]);
  }
  for (int i = 0; i < 40; i++) {
    end(proxied, calls[i], "cancelled");
  }
  CHECK_INT(read_int(&worst), 16);
  set_release(1);
  EVENTUALLY(parked() == 0);
}

/* The look-up has ended, and libcurl does not say so: the handle is parked,
 * but the proxy's silence must not keep it. */
static void test_cancel_in_stall(struct rig *rig, struct rig *proxied) {
  freddy_call *call;
  int before = atomic_load(&asked);

  set_release(1);
  call = start(proxied, "slow-three.test", 0);
  EVENTUALLY(atomic_load(&asked) == before + 1);
  freddy_call_cancel(call);
  end(proxied, call, "cancelled");
  check_others_go_on(rig);
  EVENTUALLY(parked() == 0);
  call = start(proxied, "slow-three.test", 0.1);
  end(proxied, call, "timeout");
  EVENTUALLY(parked() == 0);
}

static void test_unknown_name(struct rig *proxied) {
  end(proxied, start(proxied, "nobody.test", 0), "resolve");
}

int main(void) {
  /* Over HTTP/2 a burst would wait for its first connection. */
  freddy_options options = {.api_key = "unit-key-0123456789abcdef",
                            .http1 = 1};
  struct rig rig, proxied;
  char proxy[64];
  unsigned port;
  int listener = loop_listen(&port);
  pthread_t thread;

  snprintf(proxy, sizeof(proxy), "socks5://127.0.0.1:%u", port);
  options.proxy = proxy;
  pthread_create(&thread, NULL, proxy_main, &listener);
  rig_open(&rig, serve);
  proxied = rig;
  proxied.client = rig_client(rig.server->port, &options);
  test_cancel_in_lookup(&rig, &proxied);
  test_timeout_in_lookup(&rig, &proxied);
  test_bound_on_all(&rig, &proxied);
  test_cancel_in_stall(&rig, &proxied);
  test_unknown_name(&proxied);
  freddy_client_free(proxied.client);
  rig_close(&rig);
  shutdown(listener, SHUT_RDWR);
  pthread_join(thread, NULL);
  close(listener);
  return unit_end();
}
