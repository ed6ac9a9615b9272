/* SPDX-License-Identifier: MIT */
#include "rules/turn.h"

#include <inttypes.h>
#include <string.h>

#include "base/ascii.h"
#include "base/limits.h"
#include "rules/auth_code.h"
#include "rules/member.h"

/* --- Names -------------------------------------------------------------- */

static int is(struct fy_span name, const char *text) {
  return name.size == strlen(text) && memcmp(name.data, text, name.size) == 0;
}

static int begins(struct fy_span name, const char *text) {
  return name.size >= strlen(text) &&
         memcmp(name.data, text, strlen(text)) == 0;
}

static int is_any(struct fy_span name, const char *const *texts) {
  for (; *texts; texts++) {
    if (is(name, *texts)) {
      return 1;
    }
  }
  return 0;
}

static enum fy_turn_class class_of(struct fy_span name) {
  static const char *const quiet[] = {"response.heartbeat",
                                      "heartbeat",
                                      "response.ping",
                                      "ping",
                                      "response.keepalive",
                                      "keepalive",
                                      NULL};
  static const char *const terminal[] = {
      "response.completed", "response.cancelled", "response.incomplete", NULL};
  static const char *const error[] = {"response.error", "response.failed",
                                      "error", NULL};
  static const char *const content[] = {
      "response.content",       "response.output_", "response.block",
      "response.reasoning",     "reasoning.",       "response.tool",
      "response.function_call", "response.refusal", NULL};
  const char *const *prefix;

  if (is_any(name, quiet)) {
    return FY_TURN_QUIET;
  }
  if (is_any(name, terminal)) {
    return FY_TURN_TERMINAL;
  }
  if (is_any(name, error)) {
    return FY_TURN_ERROR;
  }
  for (prefix = content; *prefix; prefix++) {
    if (begins(name, *prefix)) {
      return FY_TURN_CONTENT;
    }
  }
  return FY_TURN_NOTE;
}

/* The name that the JSON gives, else that of the event line. */
static struct fy_span name_of(struct fy_turn *turn,
                              const struct fy_member *member,
                              const struct fy_sse_event *event) {
  struct fy_span line = {.data = event->event, .size = event->event_size};
  long size;

  if (member->kind != '"') {
    return line;
  }
  if (!memchr(member->value.data, '\\', member->value.size)) {
    return member->value;
  }
  size = fy_member_text(member, turn->name, sizeof(turn->name));
  return size < 0 ? line
                  : (struct fy_span){.data = turn->name, .size = (size_t)size};
}

/* What is looked for in the data of an event. */
enum { EVENT, THREAD, THREAD_OLD, DELTA, SOURCE, MEMBERS };

/* --- Where it stands ---------------------------------------------------- */

int fy_turn_init(struct fy_turn *turn, const char *thread, size_t size) {
  memset(turn, 0, sizeof(*turn));
  turn->last_id = turn->resumed_after = -1;
  fy_buf_init(&turn->thread, FY_MAX_THREAD_ID);
  return thread && size && size <= FY_MAX_THREAD_ID
             ? fy_buf_add(&turn->thread, thread, size)
             : FREDDY_OK;
}

void fy_turn_clear(struct fy_turn *turn) {
  fy_buf_clear(&turn->thread);
  fy_turn_tools_clear(turn);
}

/* The latest that is told holds. One that makes no sense in a path is as good
 * as none. */
static int note_thread(struct fy_turn *turn, const struct fy_member *member) {
  char text[FY_MAX_THREAD_ID + 5];
  long size = fy_member_text(member, text, sizeof(text));
  long i;

  if (size <= 0 || size > FY_MAX_THREAD_ID) {
    return FREDDY_OK;
  }
  for (i = 0; i < size; i++) {
    if (fy_is_control(text[i])) {
      return FREDDY_OK;
    }
  }
  turn->thread.size = 0;
  return fy_buf_add(&turn->thread, text, (size_t)size);
}

