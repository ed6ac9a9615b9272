/* SPDX-License-Identifier: MIT */
/* What an event of an event stream costs, and how late it is:
 *
 *   streams raw N E             libcurl: socket_action and epoll, one thread
 *   streams hop N E             the same on a thread of its own, which hands
 *                               the events to another: what any client with an
 *                               engine must pay
 *   streams freddy N E          freddy.h, by a thread that waits for them
 *   streams frames N E          and by one that looks 60 times a second
 *   streams run N E PROGRAM...  any program, which gets the port, N and E
 *   streams text 1 E PROGRAM...  the same, as the text of an answer
 *   streams flood 1 E PROGRAM...  as run, all events at once
 *
 * A server of its own process sends E events in all to N streams, one every
 * GAP to the next stream, each with the time at which it was sent. Printed are
 * CPU seconds of the client alone, events, and p50 and p99 of how late they
 * came, in microseconds. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "freddy.h"
#include "loop.h"

enum { GAP = 500, MAX_STREAMS = 8192, SETTLE = 300000 };

static struct {
  double *list;
  long count, room;
} late;

/* --- The server --------------------------------------------------------- */

static void send_all(int fd, const char *text, size_t size) {
  while (size) {
    ssize_t n = send(fd, text, size, MSG_NOSIGNAL);

    if (n < 0) {
      exit(1);
    }
    text += n;
    size -= (size_t)n;
  }
}

static int accept_stream(int listener) {
  static const char head[] =
      "HTTP/1.1 200 OK\r\n"
      "Content-Type: text/event-stream\r\n"
      "Transfer-Encoding: chunked\r\n\r\n";
  int fd = accept(listener, NULL, NULL);
  int one = 1;
  char request[4096];
  size_t size = 0;

  if (fd < 0) {
    exit(1);
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  do {
    ssize_t n = recv(fd, request + size, sizeof(request) - 1 - size, 0);

    if (n <= 0) {
      exit(1);
    }
    size += (size_t)n;
    request[size] = '\0';
  } while (!strstr(request, "\r\n\r\n"));
  send_all(fd, head, sizeof(head) - 1);
  return fd;
}

static void send_chunk(int fd, const char *text, size_t size) {
  char line[16];

  send_all(fd, line, (size_t)snprintf(line, sizeof(line), "%zx\r\n", size));
  send_all(fd, text, size);
  send_all(fd, "\r\n", 2);
}

static void sleep_until(double when) {
  struct timespec until = {.tv_sec = (time_t)when};

  until.tv_nsec = (long)((when - (double)until.tv_sec) * 1e9);
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* Each tells when it was sent; an answer's does so in its text. */
static void send_paced(const int *fds, long streams, long events,
                       const char *format) {
  double next = bench_now();
  char chunk[128], text[96];

  for (long i = 0; i < events; i++) {
    int n;

    next += (double)GAP / 1e6;
    sleep_until(next);
    n = snprintf(text, sizeof(text), format, bench_clock(CLOCK_BOOTTIME));
    n = snprintf(chunk, sizeof(chunk), "%x\r\n%s\r\n", (unsigned)n, text);
    send_all(fds[i % streams], chunk, (size_t)n);
  }
}

static void send_flood(int fd, long events) {
  static char text[1 << 16];
  size_t size = 0;

  for (long i = 0; i < events; i++) {
    size += (size_t)snprintf(text + size, sizeof(text) - size,
                             "data: {\"event\":\"response.output_text.delta\","
                             "\"delta\":\"word%ld\"}\n\n",
                             i);
    if (size > sizeof(text) - 256 || i + 1 == events) {
      send_chunk(fd, text, size);
      size = 0;
    }
  }
}

static void serve(int listener, long streams, long events, const char *mode) {
  static const char plain[] = "data: %.9f and some more text\n\n";
  static const char answer[] =
      "data: {\"event\":\"response.content_delta\",\"delta\":\"%.9f\"}\n\n";
  static const char done[] = "data: [DONE]\n\n";
  static int fds[MAX_STREAMS];
  int is_answer = strcmp(mode, "text") == 0;
  char byte;

  for (long i = 0; i < streams; i++) {
    fds[i] = accept_stream(listener);
  }
  usleep(SETTLE);
  if (strcmp(mode, "flood") == 0) {
    send_flood(fds[0], events);
  } else {
    send_paced(fds, streams, events, is_answer ? answer : plain);
  }
  if (is_answer) {
    send_chunk(fds[0], done, sizeof(done) - 1);
  }
  for (long i = 0; i < streams; i++) {
    send_all(fds[i], "0\r\n\r\n", 5);
  }
  while (recv(fds[0], &byte, 1, 0) > 0) {
  }
}

static int listen_here(unsigned *port) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof(address);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) ||
      listen(fd, MAX_STREAMS) ||
      getsockname(fd, (struct sockaddr *)&address, &size)) {
    bench_die("cannot listen");
  }
  *port = ntohs(address.sin_port);
  return fd;
}

