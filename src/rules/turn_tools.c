/* SPDX-License-Identifier: MIT */
/* Which pieces of a stream belong to one call of a tool. */
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "rules/member.h"
#include "rules/turn.h"

enum { LONGEST_ID = 256, IDS = 2 };

/* A call, by what its pieces can be known. */
struct fy_turn_tool {
  char *ids[IDS]; /* "id" and "call_id", where they differ; NULL: none */
  int64_t index;  /* -1: none */
};

/* What a piece says of the call that it belongs to. */
struct piece {
  char ids[IDS][LONGEST_ID];
  size_t id_count;
  int64_t index;
  int is_named; /* 1: it says which function is called */
};

static int is_call(const struct fy_member *type) {
  return fy_member_is(type, "tool_call") ||
         fy_member_is(type, "function_call") || fy_member_is(type, "mcp_call");
}

static void note_id(struct piece *piece, const struct fy_member *member) {
  size_t i;

  if (piece->id_count == IDS ||
      fy_member_text(member, piece->ids[piece->id_count], LONGEST_ID) <= 0) {
    return;
  }
  for (i = 0; i < piece->id_count; i++) {
    if (strcmp(piece->ids[i], piece->ids[piece->id_count]) == 0) {
      return;
    }
  }
  piece->id_count++;
}

/* The members of an object that is about a call. */
static void read_call(struct piece *piece, struct fy_span json) {
  struct fy_member members[] = {{.name = "id"},      {.name = "call_id"},
                                {.name = "item_id"}, {.name = "tool_call_id"},
                                {.name = "index"},   {.name = "output_index"},
                                {.name = "name"},    {.name = "tool_name"}};
  int64_t index;
  size_t i;

  fy_members_find(json.data, json.size, members, 8);
  for (i = 0; i < 4; i++) {
    note_id(piece, &members[i]);
  }
  index = fy_member_number(&members[members[4].kind ? 4 : 5]);
  piece->index = index >= 0 ? index : piece->index;
  piece->is_named |= members[6].kind == '"' || members[7].kind == '"';
}

static int begins(struct fy_span name, const char *text) {
  return name.size >= strlen(text) &&
         memcmp(name.data, text, strlen(text)) == 0;
}

/* 1 when the event is about a call: its block or its item, or, by its name,
 * it itself. */
static int read_piece(struct piece *piece, struct fy_span name,
                      struct fy_span json) {
  struct fy_member inner[] = {{.name = "block"}, {.name = "item"}};
  int by_name = begins(name, "response.function_call") ||
                begins(name, "response.tool_call");
  int found = 0;
  size_t i;

  piece->index = -1;
  fy_members_find(json.data, json.size, inner, 2);
  for (i = 0; i < 2; i++) {
    struct fy_member type = {.name = "type"};

    if (inner[i].kind == '{' &&
        fy_members_find(inner[i].value.data, inner[i].value.size, &type, 1) &&
        is_call(&type)) {
      read_call(piece, inner[i].value);
      found = 1;
    }
  }
  if (by_name || found) {
    struct piece outer = {.index = -1};

    read_call(found ? &outer : piece, json);
    piece->index = piece->index < 0 ? outer.index : piece->index;
  }
  return by_name || found;
}

static int has_id(const struct fy_turn_tool *tool, const struct piece *piece) {
  size_t i, k;

  for (i = 0; i < piece->id_count; i++) {
    for (k = 0; k < IDS; k++) {
      if (tool->ids[k] && strcmp(tool->ids[k], piece->ids[i]) == 0) {
        return 1;
      }
    }
  }
  return 0;
}

/* 1 when the ids of both are known: then the index tells nothing. */
static int ids_differ(const struct fy_turn_tool *tool,
                      const struct piece *piece) {
  return tool->ids[0] && piece->id_count && !has_id(tool, piece);
}

static int find(const struct fy_turn *turn, const struct piece *piece) {
  size_t i;

  for (i = turn->tool_count; i-- > 0;) {
    if (has_id(&turn->tools[i], piece)) {
      return (int)i;
    }
  }
  for (i = turn->tool_count; piece->index >= 0 && i-- > 0;) {
    if (turn->tools[i].index == piece->index &&
        !ids_differ(&turn->tools[i], piece)) {
      return (int)i;
    }
  }
  if (!piece->id_count && piece->index < 0 && !piece->is_named &&
      turn->tool_count) {
    return (int)turn->tool_count - 1;
  }
  return -1;
}

static int grow(struct fy_turn *turn) {
  size_t room = turn->tool_room ? 2 * turn->tool_room : 4;
  struct fy_turn_tool *tools;

  if (turn->tool_count < turn->tool_room) {
    return FREDDY_OK;
  }
  tools = fy_realloc(turn->tools, room * sizeof(*tools));
  if (!tools) {
    return FREDDY_ENOMEM;
  }
  turn->tools = tools;
  turn->tool_room = room;
  return FREDDY_OK;
}

/* What a later piece adds to what is known. */
static int learn(struct fy_turn_tool *tool, const struct piece *piece) {
  size_t i, k;

  if (tool->index < 0) {
    tool->index = piece->index;
  }
  for (i = 0; i < piece->id_count; i++) {
    for (k = 0; k < IDS; k++) {
      if (tool->ids[k] && strcmp(tool->ids[k], piece->ids[i]) == 0) {
        break;
      }
      if (!tool->ids[k]) {
        tool->ids[k] = fy_strndup(piece->ids[i], strlen(piece->ids[i]));
        if (!tool->ids[k]) {
          return FREDDY_ENOMEM;
        }
        break;
      }
    }
  }
  return FREDDY_OK;
}

int fy_turn_tool_slot(struct fy_turn *turn, struct fy_span name,
                      struct fy_span json) {
  struct piece piece = {.index = -1};
  int slot;

  if (!read_piece(&piece, name, json)) {
    return -1;
  }
  slot = find(turn, &piece);
  if (slot < 0) {
    if (turn->tool_count == FY_MAX_TOOL_CALLS) {
      return -1;
    }
    if (grow(turn)) {
      return -2;
    }
    slot = (int)turn->tool_count++;
    turn->tools[slot] = (struct fy_turn_tool){.index = -1};
  }
  return learn(&turn->tools[slot], &piece) ? -2 : slot;
}

void fy_turn_tools_clear(struct fy_turn *turn) {
  size_t i, k;

  for (i = 0; i < turn->tool_count; i++) {
    for (k = 0; k < IDS; k++) {
      fy_free(turn->tools[i].ids[k]);
    }
  }
  fy_free(turn->tools);
  turn->tools = NULL;
  turn->tool_count = turn->tool_room = 0;
}