/* The event's own id where it is a number, as the service numbers them; -1. */
static int64_t number_of(const struct fy_sse_event *event) {
  struct fy_member id = {.kind = '0',
                         .value = {.data = event->id, .size = event->id_size}};

  return event->own_id && event->id_size ? fy_member_number(&id) : -1;
}

static int skip(struct fy_turn *turn) {
  if (turn->to_skip) {
    turn->to_skip--;
    return 1;
  }
  return 0;
}

/* By id where there are ids: one without is as old as the one before it, and
 * behind the last of them it is a matter of position. As it is without ids. */
static int was_given(struct fy_turn *turn, int64_t id) {
  if (!turn->resumed) {
    return 0;
  }
  if (turn->resumed_after < 0) {
    return skip(turn);
  }
  if (id >= 0) {
    turn->at = id;
    return id <= turn->resumed_after;
  }
  return turn->at < turn->resumed_after ||
         (turn->at == turn->resumed_after && skip(turn));
}

static void count(struct fy_turn *turn, int64_t id) {
  turn->given++;
  turn->since = id >= 0 ? 0 : turn->since + 1;
  turn->tries = 0;
  if (id > turn->last_id) {
    turn->last_id = id;
  }
}

/* A server that has no events any more makes up some from what it has saved,
 * without numbers and with all the text in one. That is known by where it
 * stands: as the first of a connection, in a stream whose texts are numbered;
 * or larger than all that had come, and so none of that. */
static int is_made_up(const struct fy_turn *turn, int64_t id, size_t size,
                      const struct fy_member *source) {
  if (!turn->resumed || turn->told || !size || id >= 0) {
    return 0;
  }
  return turn->resumed_after < 0
             ? size > turn->text && (turn->to_skip || turn->text)
             : !turn->unnumbered && fy_member_is(source, "replay");
}

/* How much text is in it. */
static size_t text_in(struct fy_span name, const struct fy_member *delta) {
  return delta->kind == '"' && (is(name, "response.content_delta") ||
                                is(name, "response.output_text.delta"))
             ? delta->value.size
             : 0;
}

/* An error; what comes before the server has begun to answer, and speaks of
 * authentication, is the answer that it would have given with a 401. */
static void see_error(struct fy_turn *turn, const struct fy_sse_event *event,
                      struct fy_turn_event *out) {
  out->status = fy_turn_status(event->data, event->data_size);
  out->step = out->status == 401 &&
                      !(turn->resumed ? turn->opened : turn->begun) &&
                      fy_auth_code_renews(event->data, event->data_size)
                  ? FY_TURN_REFUSE
                  : FY_TURN_FAIL;
  turn->failed = 1;
}

static int see_content(struct fy_turn *turn, const struct fy_sse_event *event,
                       struct fy_turn_event *out) {
  struct fy_span json = {.data = event->data, .size = event->data_size};

  turn->begun = 1;
  out->tool = fy_turn_tool_slot(turn, out->name, json);
  return out->tool == -2 ? FREDDY_ENOMEM : FREDDY_OK;
}

/* 1 when it is new. */
static int see_new(struct fy_turn *turn, int64_t id,
                   const struct fy_member *delta,
                   const struct fy_member *source, struct fy_turn_event *out) {
  size_t text = text_in(out->name, delta);

  turn->opened = 1;
  out->whole = is_made_up(turn, id, text, source);
  turn->told |= text > 0;
  if (out->whole) {
    turn->to_skip = 0;
  } else if (was_given(turn, id)) {
    out->step = FY_TURN_SKIP;
    return 0;
  }
  count(turn, id);
  turn->text = out->whole ? text : turn->text + text;
  turn->unnumbered |= text > 0 && id < 0;
  return 1;
}

