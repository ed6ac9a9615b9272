/* SPDX-License-Identifier: MIT */
/* freddy: the public C API of the Freddy AI client.
 *
 * One engine thread per process does all I/O, or a thread that waits for it
 * (freddy_inbox_wait). Nothing here blocks except
 * freddy_inbox_wait and freddy_shutdown, and both say so. Functions of one
 * inbox, and of the calls that report to it, belong to one thread at a time;
 * clients may be shared between threads. Strings are NUL-terminated UTF-8
 * unless a length stands beside them. Every `free` takes NULL.
 *
 * After fork() the child starts an engine of its own at its first request.
 * A client that had posted nothing works in it; clients, inboxes and calls
 * that had answer FREDDY_EFORKED there.
 *
 * This header includes all of the API but what needs Lua (freddy_lua.h):
 * freddy_base.h has errors, freddy_session.h credentials and tokens,
 * freddy_rate.h limits and counters, freddy_decode.h what is decoded off the
 * caller's thread; the rest is here. */
#ifndef FREDDY_H
#define FREDDY_H

#include "freddy_base.h"
#include "freddy_decode.h"
#include "freddy_rate.h"
#include "freddy_session.h"

#define FREDDY_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that is linked, FREDDY_VERSION. Static. */
FREDDY_API const char *freddy_version(void);

/* --- Clients ------------------------------------------------------------ */

/* Seconds; 0 means the default, negative means none. */
typedef struct freddy_timeouts {
  double connect;    /* 10: DNS, TCP, proxy and TLS of one attempt */
  double first_byte; /* 120: from connected to the first byte */
  double stall;      /* 90: between bytes of the answer */
  double event;      /* 300: of an event stream, between events */
  double total;      /* 600: everything, from freddy_start; none for streams */
  double auth;       /* 30: a refresh or an exchange (of a client only) */
} freddy_timeouts;

/* All zero means the defaults. Every string is borrowed for the call only. */
typedef struct freddy_options {
  const char *base_url; /* NULL: https://api.freddy.aitronos.com */
  const char *api_key;  /* sent as `key_header`; at most one credential */
  const char *token;    /* sent as Authorization: Bearer */
  /* With `token`, or alone: a session. Its access token is renewed, through
   * POST refresh_path, before anyone sees it expired; clients with equal
   * settings and tokens share one. */
  const char *refresh_token;
  double expires_in; /* what is left of `token`'s life, in seconds; 0: what it
                        says itself (JWT exp), else an hour */
  int exchange;      /* 1: `api_key` is not sent with requests; it is exchanged
                        for a session, through POST token_path */
  const char *refresh_path; /* NULL: /v1/auth/refresh */
  const char *token_path;   /* NULL: /v1/auth/token */
  int provider; /* 1: a session, whose tokens come from the client's listener
                   (freddy_listen); no other credential beside it */
  double exit_wait; /* seconds that the process's exit waits for a refresh that
                       may have spent its token, where a listener's thread is
                       there to hear of the new one; 0: 2, negative: none */
  int keep_warm;    /* 1: renew also when no request asks for it */
  /* The path of a file that keeps the session, for this process and all others
   * that are given the same one: they renew it once. What it holds is newer
   * than `token` and `refresh_token`, which may be left out. Not with an
   * `api_key` that is not exchanged. NULL: the session is kept nowhere. */
  const char *store;
  const char *key_header; /* NULL: api-key */
  const char *user_agent; /* NULL: freddy/VERSION */
  /* PEM, the path of a file or text; each replaces the system's store, and
   * they exclude each other. Text is parsed for each connection anew. */
  const char *ca_file;
  const char *ca_blob;
  /* What the client shows of itself to its own server if that asks for it, and
   * to another origin only with FREDDY_AUTH_ALWAYS; never to proxies: the path
   * of a PEM file, or PEM text. The key may stand in the certificate's file
   * (client_key NULL), not in its text; it must not be encrypted. Files are
   * read when a connection is made. */
  const char *client_cert;
  const char *client_key;
  const char *proxy;    /* "http://user:password@host:port", or https, socks5
                           (looks names up here) or socks5h (there); what would
                           end a part of it percent-encoded. NULL: none, and none
                           from the environment */
  const char *no_proxy; /* what is reached without `proxy`: hosts, domains,
                           addresses, ranges ("10.0.0.0/8"), each but a range
                           with a port or without, or "*"; separated by
                           commas or blanks. NULL: nothing */
  const char *const *headers; /* name, value, ..., NULL: on every request */
  freddy_timeouts timeout;
  int http1;        /* 1: HTTP/1.1 only; 0: HTTP/2 where offered */
  size_t max_body;  /* decoded bytes; 0: 64 MiB */
  size_t buffer;    /* undrained bytes of a stream before the transfer
                       pauses; 0: 1 MiB. Of events, beyond the first one */
  size_t max_event; /* a line or an event of an event stream; 0: 16 MiB */
  int retries;      /* how often a request that failed is repeated at most; 0:
                       2, negative: never. See freddy_start */
  /* One limiter for all clients with the same base URL, credential and
   * limit. Requests that it holds back wait, first come, first served, 1,000
   * at most (FREDDY_EQUEUE_FULL), and at most as long as their `total`; a hold
   * known to be longer than 60 s is FREDDY_ERATE_LIMITED, reason held_back,
   * at once. Renewals of tokens are not counted. */
  freddy_rate_limit rate_limit;
  const char *plan_store; /* a plan in `rate_limit` is shared with other
                             processes by a store of this name, of which the
                             client's listener knows (FREDDY_NEED_PERMITS);
                             without a listener the client goes alone. NULL:
                             it is not */
  uint32_t max_in_flight; /* requests to one host at once; the others wait. 0:
                             64, over HTTP/2 256. Streams are counted apart,
                             256, or as many when this is more */
} freddy_options;

