/* SPDX-License-Identifier: MIT */
/* A tiny HTTP server on 127.0.0.1, one thread a connection, for units that
 * need a peer. Header-only: each unit is one program. */
#ifndef FY_SPEC_LOOPBACK_H
#define FY_SPEC_LOOPBACK_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct loop_request {
  char head[8192]; /* request line and headers */
  char method[16];
  char path[256];
  char body[65536];
  size_t body_size;
};

struct loopback;
/* Serves one request; 0: close the connection. */
typedef int loop_serve(struct loopback *server, int fd,
                       const struct loop_request *req, int nth);

struct loopback {
  int fd;
  unsigned port;
  loop_serve *serve;
  pthread_t thread;
  atomic_int connections;
  atomic_int requests;
  atomic_int posts;
  atomic_long written;
  atomic_int open;
};

struct loop_connection {
  struct loopback *server;
  int fd;
};

static inline int loop_write(int fd, const void *data, size_t size) {
  const char *at = data;

  while (size) {
    ssize_t n = send(fd, at, size, MSG_NOSIGNAL);

    if (n <= 0) {
      return -1;
    }
    at += n;
    size -= (size_t)n;
  }
  return 0;
}

static inline int loop_answer(int fd, int status, const char *headers,
                              const char *body) {
  char head[4096];
  int n = snprintf(head, sizeof(head),
                   "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n", status,
                   strlen(body), headers);

  return loop_write(fd, head, (size_t)n) || loop_write(fd, body, strlen(body));
}

static inline int loop_byte(int fd, char *into) {
  return recv(fd, into, 1, 0) == 1 ? 0 : -1;
}

static inline int loop_line(int fd, char *into, size_t room) {
  size_t n = 0;

  do {
    if (n + 1 >= room || loop_byte(fd, into + n)) {
      return -1;
    }
  } while (into[n++] != '\n');
  into[n] = '\0';
  return (int)n;
}

static inline int loop_exact(int fd, struct loop_request *req, size_t size) {
  while (size) {
    char *into = req->body + req->body_size % sizeof(req->body);
    size_t room = sizeof(req->body) - req->body_size % sizeof(req->body);
    ssize_t n = recv(fd, into, size < room ? size : room, 0);

    if (n <= 0) {
      return -1;
    }
    req->body_size += (size_t)n;
    size -= (size_t)n;
  }
  return 0;
}

static inline int loop_chunks(int fd, struct loop_request *req) {
  char line[256];
  unsigned long size;

  do {
    if (loop_line(fd, line, sizeof(line)) < 0) {
      return -1;
    }
    size = strtoul(line, NULL, 16);
    if (loop_exact(fd, req, size) || loop_line(fd, line, sizeof(line)) < 0) {
      return -1;
    }
  } while (size);
  return 0;
}

static inline int loop_read(int fd, struct loop_request *req) {
  size_t used = 0;
  size_t length = 0;
  const char *target;
  int chunked = 0;
  int n;

  req->body_size = 0;
  do {
    n = loop_line(fd, req->head + used, sizeof(req->head) - used);
    if (n < 0) {
      return -1;
    }
    if (strncasecmp(req->head + used, "content-length:", 15) == 0) {
      length = strtoul(req->head + used + 15, NULL, 10);
    }
    if (strncasecmp(req->head + used, "transfer-encoding: chunked", 26) == 0) {
      chunked = 1;
    }
    used += (size_t)n;
  } while (n > 2);
  target = strchr(req->head, ' ');
  if (!target) {
    return -1;
  }
  target++;
  snprintf(req->method, sizeof(req->method), "%.*s",
           (int)strcspn(req->head, " "), req->head);
  snprintf(req->path, sizeof(req->path), "%.*s", (int)strcspn(target, " "),
           target);
  n = chunked ? loop_chunks(fd, req) : loop_exact(fd, req, length);
  req->body[req->body_size % sizeof(req->body)] = '\0';
  return n;
}

static inline void *loop_connection_main(void *context) {
  struct loop_connection connection = *(struct loop_connection *)context;
  struct loopback *server = connection.server;
  struct loop_request *req = calloc(1, sizeof(*req));
  int nth = 0;

  free(context);
  while (loop_read(connection.fd, req) == 0) {
    atomic_fetch_add(&server->requests, 1);
    if (strcmp(req->method, "POST") == 0) {
      atomic_fetch_add(&server->posts, 1);
    }
    if (!server->serve(server, connection.fd, req, ++nth)) {
      break;
    }
  }
  close(connection.fd);
  free(req);
  atomic_fetch_sub(&server->open, 1);
  return NULL;
}

static inline void *loop_main(void *context) {
  struct loopback *server = context;
  int fd;

  for (;;) {
    struct loop_connection *connection;
    pthread_t thread;

    fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 && (errno == EBADF || errno == EINVAL)) {
      return NULL; /* loop_stop */
    }
    if (fd < 0) {
      continue; /* a client that went away meanwhile */
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    connection = malloc(sizeof(*connection));
    atomic_fetch_add(&server->connections, 1);
    atomic_fetch_add(&server->open, 1);
    connection->server = server;
    connection->fd = fd;
    pthread_create(&thread, NULL, loop_connection_main, connection);
    pthread_detach(thread);
  }
}

/* Listens on a port that the system picks. */
static inline int loop_listen(unsigned *port) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof(address);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
      listen(fd, 512) || getsockname(fd, (struct sockaddr *)&address, &size)) {
    perror("listen");
    exit(2);
  }
  *port = ntohs(address.sin_port);
  return fd;
}

static inline void loop_start(struct loopback *server, loop_serve *serve) {
  memset(server, 0, sizeof(*server));
  server->serve = serve;
  server->fd = loop_listen(&server->port);
  pthread_create(&server->thread, NULL, loop_main, server);
}

/* The clients have to be gone, or going. */
static inline void loop_stop(struct loopback *server) {
  shutdown(server->fd, SHUT_RDWR);
  pthread_join(server->thread, NULL);
  close(server->fd);
  while (atomic_load(&server->open)) {
    sched_yield();
  }
}

#endif
