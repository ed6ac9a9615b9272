/* SPDX-License-Identifier: MIT */
#include "net/easy.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "net/auth_call.h"
#include "net/call.h"
#include "net/client.h"
#include "net/credential.h"
#include "net/engine.h"
#include "net/reuse.h"
#include "net/tls.h"
#include "net/transfer.h"
#include "net/wire.h"

#if LIBCURL_VERSION_NUM >= 0x075500 && !defined(FY_FORCE_OLD_CURL)
#define FY_HAVE_PROTOCOLS_STR
#endif

/* libcurl's connect timeout must never fire before ours: not the longest, nor
 * that of 300 s which it has by itself, where ours is less than OURS_IS_FIRST.
 */
static const long NO_TIMEOUT_MS = 1000L * 1000 * 1000;
static const fy_time OURS_IS_FIRST = 240 * FY_SECOND;

/* --- The pool ----------------------------------------------------------- */

static int is_plain(const struct freddy_call *call);

static void forget(CURL *easy) {
  curl_easy_reset(easy);
  /* Also when it is cleaned up: libcurl would change the process's SIGPIPE. */
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
}

int fy_easy_take(struct fy_transfer *transfer) {
  struct fy_engine *engine = transfer->engine;
  const struct freddy_call *call = transfer->call;

  if (!engine->pooled) {
    transfer->easy = curl_easy_init();
    return transfer->easy ? FREDDY_OK : FREDDY_ENOMEM;
  }
  engine->pooled--;
  transfer->easy = engine->pool[engine->pooled];
  transfer->easy_for = engine->pool_for[engine->pooled];
  if (transfer->easy_for &&
      (transfer->easy_for != call->client->serial || !is_plain(call))) {
    forget(transfer->easy);
    transfer->easy_for = 0;
  }
  return FREDDY_OK;
}

/* What is the transfer's own; `set_callbacks` sets the rest of that anew. */
static void forget_transfer(CURL *easy) {
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
  curl_easy_setopt(easy, CURLOPT_URL, NULL);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, NULL);
}

void fy_easy_give(struct fy_transfer *transfer) {
  struct fy_engine *engine = transfer->engine;
  CURL *easy = transfer->easy;

  if (engine->pooled == FY_MAX_POOL) {
    curl_easy_cleanup(easy);
    return;
  }
  if (transfer->easy_for && transfer->ended_well) {
    forget_transfer(easy);
  } else {
    forget(easy);
    transfer->easy_for = 0;
  }
  engine->pool[engine->pooled] = easy;
  engine->pool_for[engine->pooled] = transfer->easy_for;
  engine->pooled++;
}

void fy_easy_drop_pool(struct fy_engine *engine) {
  while (engine->pooled) {
    CURL *easy = engine->pool[--engine->pooled];

    forget(easy); /* its callbacks' data are gone */
    curl_easy_cleanup(easy);
  }
}

/* --- Headers ------------------------------------------------------------ */

static int is_bodiless(const char *method) {
  return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
         strcmp(method, "DELETE") == 0 || strcmp(method, "OPTIONS") == 0 ||
         strcmp(method, "TRACE") == 0;
}

static int sends_body(const struct fy_ask *ask) {
  return ask->secret_body || ask->sends_refresh || ask->body.sources ||
         !is_bodiless(ask->method);
}

/* Nothing is set for it but what each transfer sets, and what its client
 * has: the same for all plain requests of that client, and no secret. */
static int is_plain(const struct freddy_call *call) {
  const struct freddy_client *client = call->client;
  const struct fy_ask *ask = &call->ask;

  return strcmp(ask->method, "GET") == 0 && !sends_body(ask) &&
         !ask->target.localhost && !client->proxy && !client->tls.cert_file &&
         !client->tls.cert_blob;
}

static int has_header(const struct fy_ask *ask, const char *name) {
  const char *line = ask->headers;
  size_t size = strlen(name);

  for (size_t i = 0; i < ask->header_count; i++) {
    if (fy_header_name_is(line, strcspn(line, ":;"), name) &&
        strcspn(line, ":;") == size) {
      return 1;
    }
    line += strlen(line) + 1;
  }
  return 0;
}

/* Nodes of a curl_slist that borrow their text: libcurl only reads them. */
static struct curl_slist *add_node(struct curl_slist *nodes, size_t *count,
                                   const char *line) {
  struct curl_slist *node = &nodes[*count];

  node->data = (char *)(uintptr_t)line;
  node->next = NULL;
  if (*count > 0) {
    nodes[*count - 1].next = node;
  }
  (*count)++;
  return node;
}