/* Make a client. Does no network I/O and starts no thread; the first client
 * of a process initialises libcurl. Refused with FREDDY_EMISUSE: a base URL
 * that is no URL, http to anything but loopback, two credentials, an empty
 * one, control characters anywhere, an unknown proxy scheme.
 *
 * opts  borrowed; NULL means all defaults (and no credential).
 * out   a new client, owned by the caller (freddy_client_free).
 * err   optional; filled on failure. */
FREDDY_API FREDDY_MUST_CHECK int freddy_client_new(const freddy_options *opts,
                                                   freddy_client **out,
                                                   freddy_error *err);

/* End every call of the client with FREDDY_ECLOSED and refuse new ones.
 * Posts only: never waits. May be repeated. */
FREDDY_API void freddy_client_close(freddy_client *client);

/* Close, then drop the caller's reference. Never waits. */
FREDDY_API void freddy_client_free(freddy_client *client);

/* Copy `text` with every secret that the client knows masked by "***": its
 * current credential, those it replaced while calls that carried them live,
 * and those given to single requests in flight.
 *
 * out   a new NUL-terminated buffer, owned by the caller (freddy_free).
 * Returns FREDDY_OK or FREDDY_ENOMEM. Never blocks on I/O. */
FREDDY_API FREDDY_MUST_CHECK int freddy_client_redact(freddy_client *client,
                                                      const char *text,
                                                      size_t size, char **out,
                                                      size_t *out_size);

/* Free what this API says is freed by it. */
FREDDY_API void freddy_free(void *memory);

/* --- Inboxes ------------------------------------------------------------ */

/* Where the events of calls arrive: one for each Lua state or C thread. */
FREDDY_API FREDDY_MUST_CHECK int freddy_inbox_new(freddy_inbox **out,
                                                  freddy_error *err);

/* Cancel every call that reports here, deliver nothing any more, and drop
 * the caller's reference. Never waits. */
FREDDY_API void freddy_inbox_free(freddy_inbox *inbox);

/* 1 when an event is waiting. One atomic load. */
FREDDY_API int freddy_inbox_ready(const freddy_inbox *inbox);

/* Block until an event is waiting or `seconds` have passed (negative: for
 * ever). Returns 1 when one is waiting, else 0. Signals do not end it.
 *
 * On Linux, where all calls in flight are those of this inbox, seven of them
 * at most other than event streams, this thread does the engine's work while
 * it waits, which saves waking another; not while a connection is being
 * opened, which takes too long. When it then does not come back, up to 32 ms
 * pass before the engine's thread takes over: what this thread starts
 * meanwhile leaves as late. While only event streams are in flight it is up to
 * 128 ms, by which their events are late then; but to start anything ends that
 * at once. A signal handler must not leave the wait by longjmp; signals are
 * blocked while there is work, for 10 ms at most. pthread_cancel has no effect
 * before it returns. It needs as much stack as libcurl and TLS do. */
