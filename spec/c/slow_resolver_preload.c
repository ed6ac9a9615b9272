/* SPDX-License-Identifier: MIT */
/* LD_PRELOAD: a name server that hangs. A look-up of a name that begins with
 * "slow" takes FY_SLOW_RESOLVER_MS milliseconds (3000) and answers 127.0.0.1;
 * every other one goes its way. */
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int lookup(const char *, const char *, const struct addrinfo *,
                   struct addrinfo **);

static void hang(void) {
  const char *text = getenv("FY_SLOW_RESOLVER_MS");
  long ms = text ? strtol(text, NULL, 10) : 3000;
  struct timespec left = {ms / 1000, ms % 1000 * 1000000L};

  while (nanosleep(&left, &left) && errno == EINTR) {
  }
}

int getaddrinfo(const char *name, const char *service,
                const struct addrinfo *hints, struct addrinfo **result) {
  union {
    void *symbol;
    lookup *call;
  } next = {dlsym(RTLD_NEXT, "getaddrinfo")};

  if (name && strncmp(name, "slow", 4) == 0) {
    hang();
    name = "127.0.0.1";
  }
  return next.call(name, service, hints, result);
}
