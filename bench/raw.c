/* SPDX-License-Identifier: MIT */
/* What libcurl itself costs, driven from C with nothing in between:
 *
 *   raw easy URL N            curl_easy_perform, one request after another
 *   raw hop URL N             the same requests, made by a thread of their
 *                             own: what any client with an engine must pay
 *   raw loop URL N WIDTH [CA] socket_action and epoll, WIDTH in flight
 *   raw loop1 ...             the same over HTTP/1.1, whatever is offered
 *   raw run PROGRAM ARG...    a whole process, from its start to its end
 *   raw ports N               N free ports
 *
 * Handles are set up once and used again: no client can do with less. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "freddy.h" /* the version, and nothing else of it */
#include "loop.h"

enum { MAX_WIDTH = 256, WARM_UP = 200, MAX_BODY = 4096 };

static long version = CURL_HTTP_VERSION_2TLS; /* libcurl's own default */

struct body {
  size_t size;
  char data[MAX_BODY];
};

/* --- Handles ------------------------------------------------------------ */

static size_t on_data(char *data, size_t one, size_t size, void *context) {
  struct body *body = context;

  (void)one;
  if (body->size + size > sizeof(body->data)) {
    return 0;
  }
  memcpy(body->data + body->size, data, size);
  body->size += size;
  return size;
}

/* The request is the same, byte by byte. */
static CURL *handle_new(const char *url, const char *ca, struct body *body) {
  static char key[] = "api-key: benchmark-key";
  static char gzip[] = "Accept-Encoding: gzip";
  static struct curl_slist headers[] = {{key, headers + 1}, {gzip, NULL}};
  CURL *easy = curl_easy_init();

  if (!easy) {
    bench_die("no handle");
  }
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "freddy/" FREDDY_VERSION);
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, body);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, body);
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, version);
  if (ca) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
  }
  return easy;
}

static void check(CURL *easy, CURLcode code) {
  long status = 0;

  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  if (code != CURLE_OK || status != 200) {
    bench_die(curl_easy_strerror(code));
  }
}

/* --- One after another -------------------------------------------------- */

static void run_easy(const char *url, long count) {
  struct bench bench;
  struct body body;
  CURL *easy = handle_new(url, NULL, &body);

  for (long i = -WARM_UP; i < count; i++) {
    if (i == 0) {
      bench_begin(&bench);
    }
    body.size = 0;
    check(easy, curl_easy_perform(easy));
  }
  bench_end(&bench);
  bench_print(&bench);
  curl_easy_cleanup(easy);
}

/* --- The loop: socket_action and epoll ---------------------------------- */

static void loop_init(struct loop *loop) {
  loop_open(loop);
  curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, (long)MAX_WIDTH);
}

static void loop_clear(struct loop *loop) {
  curl_multi_cleanup(loop->multi);
  close(loop->epoll);
}

static int loop_timeout(const struct loop *loop) {
  double left = loop->due - bench_now();

  if (loop->due < 0) {
    return -1;
  }
  return left <= 0 ? 0 : (int)(left * 1e3) + 1;
}

/* One turn; 1 when `wake` was readable. */
static int loop_turn(struct loop *loop, int wake) {
  struct epoll_event events[64];
  int count = epoll_wait(loop->epoll, events, 64, loop_timeout(loop));
  int running, woken = 0;

  for (int i = 0; i < count; i++) {
    uint32_t what = events[i].events;

    if (events[i].data.fd == wake) {
      woken = 1;
      continue;
    }
    curl_multi_socket_action(
        loop->multi, events[i].data.fd,
        (what & EPOLLIN ? CURL_CSELECT_IN : 0) |
            (what & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
            (what & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0),
        &running);
  }
  if (loop->due >= 0 && loop->due <= bench_now()) {
    loop->due = -1;
    curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  }
  return woken;
}

/* A handle that has finished, taken out of the multi; or NULL. */
static CURL *loop_finished(struct loop *loop, long *connections) {
  CURLMsg *message;
  CURL *easy;
  long opened = 0;
  int left;

  do {
    message = curl_multi_info_read(loop->multi, &left);
  } while (message && message->msg != CURLMSG_DONE);
  if (!message) {
    return NULL;
  }
  easy = message->easy_handle;
  check(easy, message->data.result);
  curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &opened);
  *connections += opened;
  curl_multi_remove_handle(loop->multi, easy);
  return easy;
}

static void send_again(struct loop *loop, CURL *easy) {
  char *body = NULL;

  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &body);
  ((struct body *)(void *)body)->size = 0;
  curl_multi_add_handle(loop->multi, easy);
}

/* `count` requests, up to `width` of them at once. */
static void loop_flight(struct loop *loop, CURL **easy, long count, int width,
                        long *connections) {
  long sent = 0, done = 0;
  CURL *finished;

  while (sent < count && sent < width) {
    send_again(loop, easy[sent++]);
  }
  while (done < count) {
    loop_turn(loop, -1);
    while ((finished = loop_finished(loop, connections))) {
      done++;
      if (sent < count) {
        send_again(loop, finished);
        sent++;
      }
    }
  }
}