FREDDY_API int freddy_inbox_wait(freddy_inbox *inbox, double seconds);

/* A descriptor that is readable while events wait. Owned by the inbox: only
 * poll it. The same one at each call; -1 (and `err`) when there is none to
 * be had. */
FREDDY_API int freddy_inbox_fd(freddy_inbox *inbox, freddy_error *err);

/* For hosts that wait on connections of their own and on nothing else, such
 * as nginx: listen at a port of 127.0.0.1 until the host has connected to it
 * and sent the secret. A bell that was open is closed before. Never blocks.
 *
 * port    gets the port
 * secret  gets FREDDY_BELL_SECRET characters and a zero; all of them are to
 *         be sent at once
 *
 * Returns FREDDY_OK, or FREDDY_ENOMEM when no socket is to be had, or
 * FREDDY_EFORKED. */
enum { FREDDY_BELL_SECRET = 32 };
FREDDY_API FREDDY_MUST_CHECK int freddy_inbox_bell_open(freddy_inbox *inbox,
                                                        int *port,
                                                        char *secret,
                                                        freddy_error *err);

/* 1 when the one who knows the secret has connected, and nothing listens any
 * more; 0 when not yet. Never blocks: ask again. */
FREDDY_API int freddy_inbox_bell_answer(freddy_inbox *inbox);

/* Have one byte sent at the next event. 1 when it will come; 0 when events
 * wait already, or nobody is connected. Never blocks. */
FREDDY_API int freddy_inbox_bell_arm(freddy_inbox *inbox);

/* Close the connection, and listen no more. Never blocks. */
FREDDY_API void freddy_inbox_bell_close(freddy_inbox *inbox);

/* 1 when the inbox was used by a process of which this one is a fork: it is
 * dead here, and a new one is needed. Any thread, never blocks. */
FREDDY_API int freddy_inbox_forked(const freddy_inbox *inbox);

typedef enum freddy_event_type {
  FREDDY_HEAD = 1,   /* streamed calls: status and headers are known */
  FREDDY_DATA,       /* streamed calls: a piece of the decoded body */
  FREDDY_EVENT,      /* calls with `events`: an event of the stream */
  FREDDY_PROGRESS,   /* calls with `progress`: the counters moved */
  FREDDY_RETRY,      /* calls with `retry_events`: it is sent once more */
  FREDDY_NEED_BODY,  /* calls with a reader: answer with its next bytes */
  FREDDY_NEW_TOKENS, /* listeners: the session has new tokens, or was ended */
  FREDDY_NEED_TOKEN, /* listeners that provide: answer with new tokens */
  FREDDY_NOT_KEPT,   /* listeners: what the session has now is not in its
                        store */
  FREDDY_NEED_PERMITS, /* listeners with permits: answer with some of the
                          store's */
  FREDDY_READY,        /* calls with `pull`: freddy_call_next has something */
  FREDDY_DONE          /* the last one, always, exactly once */
} freddy_event_type;

/* What an event of a turn is (freddy_request.turn). */
typedef enum freddy_class {
  FREDDY_NO_CLASS = 0, /* of any other stream */
  FREDDY_NOTE,         /* how it stands: created, context; unknown ones */
  FREDDY_CONTENT,      /* a piece of the answer */
  FREDDY_QUIET,        /* only that the connection lives: heartbeats */
  FREDDY_TERMINAL,     /* the answer is whole, or was cancelled */
  FREDDY_FAILURE       /* there will be no answer: the last event */
} freddy_class;