/* Where none is sent, `carried` stays what it was: the redactor has to know
 * what was sent before a redirect to another origin. */
static int choose_credential(struct fy_transfer *transfer) {
  struct freddy_call *call = transfer->call;
  const struct fy_ask *ask = &call->ask;

  if (!ask->send_credential) {
    return FREDDY_OK;
  }
  fy_secret_unref(call->carried);
  call->carried = NULL;
  if (ask->key) {
    call->carried = fy_secret_ref(ask->key);
  } else if (call->session) {
    call->carried =
        fy_credential_current(call->session, &call->token_generation);
  } else {
    fy_client_kind(call->client, &call->carried);
  }
  return call->carried
             ? FREDDY_OK
             : fy_error_set(&transfer->error, FREDDY_EMISSING_CREDENTIALS,
                            NULL, "the client has no credential any more");
}

static int set_headers(struct fy_transfer *transfer) {
  struct freddy_call *call = transfer->call;
  const char *line = call->ask.headers;
  size_t count = 0;
  struct curl_slist *nodes =
      fy_calloc(call->ask.header_count + 6, sizeof(*nodes));

  if (!nodes) {
    return FREDDY_ENOMEM;
  }
  transfer->header_nodes = nodes;
  if (choose_credential(transfer) != FREDDY_OK) {
    return FREDDY_EMISSING_CREDENTIALS;
  }
  if (call->ask.send_credential) {
    add_node(nodes, &count, fy_secret_text(call->carried));
  }
  for (size_t i = 0; i < call->ask.header_count; i++) {
    add_node(nodes, &count, line);
    line += strlen(line) + 1;
  }
  add_node(nodes, &count, "Accept-Encoding: gzip");
  if (call->events && !has_header(&call->ask, "Accept")) {
    add_node(nodes, &count, "Accept: text/event-stream");
  }
  if (sends_body(&call->ask)) {
    /* What libcurl would add to a body by itself, and must not unasked. */
    add_node(nodes, &count, "Expect:");
    if (!has_header(&call->ask, "Content-Type")) {
      add_node(nodes, &count, "Content-Type:");
    }
  }
  curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, nodes);
  return FREDDY_OK;
}

/* --- The rest ----------------------------------------------------------- */

static void set_callbacks(struct fy_transfer *transfer) {
  CURL *easy = transfer->easy;

  curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL); /* see hear_errors */
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, fy_wire_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, fy_wire_write);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION,
                   fy_wire_resolver_start);
  curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, transfer);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, fy_wire_open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, fy_wire_close_socket);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, transfer->engine);
  curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, fy_reuse_comment);
  curl_easy_setopt(easy, CURLOPT_DEBUGDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, fy_wire_prereq);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, fy_wire_progress);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, transfer);
}

