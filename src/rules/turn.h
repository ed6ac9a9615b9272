/* SPDX-License-Identifier: MIT */
/* A turn: the stream of events that answers POST /v1/model/response, in the
 * three generations that the API has had (G1: names on `event:` lines, no
 * [DONE]; G2 and G3: names in the JSON). What each event is, when the answer
 * has ended, and how it goes on when the connection does not. Pure: no I/O,
 * no clock, no thread of its own. */
#ifndef FY_RULES_TURN_H
#define FY_RULES_TURN_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "rules/sse.h"
#include "rules/url.h"

enum fy_turn_class {
  FY_TURN_NOTE,     /* how it stands: created, context; and all unknown ones */
  FY_TURN_CONTENT,  /* a piece of the answer: text, reasoning, blocks, calls */
  FY_TURN_QUIET,    /* says nothing but that the connection lives */
  FY_TURN_TERMINAL, /* completed, cancelled */
  FY_TURN_ERROR
};

/* What is to be done with an event. */
enum fy_turn_step {
  FY_TURN_GIVE,  /* hand it out */
  FY_TURN_SKIP,  /* it was handed out before the connection broke, or came
                    after the end */
  FY_TURN_DONE,  /* [DONE]: hand nothing out; there is nothing more to come */
  FY_TURN_FAIL,  /* hand it out: the answer ends with it, as a failure */
  FY_TURN_REFUSE /* FAIL; but when a token can be renewed, this is the 401 of
                    the request, which may be sent once more: of the POST with
                    a turn that is new (see `begun`), or of a try to go on,
                    after fy_turn_resume */
};

struct fy_turn_event {
  struct fy_span name; /* the JSON field `event`, else the event line */
  enum fy_turn_class class;
  enum fy_turn_step step;
  int status; /* FY_TURN_ERROR: the HTTP status that it would have been */
  int tool;   /* which call of a tool, from 0, it is a piece of; -1: none */
  int whole;  /* 1: a piece of text that begins where the answer does, though
                 some of it may have been given */
};

struct fy_turn_tool;

struct fy_turn {
  int begun;    /* 1: response.created or content has come. Events before that
                   may have to be taken back (FY_TURN_REFUSE), and are better
                   held until then where a token can be renewed */
  int terminal; /* 1: a terminal event has come */
  int done;     /* 1: [DONE] has come */
  int failed;   /* 1: an error event has come */
  int tries;    /* connections in a row that brought nothing new */
  /* Private: */
  char name[64]; /* of the event at hand, where it was written with escapes */
  struct fy_buf thread;
  int resumed;     /* 1: this connection is not the first */
  int64_t last_id; /* the largest id handed out; -1: none, or no number */
  int64_t resumed_after; /* last_id when this connection began */
  uint64_t given;        /* events handed out, quiet ones left aside */
  uint64_t since;        /* of them, those behind the last number */
  uint64_t to_skip;      /* of this connection, that have no number */
  int64_t at;            /* the number in force on this connection */
  int opened;            /* 1: an event has come on this connection */
  int told;              /* 1: so has a piece of text */
  int unnumbered;        /* 1: pieces of text were handed out without one */
  uint64_t text;         /* bytes of text, as in the JSON, handed out */
  struct fy_turn_tool *tools;
  size_t tool_count, tool_room;
};

enum { FY_TURN_TRIES = 5 };

/* A new turn. `thread`: the thread that the request named, so that it can be
 * resumed even where no event tells; NULL: none. FREDDY_OK or FREDDY_ENOMEM,
 * then it must not be used. */
FREDDY_MUST_CHECK int fy_turn_init(struct fy_turn *turn, const char *thread,
                                   size_t size);

/* The next event of the stream. `out` is filled; its name is borrowed, from
 * the event, or until the next call. FREDDY_OK or FREDDY_ENOMEM. */
FREDDY_MUST_CHECK int fy_turn_take(struct fy_turn *turn,
                                   const struct fy_sse_event *event,
                                   struct fy_turn_event *out);

/* The connection has ended, whether the body was whole or broke off. GOOD:
 * the answer was whole; RESUME; CUT: it is not whole, and cannot be resumed:
 * `why` is "no_thread" (it is not known by which name) or "tries" (there was
 * nothing new in five connections). After an error event: CUT, "failed". */
enum fy_turn_end { FY_TURN_GOOD, FY_TURN_RESUME, FY_TURN_CUT };
enum fy_turn_end fy_turn_end(const struct fy_turn *turn, const char **why);

/* What to GET to go on: `path`, that of the POST, with "/{thread}/stream" and,
 * where events are numbered, "?last_event_id=N" behind it. Only after
 * FY_TURN_RESUME. FREDDY_OK, FREDDY_ETOO_LARGE or FREDDY_ENOMEM. */
FREDDY_MUST_CHECK int fy_turn_resume_path(const struct fy_turn *turn,
                                          const char *path, size_t size,
                                          struct fy_buf *out);

/* A try to go on begins: its events are to be given to fy_turn_take. */
void fy_turn_resume(struct fy_turn *turn);

/* 1 when a try that was answered with `status` may be followed by another. */
int fy_turn_may_try_again(int status);

void fy_turn_clear(struct fy_turn *turn);

/* The HTTP status that an error event would have had: what it says itself, as
 * a number, else by its code, else by its type; 500 when that tells nothing.
 * Codes of the API are known, and the words that they are made of. */
int fy_turn_status(const char *json, size_t size);

/* Which call of a tool a content event is a piece of: a slot, from 0, the same
 * for all pieces of one call; -1: none, or more of them than anybody would
 * ask for; -2: no memory. Known by its ids, else its index, else it belongs
 * to the latest one. */
int fy_turn_tool_slot(struct fy_turn *turn, struct fy_span name,
                      struct fy_span json);
void fy_turn_tools_clear(struct fy_turn *turn);

#endif