typedef struct freddy_event {
  freddy_event_type type;
  freddy_call *call; /* borrowed */
  void *user;        /* freddy_request.user */
  /* FREDDY_DATA: borrowed until the next freddy_inbox_next, or
   * freddy_inbox_free, of this inbox; also when the call is freed before. */
  const char *data;
  size_t size;
  /* FREDDY_EVENT: `data` is that of the event, all is borrowed as above, and
   * each text has a NUL behind it. Bytes that are no UTF-8 are passed on as
   * they are. */
  const char *name; /* its type; "message" when it has none */
  size_t name_size;
  const char *id; /* the last one that the stream gave; NULL: none yet */
  size_t id_size;
  int64_t retry; /* milliseconds; -1: not given with this event */
  /* From freddy_call_next: 1 when it has another one already. */
  int more;
  /* Of a turn: `name` is what the data say, where they do; and */
  freddy_class turn_class;
  int tool;  /* the call of a tool, from 0, of which it is a piece; -1 */
  int whole; /* 1: its text begins where the answer does: what has come of it
                is told once more */
  /* FREDDY_NEED_BODY: the id to answer, how many bytes at most, and which of
   * the request's parts is asked (0: the body_reader). */
  uint32_t question;
  size_t wanted;
  size_t part;
  /* FREDDY_NEW_TOKENS: the question to answer, and what is new, borrowed as
   * `data` is; NULL: the session was logged out. */
  const freddy_tokens *tokens;
  /* FREDDY_NEED_TOKEN: the question to answer, and "first", "expiring",
   * "expired" or "rejected" (static). */
  const char *why;
  /* FREDDY_NEED_PERMITS: the question to answer, and what is wanted; borrowed
   * as `data` is. */
  const freddy_ask_permits *permits;
  /* FREDDY_NOT_KEPT: FREDDY_EAUTH, store_failed; borrowed as `data` is. */
  const freddy_error *failure;
  /* FREDDY_PROGRESS: bytes of the bodies so far; a total is -1 while unknown.
   * `received` counts what a 2xx answer has on the wire, before decoding, as
   * its total does. Neither steps back, whatever is repeated; the last event
   * of a call that goes well has all four. */
  int64_t sent, send_total, received, receive_total;
  /* FREDDY_RETRY: how many attempts there were, the seconds until the next
   * one, and why the last one was not enough: a failure, or (code FREDDY_OK)
   * an answer of this status. Secrets are masked. Borrowed as `data` is. */
  int attempt;
  double delay;
  const freddy_error *cause;
  int status; /* also of a FREDDY_FAILURE: the one that it would have been */
} freddy_event;

/* Take the next event. Round-robin over the calls, so that a busy stream
 * starves nobody. Returns 1 and fills `event`, or 0 when there is none.
 * Never blocks. */
FREDDY_API int freddy_inbox_next(freddy_inbox *inbox, freddy_event *event);

/* --- Calls -------------------------------------------------------------- */

typedef enum freddy_auth {
  FREDDY_AUTH_DEFAULT = 0, /* to the client's own origin only */
  FREDDY_AUTH_OFF,         /* never */
  FREDDY_AUTH_ALWAYS       /* to another origin too: that of `path` */
} freddy_auth;

typedef enum freddy_source {
  FREDDY_BYTES = 0, /* of memory */
  FREDDY_FILE,
  FREDDY_READER /* asked for by FREDDY_NEED_BODY */
} freddy_source;

/* A piece of a body that has several: they are sent one after the other, with
 * nothing between them.
 *
 * A file is opened, read and closed on the I/O thread. What it is like is
 * looked at before anything is sent; the call ends with FREDDY_EBODY and
 * reason file_failed when it cannot be read, is no regular file, or has not
 * the same size when it is sent.
 *
 * A reader is asked in its turn, one question ahead of the network, and once
 * more after its last byte: with a `size` it must give exactly as many. A body
 * from which a reader has been asked is never sent again. */
typedef struct freddy_part {
  freddy_source source;
  const char *data; /* the bytes; a file's path; NULL for a reader */
  int64_t size;     /* of the bytes; of what a reader will give, -1: unknown;
                       not looked at for a file */
} freddy_part;

/* All zero but `method` and `path`. Everything is copied before
 * freddy_start returns, but `decoder`, which must outlive the process's use
 * of it (a static). */