static void set_protocols(CURL *easy) {
#ifdef FY_HAVE_PROTOCOLS_STR
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS,
                   (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#pragma GCC diagnostic pop
#endif
}

/* A string option: libcurl copies it, and may have no memory for that. */
static int set_text(CURL *easy, CURLoption option, const char *text) {
  return curl_easy_setopt(easy, option, text) == CURLE_OK ? FREDDY_OK
                                                          : FREDDY_ENOMEM;
}

/* Basic only, and of ours: libcurl would keep copies of what it is given as
 * name and password. The header stands in what the proxy reads, and nowhere
 * else: in CONNECT, or beside the headers of a request that it forwards. */
static void set_proxy_header(struct fy_transfer *transfer,
                             const struct fy_proxy *proxy) {
  transfer->proxy_line = fy_secret_ref(proxy->basic);
  transfer->proxy_header.data =
      (char *)(uintptr_t)fy_secret_text(transfer->proxy_line);
  transfer->proxy_header.next = NULL;
  curl_easy_setopt(transfer->easy, CURLOPT_PROXYHEADER,
                   &transfer->proxy_header);
}

/* GSSAPI, which libcurl offers by default, would block. */
static int set_socks(CURL *easy, const struct fy_proxy *proxy) {
  curl_easy_setopt(easy, CURLOPT_SOCKS5_AUTH, (long)CURLAUTH_BASIC);
  if (!proxy->user) {
    return FREDDY_OK;
  }
  return set_text(easy, CURLOPT_PROXYUSERNAME, fy_secret_text(proxy->user)) ||
                 set_text(easy, CURLOPT_PROXYPASSWORD,
                          fy_secret_text(proxy->password))
             ? FREDDY_ENOMEM
             : FREDDY_OK;
}

/* The environment is not asked: neither for a proxy nor for exceptions. */
static int set_proxy(struct fy_transfer *transfer) {
  const struct freddy_client *client = transfer->call->client;
  const struct fy_proxy *proxy =
      transfer->call->ask.target.by_proxy ? client->proxy : NULL;
  CURL *easy = transfer->easy;

  if (set_text(easy, CURLOPT_PROXY, proxy ? proxy->url : "") ||
      set_text(easy, CURLOPT_NOPROXY, "")) {
    return FREDDY_ENOMEM;
  }
  if (!proxy) {
    return FREDDY_OK;
  }
  if (!fy_proxy_is_http(proxy)) {
    return set_socks(easy, proxy);
  }
  /* Ours are for the server, the credential above all. */
  curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
  curl_easy_setopt(easy, CURLOPT_PROXYAUTH, (long)CURLAUTH_NONE);
  if (proxy->basic) {
    set_proxy_header(transfer, proxy);
  }
  return proxy->scheme == FY_PROXY_HTTPS ? fy_tls_apply_proxy(transfer)
                                         : FREDDY_OK;
}

/* HTTP/2 by ALPN, and a burst waits for its first connection instead of
 * opening one each. But over HTTP/2 libcurl keeps up to its whole window of
 * a transfer that is paused, 33 MB: what may be is not sent that way. It also
 * (7.88 does, 8.14.1 not) takes a stream that the server reset for one that
 * ended, when the code is NO_ERROR or the connection is closed with it, and
 * these have often nothing but their end to tell that they are whole.
 *
 * Once a host was found to speak HTTP/2, libcurl 7.88 takes every connection
 * to it for one that many can share, and sends a second request down one of
 * HTTP/1.1 that is in use (tried: answers were mixed up). It keeps connections
 * apart whose TLS options differ, so that those of HTTP/1.1 name the highest
 * version, which it would have used anyway. */
static void set_version(struct fy_transfer *transfer) {
  const struct freddy_call *call = transfer->call;
  int http1 = call->ask.http1 > 0 ||
              (call->client->http1 && call->ask.http1 == 0) ||
              !call->ask.target.https || call->ask.save_to ||
              (call->ask.stream && !call->events);
  int wait = !http1 && !fy_lookups_is_haunted(transfer);

  curl_easy_setopt(
      transfer->easy, CURLOPT_HTTP_VERSION,
      http1 ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS);
  curl_easy_setopt(transfer->easy, CURLOPT_SSLVERSION,
                   (long)CURL_SSLVERSION_TLSv1_2 |
                       (http1 ? (long)CURL_SSLVERSION_MAX_TLSv1_3 : 0L));
  curl_easy_setopt(transfer->easy, CURLOPT_PIPEWAIT, wait ? 1L : 0L);
  curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT,
                   transfer->fresh ? 1L : 0L);
  curl_easy_setopt(transfer->easy, CURLOPT_FORBID_REUSE, 0L);
  curl_easy_setopt(transfer->easy, CURLOPT_VERBOSE, 0L); /* see net/reuse */
}

static void set_upload(struct fy_transfer *transfer) {
  CURL *easy = transfer->easy;

  fy_upload_init(&transfer->upload, transfer->call);
  curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, fy_wire_read);
  curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, fy_wire_seek);
  curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
                   (curl_off_t)transfer->call->ask.body.size);
}

/* Of the session as it is now: it may have been renewed while this waited. */
static int make_body(struct freddy_call *call) {
  fy_secret_unref(call->ask.secret_body);
  call->ask.secret_body = fy_auth_call_body(call->session);
  return call->ask.secret_body ? FREDDY_OK : FREDDY_ENOMEM;
}

