/* SPDX-License-Identifier: MIT */
/* A resolver that hangs: the program that includes this is its own
 * getaddrinfo, which libcurl's resolver threads call. Names that begin with
 * "slow" wait until they are let go; no other name has an address. */
#ifndef FY_SPEC_STUCK_RESOLVER_H
#define FY_SPEC_STUCK_RESOLVER_H

#include <netdb.h>

#include "engine_util.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int hanging; /* look-ups under way */
static int worst;   /* the most there ever were */
static int release_all;
static int answered;

int getaddrinfo(const char *name, const char *service,
                const struct addrinfo *hints, struct addrinfo **out) {
  struct {
    struct addrinfo info;
    struct sockaddr_in address;
  } * made;

  (void)service;
  (void)hints;
  if (strncmp(name, "slow", 4) != 0) {
    return EAI_NONAME;
  }
  pthread_mutex_lock(&lock);
  hanging++;
  worst = hanging > worst ? hanging : worst;
  while (!release_all) {
    pthread_cond_wait(&cond, &lock);
  }
  hanging--;
  answered++;
  pthread_mutex_unlock(&lock);
  made = calloc(1, sizeof(*made));
  made->address.sin_family = AF_INET;
  made->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  made->info.ai_family = AF_INET;
  made->info.ai_socktype = SOCK_STREAM;
  made->info.ai_addr = (struct sockaddr *)&made->address;
  made->info.ai_addrlen = sizeof(made->address);
  *out = &made->info;
  return 0;
}

void freeaddrinfo(struct addrinfo *info) {
  free(info);
}

static void set_release(int value) {
  pthread_mutex_lock(&lock);
  release_all = value;
  worst = 0;
  answered = 0;
  pthread_cond_broadcast(&cond);
  pthread_mutex_unlock(&lock);
}

static int read_int(const int *value) {
  int now;

  pthread_mutex_lock(&lock);
  now = *value;
  pthread_mutex_unlock(&lock);
  return now;
}

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  (void)server;
  (void)nth;
  if (strcmp(req->path, "/away") == 0) {
    return loop_answer(fd, 302, "Location: https://slow.test:1/\r\n", "") == 0;
  }
  return loop_answer(fd, 200, "", "hello") == 0;
}

static unsigned parked(void) {
  freddy_engine_stats stats;

  freddy_engine_stats_get(&stats);
  return stats.parked_lookups;
}

static void check_others_go_on(struct rig *rig) {
  freddy_request req = {.path = "/hello"};
  freddy_call *call = rig_start(rig, &req);

  rig_done(rig->inbox, call);
  CHECK_INT(freddy_call_status(call), 200);
  freddy_call_free(call);
}

#endif