typedef struct freddy_request {
  const char *method;         /* NULL: GET. A token (RFC 9110 9.1) */
  const char *path;           /* "/v1/models?limit=5", or a full URL */
  const char *const *headers; /* name, value, ..., NULL; win over the
                                 client's. Credential headers are refused */
  const char *body;           /* NULL: none. One body: this, a reader, or
                                 parts */
  size_t body_size;
  int body_reader;          /* 1: the body is asked for by FREDDY_NEED_BODY */
  int64_t reader_size;      /* of a reader body; -1: unknown, sent chunked (in
                               HTTP/2: without a length) */
  const freddy_part *parts; /* NULL: none. Without a length as well when one
                               of them is of unknown size */
  size_t part_count;        /* at most 4096 */
  freddy_auth auth;
  const char *api_key;     /* for this request, instead of the client's own;
                              NULL: the client's */
  freddy_timeouts timeout; /* 0 in a field: the client's */
  size_t max_body;         /* 0: the client's; none for what is saved or
                              streamed */
  const char *save_to;     /* the file for a 2xx answer's body; see below */
  int stream;              /* 1: FREDDY_HEAD and FREDDY_DATA as they come */
  int events;              /* 1: FREDDY_HEAD and FREDDY_EVENT; see below */
  int turn;           /* 1: with `events`: those of an answer; see below */
  const char *thread; /* with `turn`: the thread that the body names, by
                         which it can be resumed; NULL: none */
  int no_resume;      /* 1: it is not resumed; nor without `retries` */
  int pull;           /* 1: data and events: by freddy_call_next */
  int http1;      /* 1: HTTP/1.1; -1: HTTP/2 where offered; 0: the client's */
  int progress;   /* 1: FREDDY_PROGRESS as well */
  int retries;    /* 0: the client's; negative: none */
  int idempotent; /* 1: it may be sent twice whatever its method is.
                     All its attempts have the same Idempotency-Key,
                     a random UUID unless there is one in `headers` */
  int retry_events; /* 1: FREDDY_RETRY as well */
  int no_redirects; /* 1: a redirect is an answer like any other: it is not
                       followed, and no FREDDY_EREDIRECT */
  /* Texts in `body` that are secret, such as a password, then NULL; at most
   * 8. The redactor knows them while the call lives; body and answer (at most
   * 64 KiB of it) are kept out of reach and wiped when the call is freed. For
   * a body of bytes only. NULL: none. */
  const char *const *secrets;
  int refresh_token; /* 1: the body is {"refresh_token": "..."} with the one
                        that the session has when this is sent, else {} */
  const freddy_decoder *decoder; /* NULL: none */
  void *user;                    /* given back in every event */
} freddy_request;

/* Start sending `req` on `client`; its events arrive in `inbox`. Never
 * blocks.
 *
 * Redirects (301, 302, 303, 307, 308) are followed, five at most, and nothing
 * is told of them but the answer at their end. 303, and 301 and 302 on POST,
 * become a GET without body. Another origin gets no credential, no body and
 * no header but those that say what is wanted (Accept, Range...); a credential
 * is not sent again to where a redirect leads back. https never becomes http.
 * A redirect that is not followed is FREDDY_EREDIRECT.
 *
 * A request that failed is sent again, up to `retries` times: after a failure
 * to connect (but not one of a certificate, nor a proxy's refusal), and after
 * a 429, whatever its method is; after one that came later, a first_byte or
 * stall timeout, and 408, 500, 502, 503 and 504, if it is a GET, HEAD, PUT,
 * DELETE, OPTIONS or TRACE, or `idempotent`. Never when a reader was asked for
 * its body, nor once FREDDY_HEAD was told. The wait before it is random, at
 * most 0.5 s, then 1 s, 2 s... up to 8 s; behind a Retry-After, which for more
 * than 60 s ends the call instead. A 429 about a quota is not repeated, and
 * one without Retry-After once. A GET and its like whose connection had been
 * used before and ends without a byte is sent again at once, on a new one,
 * once, which counts for nothing here. All repeats of a client together may be
 * 50 more than a fifth of its successes: when that is spent, failures are
 * delivered as they come (retry_budget_empty).
 *
 * With `save_to` (a path, copied; one that does not begin with a slash starts
 * at the working folder of this moment) the decoded body of a 2xx answer goes
 * into that file, whatever its size: at once and whole, when all of it has
 * come and the disk has it, just before FREDDY_DONE. Until then, and whenever
 * the call ends with an error, an old file of that name is as it was, and
 * nothing else is left in its folder (but for a process that is killed, on a
 * file system without O_TMPFILE). The new file has the permissions of the one
 * it replaces, else those that the umask allows; something there that is no
 * regular file, a symbolic link too, is refused. A body of no bytes, and a
 * 204, give an empty file. An answer that is not 2xx has its body in memory
 * and touches no file. Where the file cannot be had the call ends with
 * FREDDY_EBODY, reason save_failed. At most `buffer` bytes wait to be
 * written; then the transfer pauses, and that time is no stall. With
 * `save_to` and with `stream` HTTP/1.1 is spoken. Not for HEAD, nor together
 * with `stream`.
 *
 * With `events` a 2xx answer has to be an event stream (HTML standard, 9.2):
 * any other is FREDDY_EPROTOCOL, reason not_an_event_stream; its body is there
 * if it is JSON. The stream ends well where its body does. `max_event` and
 * timeouts.event bound it: for the latter comments do not count, nor the time
 * in which events wait to be taken. Where HTTP/2 is spoken libcurl may keep
 * some 32 MB more of a stream that nobody takes. Accept is sent, unless
 * `headers` has one. Not for HEAD, nor with `stream`.
 *
 * With `turn` as well the events are those that answer POST
 * /v1/model/response, of any generation of the API: named, classed and, where
 * they are pieces of calls of tools, put together by numbers. It ends well
 * with [DONE], which is no event, or behind a FREDDY_TERMINAL one, however the
 * body ends; behind a FREDDY_FAILURE it ends without error, too. Otherwise it
 * is resumed, if it has told its thread: by a GET of PATH/{thread}/stream with
 * the number of the last event, up to five times in a row that bring nothing
 * new, with a wait as between repeats; events that were given are not given
 * again. Where it cannot be the call ends with FREDDY_ECUT, and `cause` is
 * "no_thread", "tries", "not_found", "unauthorized", "refused" or "off". The
 * POST is never repeated; but a FREDDY_FAILURE with 401 that is the first that
 * is heard renews the token as a 401 does. An answer that is JSON instead is
 * an answer like any other, without FREDDY_HEAD.
 *
 * out   a new call, owned by the caller (freddy_call_free).
 * err   optional; filled on failure.
 *
 * Returns FREDDY_OK, or FREDDY_EMISUSE, FREDDY_EMISSING_CREDENTIALS,
 * FREDDY_EBODY (`save_to` is no path that can be), FREDDY_ECLOSED,
 * FREDDY_EFORKED, FREDDY_EQUEUE_FULL, FREDDY_ENOMEM: then nothing was sent and
 * no event follows. */
