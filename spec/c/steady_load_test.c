/* SPDX-License-Identifier: MIT */
/* Steady load on a token of a few seconds, while the wall clock jumps about
 * by an hour: nobody waits for a renewal, no dead token is sent, and there is
 * one renewal in each early window. FY_TEST_LIFE is the token's life in
 * seconds, FY_TEST_WINDOWS how many renewals are waited for. */
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "engine_util.h"

enum { MOST_RENEWALS = 100, AT_ONCE = 4 };

static _Atomic(long long) off; /* what the wall clock is wrong by, seconds */
static atomic_int over;

/* In the place of libc's. */
int clock_gettime(clockid_t clock, struct timespec *out) {
  int rc = (int)syscall(SYS_clock_gettime, clock, out);

  if (clock == CLOCK_REALTIME) {
    out->tv_sec += (time_t)atomic_load(&off);
  }
  return rc;
}

time_t time(time_t *out) {
  struct timespec now;

  clock_gettime(CLOCK_REALTIME, &now);
  if (out) {
    *out = now.tv_sec;
  }
  return now.tv_sec;
}

static double seconds(void) {
  struct timespec now;

  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* --- The server --------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static double life;
static double left[MOST_RENEWALS], granted[MOST_RENEWALS];
static freddy_client *client;
static int renewals, dead, good, refreshing, most_at_once;

static double setting(const char *name, double usual) {
  const char *text = getenv(name);

  return text && *text ? strtod(text, NULL) : usual;
}

static int renew(int fd) {
  struct timespec slow = {0, 50000000};
  freddy_session_status status;
  char body[200];
  int nth;

  freddy_client_status(client, &status);
  pthread_mutex_lock(&lock);
  nth = renewals < MOST_RENEWALS - 1 ? renewals : MOST_RENEWALS - 1;
  left[nth] = status.expires_in;
  refreshing++;
  most_at_once = refreshing > most_at_once ? refreshing : most_at_once;
  pthread_mutex_unlock(&lock);
  nanosleep(&slow, NULL);
  pthread_mutex_lock(&lock);
  granted[nth] = seconds();
  renewals = nth + 1;
  refreshing--;
  pthread_mutex_unlock(&lock);
  snprintf(body, sizeof(body),
           "{\"access_token\":\"access-%d\",\"refresh_token\":\"refresh-%d\","
           "\"expires_in\":%.3f}",
           nth, nth, life);
  return loop_answer(fd, 200, "", body) == 0;
}

static int serve(struct loopback *server, int fd,
                 const struct loop_request *req, int nth) {
  const char *token = strstr(req->head, "Bearer access-");
  int number = token ? (int)strtol(token + 14, NULL, 10) : -1;
  int is_good;

  (void)server;
  (void)nth;
  if (strcmp(req->path, "/v1/auth/refresh") == 0) {
    return renew(fd);
  }
  pthread_mutex_lock(&lock);
  is_good =
      number >= 0 && number < renewals && seconds() < granted[number] + life;
  good += is_good;
  dead += !is_good;
  pthread_mutex_unlock(&lock);
  return loop_answer(fd, is_good ? 200 : 401, "", "") == 0;
}

/* --- The load ----------------------------------------------------------- */

/* An hour either way, and right, in turns. */
static void *step_about(void *unused) {
  static const long long steps[] = {3600, 0, -3600, 3600, -3600, 0};
  struct timespec nap = {0, 30000000};

  for (size_t i = 0; !atomic_load(&over); i++) {
    atomic_store(&off, steps[i % 6]);
    nanosleep(&nap, NULL);
  }
  atomic_store(&off, 0);
  return unused;
}

static int count_renewals(void) {
  int count;

  pthread_mutex_lock(&lock);
  count = renewals;
  pthread_mutex_unlock(&lock);
  return count;
}

/* A few at once; 1 when nobody would have had to wait for a token. */
static int round_of_requests(struct rig *rig) {
  freddy_request req = {.path = "/"};
  freddy_session_status status;
  freddy_call *calls[AT_ONCE];
  int ready;

  freddy_client_status(rig->client, &status);
  ready = status.expires_in > 0;
  for (int i = 0; i < AT_ONCE; i++) {
    calls[i] = rig_start(rig, &req);
  }
  for (int i = 0; i < AT_ONCE; i++) {
    if (!freddy_call_done(calls[i])) {
      rig_done(rig->inbox, calls[i]);
    }
    CHECK_TEXT(rig_kind(calls[i]), "ok");
    CHECK_INT(freddy_call_status(calls[i]), 200);
    freddy_call_free(calls[i]);
  }
  return ready;
}

/* What was left of the token when its renewal had come to the server: never
 * more than the early window, which begins 20 to 22 % before the end. The
 * client's own count, since a machine may hold up what is on its way. */
static void check_windows(void) {
  for (int i = 1; i < renewals; i++) {
    printf("renewed with %.1f %% of the life left\n", 100 * left[i] / life);
    CHECK(left[i] <= 0.22 * life);
  }
}

static void set_life(void) {
  const char *slow = getenv("FY_TEST_SLOW"); /* under a tool or a sanitizer */

  life = setting("FY_TEST_LIFE", slow && strcmp(slow, "1") == 0 ? 10 : 3);
}

int main(void) {
  freddy_options opts = {.refresh_token = "refresh-0"};
  int wanted = (int)setting("FY_TEST_WINDOWS", 3) + 1;
  struct timespec nap = {0, 5000000};
  int waited = 0;
  pthread_t thread;
  double begun;
  struct rig rig;

  set_life();
  rig_open(&rig, serve);
  freddy_client_free(rig.client);
  rig.client = client = rig_client(rig.server->port, &opts);
  CHECK_INT(pthread_create(&thread, NULL, step_about, NULL), 0);
  round_of_requests(&rig);
  begun = seconds();
  while (count_renewals() < wanted && seconds() < begun + wanted * life) {
    waited += !round_of_requests(&rig);
    nanosleep(&nap, NULL);
  }
  atomic_store(&over, 1);
  pthread_join(thread, NULL);
  printf(
      "%d requests in %.1f s, %d renewals of a token of %.0f s, %d dead "
      "ones sent, %d times one would have waited\n",
      good, seconds() - begun, renewals, life, dead, waited);
  CHECK_INT(count_renewals(), wanted);
  CHECK_INT(waited + dead, 0);
  CHECK_INT(most_at_once, 1);
  check_windows();
  rig_close(&rig);
  return unit_end();
}