/* --- How late ----------------------------------------------------------- */

/* An event's data begins with when it was sent. */
static void note(const char *data) {
  double sent = strtod(data, NULL);

  if (late.count < late.room) {
    late.list[late.count++] = bench_clock(CLOCK_BOOTTIME) - sent;
  }
}

static int compare(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;

  return (left > right) - (left < right);
}

static void print_result(const struct bench *bench, long events) {
  if (late.count != events) {
    bench_die("events are missing");
  }
  qsort(late.list, (size_t)late.count, sizeof(*late.list), compare);
  printf("%.6f %ld %.1f %.1f\n", bench->cpu, late.count,
         late.list[late.count / 2] * 1e6,
         late.list[late.count * 99 / 100] * 1e6);
}

/* --- libcurl ------------------------------------------------------------ */

struct text {
  char data[32];
};

/* Between the two threads of a hop. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t filled;
  int is_used;
  long first, last;
  struct text ring[1024];
} hop = {.lock = PTHREAD_MUTEX_INITIALIZER,
         .filled = PTHREAD_COND_INITIALIZER};

static void hop_put(const struct text *text) {
  pthread_mutex_lock(&hop.lock);
  hop.ring[hop.last++ % 1024] = *text;
  pthread_mutex_unlock(&hop.lock);
  pthread_cond_signal(&hop.filled);
}

static void hop_take(void) {
  struct text text;

  pthread_mutex_lock(&hop.lock);
  while (hop.first == hop.last) {
    pthread_cond_wait(&hop.filled, &hop.lock);
  }
  text = hop.ring[hop.first++ % 1024];
  pthread_mutex_unlock(&hop.lock);
  note(text.data);
}

/* Each event is a write of its own here: that is all the parsing there is. */
static size_t on_data(char *data, size_t one, size_t size, void *context) {
  struct text text;

  (void)context;
  if (size > 6 + sizeof(text)) {
    memcpy(text.data, data + 6, sizeof(text) - 1);
    text.data[sizeof(text) - 1] = '\0';
    if (hop.is_used) {
      hop_put(&text);
    } else {
      note(text.data);
    }
  }
  return one * size;
}

static int turn(struct loop *loop) {
  struct epoll_event events[64];
  double left = loop->due - bench_now();
  int count = epoll_wait(loop->epoll, events, 64,
                         loop->due < 0 ? 1000
                         : left <= 0   ? 0
                                       : (int)(left * 1e3) + 1);
  int running = 1;

  for (int i = 0; i < count; i++) {
    curl_multi_socket_action(loop->multi, events[i].data.fd, CURL_CSELECT_IN,
                             &running);
  }
  if (loop->due >= 0 && loop->due <= bench_now()) {
    loop->due = -1;
    curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  }
  return running;
}

static void *turn_on(void *loop) {
  while (turn(loop)) {
  }
  return NULL;
}