static int see(struct fy_turn *turn, const struct fy_sse_event *event,
               const struct fy_member *members, struct fy_turn_event *out) {
  int64_t id = number_of(event);

  switch (out->class) {
  case FY_TURN_QUIET:
    return FREDDY_OK;
  case FY_TURN_ERROR:
    see_error(turn, event, out);
    return FREDDY_OK;
  case FY_TURN_TERMINAL: /* never a repeat: it would have been the end */
    turn->terminal = turn->begun = 1;
    count(turn, id);
    return FREDDY_OK;
  default:
    break;
  }
  if (!see_new(turn, id, &members[DELTA], &members[SOURCE], out)) {
    return FREDDY_OK;
  }
  if (is(out->name, "response.created")) {
    turn->begun = 1;
  }
  return out->class == FY_TURN_CONTENT ? see_content(turn, event, out)
                                       : FREDDY_OK;
}

int fy_turn_take(struct fy_turn *turn, const struct fy_sse_event *event,
                 struct fy_turn_event *out) {
  static const char done[] = "[DONE]";
  struct fy_member members[MEMBERS] = {[EVENT] = {.name = "event"},
                                       [THREAD] = {.name = "thread_id"},
                                       [THREAD_OLD] = {.name = "threadId"},
                                       [DELTA] = {.name = "delta"},
                                       [SOURCE] = {.name = "source"}};
  int rc = FREDDY_OK;

  fy_members_find(event->data, event->data_size, members, MEMBERS);
  out->name = name_of(turn, &members[EVENT], event);
  out->class = class_of(out->name);
  out->step = FY_TURN_GIVE;
  out->status = 0;
  out->tool = -1;
  out->whole = 0;
  if (event->data_size == sizeof(done) - 1 &&
      memcmp(event->data, done, sizeof(done) - 1) == 0) {
    turn->done = 1;
    out->class = FY_TURN_TERMINAL;
    out->step = FY_TURN_DONE;
    return FREDDY_OK;
  }
  if (turn->done || turn->terminal || turn->failed) {
    out->step = FY_TURN_SKIP;
    return FREDDY_OK;
  }
  rc = note_thread(turn, &members[members[THREAD].kind ? THREAD : THREAD_OLD]);
  return rc ? rc : see(turn, event, members, out);
}

/* --- The end, and beyond ------------------------------------------------ */

enum fy_turn_end fy_turn_end(const struct fy_turn *turn, const char **why) {
  *why = NULL;
  if (turn->failed) {
    *why = "failed";
    return FY_TURN_CUT;
  }
  if (turn->done || turn->terminal) {
    return FY_TURN_GOOD;
  }
  if (!turn->thread.size) {
    *why = "no_thread";
    return FY_TURN_CUT;
  }
  if (turn->tries >= FY_TURN_TRIES) {
    *why = "tries";
    return FY_TURN_CUT;
  }
  return FY_TURN_RESUME;
}

int fy_turn_resume_path(const struct fy_turn *turn, const char *path,
                        size_t size, struct fy_buf *out) {
  int rc = fy_buf_add(out, path, size);

  if (!rc) {
    rc = fy_buf_adds(out, "/");
  }
  if (!rc) {
    rc = fy_url_encode(turn->thread.data, turn->thread.size, out);
  }
  if (!rc) {
    rc = fy_buf_adds(out, "/stream");
  }
  if (!rc && turn->last_id >= 0) {
    rc = fy_buf_addf(out, "?last_event_id=%" PRId64, turn->last_id);
  }
  return rc;
}

void fy_turn_resume(struct fy_turn *turn) {
  turn->resumed = 1;
  turn->tries++;
  turn->resumed_after = turn->at = turn->last_id;
  turn->to_skip = turn->last_id < 0 ? turn->given : turn->since;
  turn->opened = turn->told = turn->failed = 0;
}

int fy_turn_may_try_again(int status) {
  return status == 408 || status == 429 || (status >= 500 && status <= 599);
}