FREDDY_API FREDDY_MUST_CHECK int freddy_start(freddy_client *client,
                                              freddy_inbox *inbox,
                                              const freddy_request *req,
                                              freddy_call **out,
                                              freddy_error *err);

/* A call that does nothing but end (FREDDY_DONE, no error) after `seconds`.
 * For hosts that sleep on the same inbox. Never blocks. */
FREDDY_API FREDDY_MUST_CHECK int freddy_start_timer(freddy_inbox *inbox,
                                                    double seconds, void *user,
                                                    freddy_call **out,
                                                    freddy_error *err);

/* End the call in whatever phase it is. FREDDY_DONE with FREDDY_ECANCELLED
 * is in the inbox before this returns, unless the call had ended already, or
 * is in the moment of putting its `save_to` in place.
 * Never blocks; may be repeated. */
FREDDY_API void freddy_call_cancel(freddy_call *call);

/* Take the next FREDDY_DATA or FREDDY_EVENT of a call that was made with
 * `pull` from the call itself: what nobody takes holds up this answer's
 * server, and nothing else in the inbox. 1, and `event` is filled, its data
 * borrowed until the next freddy_call_next or freddy_call_free of this call.
 * Or 0 when there is nothing (more): then FREDDY_READY is in the inbox when
 * there is, and timeouts.event counts from here on. What was there before
 * FREDDY_DONE can be taken after it. Never blocks. */
FREDDY_API int freddy_call_next(freddy_call *call, freddy_event *event);

/* Answer a FREDDY_NEED_BODY. `data` is copied. size 0 with data not NULL is
 * the end of the reader; data NULL: the reader failed, and the call ends with
 * FREDDY_EBODY. An answer to a question that is no longer asked is dropped.
 * Returns FREDDY_OK, FREDDY_EMISUSE (more than was wanted), FREDDY_ENOMEM. */
FREDDY_API int freddy_call_answer(freddy_call *call, uint32_t question,
                                  const char *data, size_t size);

/* Drop the caller's reference; a call still in flight is cancelled and
 * delivers nothing more. Never waits. */
FREDDY_API void freddy_call_free(freddy_call *call);