static void run_raw(unsigned port, long streams, long events) {
  struct loop loop;
  struct bench bench;
  pthread_t thread;
  char url[64];

  snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
  loop_open(&loop);
  for (long i = 0; i < streams; i++) {
    CURL *easy = curl_easy_init();

    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_multi_add_handle(loop.multi, easy);
  }
  if (hop.is_used && pthread_create(&thread, NULL, turn_on, &loop)) {
    bench_die("no thread");
  }
  while (late.count == 0) {
    hop.is_used ? hop_take() : (void)turn(&loop);
  }
  bench_begin(&bench);
  while (late.count < events) {
    hop.is_used ? hop_take() : (void)turn(&loop);
  }
  bench_end(&bench);
  if (hop.is_used) { /* it is still in libcurl, which must not be unloaded */
    pthread_join(thread, NULL);
  }
  print_result(&bench, events);
}

/* --- freddy ------------------------------------------------------------- */

static void take_all(freddy_inbox *inbox) {
  freddy_event event;

  while (freddy_inbox_next(inbox, &event)) {
    if (event.type == FREDDY_EVENT) {
      note(event.data);
    }
  }
}

static void await(freddy_inbox *inbox, int frames) {
  if (frames) {
    usleep(16667);
  } else {
    freddy_inbox_wait(inbox, 1);
  }
  take_all(inbox);
}

static void run_freddy(unsigned port, long streams, long events, int frames) {
  freddy_options options = {.api_key = "benchmark-key",
                            .max_in_flight = MAX_STREAMS};
  freddy_request req = {.path = "/", .events = 1};
  freddy_client *client;
  freddy_inbox *inbox;
  freddy_call *call;
  freddy_error err = {.code = FREDDY_OK};
  struct bench bench;
  char url[64];

  snprintf(url, sizeof(url), "http://127.0.0.1:%u", port);
  options.base_url = url;
  if (freddy_client_new(&options, &client, &err) ||
      freddy_inbox_new(&inbox, &err)) {
    bench_die(err.message);
  }
  for (long i = 0; i < streams; i++) {
    if (freddy_start(client, inbox, &req, &call, &err)) {
      bench_die(err.message);
    }
  }
  while (late.count == 0) {
    await(inbox, frames);
  }
  bench_begin(&bench);
  while (late.count < events) {
    await(inbox, frames);
  }
  bench_end(&bench);
  print_result(&bench, events);
}

/* --- Any program -------------------------------------------------------- */

static int run_program(unsigned port, char **argv) {
  char number[16];
  char *words[16];
  int count = 0;

  snprintf(number, sizeof(number), "%u", port);
  for (char **word = argv + 4; *word && count < 12; word++) {
    words[count++] = *word;
  }
  words[count++] = number;
  words[count++] = argv[2];
  words[count++] = argv[3];
  words[count] = NULL;
  execvp(words[0], words);
  bench_die(words[0]);
}

int main(int argc, char **argv) {
  struct rlimit files;
  long streams = argc > 3 ? strtol(argv[2], NULL, 10) : 0;
  long events = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
  unsigned port;
  int listener;

  if (streams < 1 || streams > MAX_STREAMS || events < 1) {
    bench_die("see the head of bench/streams.c");
  }
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  listener = listen_here(&port);
  if (fork() == 0) {
    fclose(stdout); /* who reads it waits for the client alone */
    serve(listener, streams, events, argv[1]);
    _exit(0);
  }
  close(listener);
  late.room = events + 1;
  late.list = calloc((size_t)late.room, sizeof(*late.list));
  curl_global_init(CURL_GLOBAL_DEFAULT);
  hop.is_used = strcmp(argv[1], "hop") == 0;
  if (hop.is_used || strcmp(argv[1], "raw") == 0) {
    run_raw(port, streams, events);
  } else if (strcmp(argv[1], "freddy") == 0) {
    run_freddy(port, streams, events, 0);
  } else if (strcmp(argv[1], "frames") == 0) {
    run_freddy(port, streams, events, 1);
  } else {
    return run_program(port, argv);
  }
  return 0;
}
