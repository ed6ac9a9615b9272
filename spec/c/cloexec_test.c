/* SPDX-License-Identifier: MIT */
/* Every descriptor that is made for freddy is closed by exec: those of
 * connections, of the engine, of an inbox, and of libcurl's own threads while
 * a look-up hangs. */
#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>

#include "engine_util.h"

static atomic_int looking, released;

/* The resolver, in the place of libc's: hangs until it is released. */
int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints,
                struct addrinfo **restrict out) {
  const struct timespec pause = {0, 1000000};

  (void)node;
  (void)service;
  (void)hints;
  (void)out;
  atomic_fetch_add(&looking, 1);
  while (!atomic_load(&released)) {
    nanosleep(&pause, NULL);
  }
  return EAI_NONAME;
}

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  char byte;

  (void)server;
  (void)req;
  (void)nth;
  return recv(fd, &byte, 1, 0) > 0;
}

/* How many descriptors there are; those that an exec would keep and that
 * `known` does not mark are counted in `kept`, or marked there if it is
 * NULL. */
static int scan(unsigned char *known, size_t size, int *kept) {
  DIR *dir = opendir("/proc/self/fd");
  struct dirent *entry;
  int count = 0;

  while (dir && (entry = readdir(dir))) {
    unsigned long fd = strtoul(entry->d_name, NULL, 10);
    int flags = fcntl((int)fd, F_GETFD);

    if (entry->d_name[0] == '.' || fd >= size) {
      continue;
    }
    count++;
    if (!kept) {
      known[fd] = 1;
    } else if (!known[fd] && flags >= 0 && !(flags & FD_CLOEXEC)) {
      (*kept)++;
    }
  }
  if (dir) {
    closedir(dir);
  }
  return count;
}

int main(void) {
  enum { CALLS = 8 };
  static unsigned char known[4096];
  freddy_options named = {.api_key = "unit-key-0123456789abcdef",
                          .base_url = "https://a-name.invalid"};
  freddy_request req = {.path = "/silent"};
  freddy_call *calls[2 * CALLS];
  freddy_client *client = NULL;
  struct rig rig;
  int before = scan(known, sizeof(known), NULL);
  int kept = 0;

  rig_open(&rig, serve);
  CHECK(freddy_inbox_fd(rig.inbox, NULL) >= 0);
  CHECK_INT(freddy_client_new(&named, &client, NULL), FREDDY_OK);
  for (int i = 0; i < CALLS; i++) {
    calls[i] = rig_start(&rig, &req);
    CHECK_INT(freddy_start(client, rig.inbox, &req, &calls[CALLS + i], NULL),
              FREDDY_OK);
  }
  EVENTUALLY(atomic_load(&looking) > 0);
  EVENTUALLY(atomic_load(&rig.server->requests) == CALLS);
  /* Its socket pair is watched in the turn in which the look-up began. */
  EVENTUALLY((kept = 0, scan(known, sizeof(known), &kept), kept == 0));
  CHECK(scan(known, sizeof(known), &kept) >= before + 2 * CALLS + 5);
  atomic_store(&released, 1);
  for (int i = 0; i < 2 * CALLS; i++) {
    freddy_call_free(calls[i]);
  }
  freddy_client_free(client);
  rig_close(&rig);
  return unit_end();
}