/* 1 once FREDDY_DONE was taken from the inbox. */
FREDDY_API int freddy_call_done(const freddy_call *call);

/* What follows is valid after FREDDY_DONE (status and headers: from
 * FREDDY_HEAD on) and borrowed until the call is freed. */

/* Why there is no whole answer; NULL when there is one. */
FREDDY_API const freddy_error *freddy_call_error(const freddy_call *call);

/* Why the call was sent once more the last time, or was about to be when its
 * `total` ran out: a failure, or (code FREDDY_OK) an answer of `*status`
 * (optional). Secrets are masked. NULL when nothing was to be repeated, or the
 * call was cancelled. */
FREDDY_API const freddy_error *freddy_call_last(const freddy_call *call,
                                                int *status);

/* The status, or 0 when none arrived. Present beside an error as well, when
 * the answer failed after its head. */
FREDDY_API int freddy_call_status(const freddy_call *call);

/* Header `index` in order of arrival, or 0 past the end. Trailers are kept
 * apart and not given here. */
FREDDY_API int freddy_call_header(const freddy_call *call, size_t index,
                                  const char **name, const char **value);

/* The first value of header `name` (case ignored), or NULL. */
FREDDY_API const char *freddy_call_header_get(const freddy_call *call,
                                              const char *name);

/* The decoded body of a call that was neither streamed nor saved, else "";
 * never NULL, and NUL-terminated for convenience. */
FREDDY_API const char *freddy_call_body(const freddy_call *call, size_t *size);

/* The decoder's document, or NULL when it was not asked, or failed (then
 * `err`, optional, is filled). Owned by the call. */
FREDDY_API void *freddy_call_document(const freddy_call *call,
                                      freddy_error *err);

typedef struct freddy_stats {
  double dns, connect, tls, first_byte, total; /* seconds from the start of
                       the last attempt; `total` from freddy_start */
  double waited; /* seconds in line, for the rate limit or for a place on the
                    host, before all attempts */
  int attempts;  /* 1 and up, with each repeat; 0 when it never came
                    to one. Following a redirect is none */
  int http_version;       /* 10, 11, 20; 0 when unknown */
  int reused;             /* 1: on a connection that was open already */
  int64_t sent, received; /* body bytes on the wire */
  int64_t saved;          /* bytes of the file at `save_to` */
  double retry_after; /* of a failed answer: seconds that it asks to wait; -1:
                         it does not, or not in a way that can be read */
  int retry_budget_empty; /* 1: not repeated only because the client has used
                             up its budget for that */
  int unreplayed; /* 1: a 401 for which the session's token is renewed, but
                     whose body cannot be sent again */
  int body_cut;   /* 1: of an answer with status 400 or more, which counts as
                     one although its body is not whole */
} freddy_stats;

/* Before FREDDY_DONE only `attempts` so far, and after FREDDY_HEAD
 * `http_version`. */
FREDDY_API void freddy_call_stats(const freddy_call *call,
                                  freddy_stats *stats);

/* 1 when any byte of the request may have left, in any attempt so far; never
 * blocks. Ended or not; what a call that was cancelled tells stays. */
FREDDY_API int freddy_call_sent(const freddy_call *call);

/* The URL that was asked for; from FREDDY_HEAD or FREDDY_DONE on that of the
 * answer, where redirects led to. Of a failed call, secrets that a server put
 * into it are masked. Borrowed until the call is freed. */
FREDDY_API const char *freddy_call_url(const freddy_call *call);

/* --- The process -------------------------------------------------------- */

typedef struct freddy_engine_stats {
  uint64_t requests, attempts, failures; /* since the engine started */
  uint64_t connections_opened, connections_reused;
  uint64_t bytes_sent, bytes_received;
  uint32_t in_flight, parked_lookups, waiting; /* now */
} freddy_engine_stats;

/* All zero when no engine runs. Never blocks on I/O. */
FREDDY_API void freddy_engine_stats_get(freddy_engine_stats *stats);

/* End all calls with FREDDY_ECLOSED, stop and join the engine and the I/O
 * thread and free what they own. Blocks, for at most as long as one turn of
 * the engine. For hosts and leak checkers that want the threads gone; a
 * later request starts a new engine. No other thread may use the library
 * meanwhile. */
FREDDY_API void freddy_shutdown(void);

#ifdef __cplusplus
}
#endif
#endif