/* As many requests as places: a burst, connecting included. */
static void run_loop(const char *url, long count, int width, const char *ca) {
  struct body *bodies = calloc((size_t)width, sizeof(*bodies));
  CURL *easy[MAX_WIDTH];
  struct bench bench;
  struct loop loop;
  long warm_up = 0;

  if (!bodies) {
    bench_die("no memory");
  }
  loop_init(&loop);
  for (int i = 0; i < width; i++) {
    easy[i] = handle_new(url, ca, &bodies[i]);
  }
  if (count > width) {
    loop_flight(&loop, easy, WARM_UP, width, &warm_up);
  }
  bench_begin(&bench);
  loop_flight(&loop, easy, count, width, &bench.connections);
  bench_end(&bench);
  bench_print(&bench);
  for (int i = 0; i < width; i++) {
    curl_easy_cleanup(easy[i]);
  }
  loop_clear(&loop);
  free(bodies);
}

/* --- The hop: the loop on a thread, a condition variable back ----------- */

struct hop {
  struct loop loop;
  int wake;
  pthread_mutex_t lock;
  pthread_cond_t answered;
  CURL *asked; /* to be sent */
  int done;
  int stop;
};

static void *hop_main(void *context) {
  struct hop *hop = context;
  long connections = 0;
  int stop = 0;

  while (!stop) {
    CURL *asked = NULL;

    if (loop_turn(&hop->loop, hop->wake)) {
      uint64_t value;

      if (read(hop->wake, &value, sizeof(value)) < 0) {
        bench_die("eventfd");
      }
      pthread_mutex_lock(&hop->lock);
      asked = hop->asked;
      hop->asked = NULL;
      stop = hop->stop;
      pthread_mutex_unlock(&hop->lock);
    }
    if (asked) {
      send_again(&hop->loop, asked);
    }
    if (loop_finished(&hop->loop, &connections)) {
      pthread_mutex_lock(&hop->lock);
      hop->done = 1;
      pthread_mutex_unlock(&hop->lock);
      pthread_cond_signal(&hop->answered);
    }
  }
  return NULL;
}

static void hop_wake(struct hop *hop) {
  uint64_t one = 1;

  if (write(hop->wake, &one, sizeof(one)) < 0) {
    bench_die("eventfd");
  }
}

static void hop_request(struct hop *hop, CURL *easy) {
  pthread_mutex_lock(&hop->lock);
  hop->asked = easy;
  hop->done = 0;
  pthread_mutex_unlock(&hop->lock);
  hop_wake(hop);
  pthread_mutex_lock(&hop->lock);
  while (!hop->done) {
    pthread_cond_wait(&hop->answered, &hop->lock);
  }
  pthread_mutex_unlock(&hop->lock);
}

static void hop_init(struct hop *hop) {
  struct epoll_event event = {.events = EPOLLIN};

  memset(hop, 0, sizeof(*hop));
  loop_init(&hop->loop);
  pthread_mutex_init(&hop->lock, NULL);
  pthread_cond_init(&hop->answered, NULL);
  hop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  event.data.fd = hop->wake;
  if (epoll_ctl(hop->loop.epoll, EPOLL_CTL_ADD, hop->wake, &event)) {
    bench_die("eventfd");
  }
}

static void run_hop(const char *url, long count) {
  struct bench bench;
  struct body body;
  struct hop hop;
  pthread_t thread;
  CURL *easy = handle_new(url, NULL, &body);

  hop_init(&hop);
  if (pthread_create(&thread, NULL, hop_main, &hop)) {
    bench_die("no thread");
  }
  for (long i = -WARM_UP; i < count; i++) {
    if (i == 0) {
      bench_begin(&bench);
    }
    hop_request(&hop, easy);
  }
  bench_end(&bench);
  bench_print(&bench);
  hop.stop = 1;
  hop_wake(&hop);
  pthread_join(thread, NULL);
  curl_easy_cleanup(easy);
  loop_clear(&hop.loop);
  close(hop.wake);
}

/* --- A process ---------------------------------------------------------- */

static double seconds_of(struct timeval time) {
  return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void run_process(char **argv) {
  extern char **environ;
  struct bench bench;
  struct rusage usage;
  pid_t pid;
  int status;

  bench_begin(&bench);
  if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) ||
      waitpid(pid, &status, 0) != pid || status != 0) {
    bench_die(argv[0]);
  }
  bench_end(&bench);
  getrusage(RUSAGE_CHILDREN, &usage);
  bench.cpu = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  bench_print(&bench);
}

/* --- Ports -------------------------------------------------------------- */

static void print_ports(int count) {
  for (int i = 0; i < count; i++) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, size) ||
        getsockname(fd, (struct sockaddr *)&address, &size)) {
      bench_die("no free port");
    }
    printf("%d\n", ntohs(address.sin_port)); /* held until the exit */
  }
}

int main(int argc, char **argv) {
  const char *what = argc > 2 ? argv[1] : "";
  long count = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
  long width = argc > 4 ? strtol(argv[4], NULL, 10) : 1;

  curl_global_init(CURL_GLOBAL_DEFAULT);
  if (strcmp(what, "run") == 0) {
    run_process(argv + 2);
  } else if (strcmp(what, "ports") == 0) {
    print_ports((int)strtol(argv[2], NULL, 10));
  } else if (count < 1 || width < 1 || width > MAX_WIDTH) {
    bench_die("see the head of bench/raw.c");
  } else if (strcmp(what, "easy") == 0) {
    run_easy(argv[2], count);
  } else if (strcmp(what, "hop") == 0) {
    run_hop(argv[2], count);
  } else {
    if (strcmp(what, "loop1") == 0) {
      version = CURL_HTTP_VERSION_1_1;
    }
    run_loop(argv[2], count, (int)width, argc > 5 ? argv[5] : NULL);
  }
  curl_global_cleanup();
  return 0;
}
