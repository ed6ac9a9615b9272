/* SPDX-License-Identifier: MIT */
/* Input: the bodies of one connection after another, with a 0x1E between
 * them. What is promised of each event holds, and of the end; members found
 * without parsing are those that a parser finds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/limits.h"
#include "rules/member.h"
#include "rules/turn.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char kind_of(const json_t *value) {
  if (!value) {
    return 0;
  }
  switch (json_typeof(value)) {
  case JSON_OBJECT:
    return '{';
  case JSON_ARRAY:
    return '[';
  case JSON_STRING:
    return '"';
  case JSON_TRUE:
    return 't';
  case JSON_FALSE:
    return 'f';
  case JSON_NULL:
    return 'n';
  default:
    return '0';
  }
}

static void check_members(const struct fy_sse_event *event) {
  static const char *const names[] = {"event", "thread_id", "id", "block"};
  struct fy_member members[4];
  /* Jansson passes over a NUL behind a number, which JSON does not allow. */
  json_t *parsed =
      memchr(event->data, 0, event->data_size)
          ? NULL
          : json_loadb(event->data, event->data_size, JSON_ALLOW_NUL, NULL);
  char text[64];
  int i, found;

  for (i = 0; i < 4; i++) {
    members[i].name = names[i];
  }
  found = fy_members_find(event->data, event->data_size, members, 4);
  MUST(!json_is_object(parsed) || found);
  for (i = 0; i < 4; i++) {
    const json_t *value = json_object_get(parsed, names[i]);
    long size = fy_member_text(&members[i], text, sizeof(text));

    MUST(!members[i].kind || (members[i].value.data >= event->data &&
                              members[i].value.data + members[i].value.size <=
                                  event->data + event->data_size));
    if (json_is_object(parsed)) {
      MUST(members[i].kind == kind_of(value));
    }
    if (json_is_string(value) && size >= 0) {
      MUST((size_t)size == json_string_length(value));
      MUST(!memcmp(text, json_string_value(value), (size_t)size));
    }
  }
  json_decref(parsed);
}

static void check_event(const struct fy_turn *turn,
                        const struct fy_sse_event *event,
                        const struct fy_turn_event *seen, int ended) {
  size_t i, sum = 0;

  for (i = 0; i < seen->name.size; i++) {
    sum += (unsigned char)seen->name.data[i];
  }
  MUST(sum || !seen->name.size || memchr(seen->name.data, 0, seen->name.size));
  MUST((seen->step == FY_TURN_DONE) ==
       (event->data_size == 6 && !memcmp(event->data, "[DONE]", 6)));
  MUST(!ended || seen->step == FY_TURN_SKIP || seen->step == FY_TURN_DONE);
  MUST(seen->step != FY_TURN_FAIL || seen->class == FY_TURN_ERROR);
  MUST(seen->step != FY_TURN_REFUSE || seen->status == 401);
  MUST(!seen->status || (seen->status >= 400 && seen->status <= 599));
  MUST(seen->tool >= -1 && seen->tool < FY_MAX_TOOL_CALLS);
  MUST(!seen->whole ||
       (turn->resumed && seen->class == FY_TURN_CONTENT && !seen->step));
  MUST(seen->tool < 0 || (size_t)seen->tool < turn->tool_count);
}

static void connection(struct fy_turn *turn, const char *body, size_t size) {
  struct fy_sse_event event = {.data = ""};
  struct fy_sse sse;

  fy_sse_init(&sse, FY_MIB);
  while (!fy_sse_next(&sse, &body, &size, &event, NULL) && event.data) {
    int ended = turn->terminal || turn->done || turn->failed;
    void *memory = malloc(fy_sse_packed_size(&event));
    struct fy_turn_event seen;

    fy_sse_pack(&event, memory);
    fy_sse_unpack(memory, &event);
    check_members(&event);
    MUST(!fy_turn_take(turn, &event, &seen));
    check_event(turn, &event, &seen, ended);
    free(memory);
  }
  fy_sse_clear(&sse);
}

static void check_path(const struct fy_turn *turn) {
  struct fy_buf path;
  size_t i;

  fy_buf_init(&path, FY_MAX_URL);
  MUST(!fy_turn_resume_path(turn, "/p", 2, &path));
  MUST(path.size > 10 && !memcmp(path.data, "/p/", 3));
  for (i = 3; i < path.size; i++) {
    MUST(path.data[i] > ' ' && path.data[i] < 0x7F);
  }
  MUST(!strstr(path.data, "/../") && !strstr(path.data, "/./"));
  fy_buf_clear(&path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *body = (const char *)data;
  struct fy_turn turn;
  const char *why;

  MUST(!fy_turn_init(&turn, "t", 1));
  while (size) {
    const char *end = memchr(body, 0x1E, size);
    size_t part = end ? (size_t)(end - body) : size;

    connection(&turn, body, part);
    body += end ? part + 1 : part;
    size -= end ? part + 1 : part;
    if (fy_turn_end(&turn, &why) != FY_TURN_RESUME) {
      MUST(!why == (fy_turn_end(&turn, &why) == FY_TURN_GOOD));
      break;
    }
    MUST(turn.tries < FY_TURN_TRIES);
    check_path(&turn);
    fy_turn_resume(&turn);
  }
  fy_turn_clear(&turn);
  return 0;
}