static int set_body(struct fy_transfer *transfer) {
  const struct fy_ask *ask = &transfer->call->ask;
  CURL *easy = transfer->easy;

  if (ask->sends_refresh && make_body(transfer->call) != FREDDY_OK) {
    return FREDDY_ENOMEM;
  }
  if (ask->secret_body) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t)fy_secret_size(ask->secret_body));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                     fy_secret_text(ask->secret_body));
  } else if (fy_body_is_bytes(&ask->body)) {
    /* Nothing is copied, and nothing is asked for. */
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t)ask->body.size);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, ask->body.sources[0].data);
  } else if (ask->body.sources) {
    set_upload(transfer);
  } else if (sends_body(ask)) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
  } else if (strcmp(ask->method, "HEAD") == 0) {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    return FREDDY_OK; /* with a CUSTOMREQUEST libcurl waits for a body */
  }
  /* An upload has to be seen moving, and progress told. */
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS,
                   ask->body.sources || ask->progress ? 0L : 1L);
  if (!sends_body(ask) && strcmp(ask->method, "GET") == 0) {
    return FREDDY_OK; /* it is what a handle does by itself */
  }
  return set_text(easy, CURLOPT_CUSTOMREQUEST, ask->method);
}

static int pin_localhost(struct fy_transfer *transfer, unsigned port) {
  struct curl_slist *list;
  char entry[64];

  snprintf(entry, sizeof(entry), "localhost:%u:127.0.0.1,[::1]", port);
  list = curl_slist_append(transfer->resolve, entry);
  if (!list) {
    return FREDDY_ENOMEM;
  }
  transfer->resolve = list;
  curl_easy_setopt(transfer->easy, CURLOPT_RESOLVE, list);
  return FREDDY_OK;
}

/* localhost is pinned to loopback: no resolver may say otherwise. */
static int set_resolve(struct fy_transfer *transfer) {
  const struct fy_target *target = &transfer->call->ask.target;
  const struct fy_proxy *proxy = transfer->call->client->proxy;
  int rc = FREDDY_OK;

  if (target->localhost) {
    rc = pin_localhost(transfer, target->port);
  }
  if (rc == FREDDY_OK && target->by_proxy &&
      strcmp(proxy->host, "localhost") == 0) {
    rc = pin_localhost(transfer, proxy->port);
  }
  return rc;
}

static void set_engine(struct fy_transfer *transfer) {
  CURL *easy = transfer->easy;

  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_SHARE, transfer->engine->share);
  curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT,
                   (long)FY_DNS_CACHE_SECONDS);
}

void fy_easy_lift_limit(struct fy_transfer *transfer) {
  curl_easy_setopt(transfer->easy, CURLOPT_CONNECTTIMEOUT_MS, NO_TIMEOUT_MS);
}

/* Mostly libcurl is left to its own limit of 300 s, which is no timer. One
 * that is set stays among its timers to the end of the answer, and each read
 * of a socket has it sort those. */
static void set_connect_limit(struct fy_transfer *transfer) {
  if (transfer->call->ask.connect < OURS_IS_FIRST) {
    curl_easy_setopt(transfer->easy, CURLOPT_CONNECTTIMEOUT_MS, 0L);
  } else {
    fy_easy_lift_limit(transfer);
  }
}

/* What a handle keeps for the next plain request of this client. */
static int set_client(struct fy_transfer *transfer) {
  const struct freddy_client *client = transfer->call->client;

  set_engine(transfer);
  set_protocols(transfer->easy);
  if (set_text(transfer->easy, CURLOPT_USERAGENT, client->user_agent) ||
      fy_tls_apply(transfer) || set_proxy(transfer)) {
    return FREDDY_ENOMEM;
  }
  transfer->easy_for = is_plain(transfer->call) ? client->serial : 0;
  return FREDDY_OK;
}

int fy_easy_setup(struct fy_transfer *transfer) {
  if (!transfer->easy_for && set_client(transfer) != FREDDY_OK) {
    return FREDDY_ENOMEM;
  }
  set_callbacks(transfer);
  set_version(transfer);
  set_connect_limit(transfer);
  if (set_text(transfer->easy, CURLOPT_URL, transfer->call->ask.target.url) ||
      set_body(transfer) || set_headers(transfer) || set_resolve(transfer)) {
    return FREDDY_ENOMEM;
  }
  return FREDDY_OK;
}

void fy_easy_clear(struct fy_transfer *transfer) {
  curl_slist_free_all(transfer->resolve);
  transfer->resolve = NULL;
  fy_free(transfer->header_nodes);
  transfer->header_nodes = NULL;
  fy_secret_unref(transfer->proxy_line);
  fy_secret_unref(transfer->client_key);
  transfer->proxy_line = transfer->client_key = NULL;
}
