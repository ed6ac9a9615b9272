/* SPDX-License-Identifier: MIT */
/* Streams of the API's generations, as they come on one connection or on
 * several, and what is to be made of them: for each event its name, a letter
 * for its class (n note, c content, q quiet, t terminal, e error), the status
 * of an error, "#" and the call that it is a piece of, and what is done: ""
 * given, "+" given as text from its start, "-" skipped, "." done, "!" failed,
 * "?" refused. Then how it ends. */
#ifndef FY_TURN_STREAMS_H
#define FY_TURN_STREAMS_H

struct turn_stream {
  const char *what;
  const char *thread; /* that the request named; NULL: none */
  const char *connections[8];
  const char *expected;
};

#define PATH "/v1/model/response"
#define FRAME(json) "data: " json "\n\n"
#define ID(id, json) "id: " id "\ndata: " json "\n\n"
#define NAMED(name, json) "event: " name "\ndata: " json "\n\n"
#define DONE "data: [DONE]\n\n"

/* G3 */
#define G3_PROCESSING \
  "{\"event\":\"response.processing\",\"thread_id\":\"thrd_9\"}"
#define G3_CREATED                                                            \
  "{\"event\":\"response.created\",\"status\":\"in_progress\",\"thread_id\":" \
  "\"thrd_9\"}"
#define G3_DELTA "{\"event\":\"response.content_delta\",\"delta\":\"Air \"}"
#define G3_RETOLD                                                           \
  "{\"event\":\"response.content_delta\",\"delta\":\"Air is \",\"source\":" \
  "\"replay\"}"
#define G3_BEAT "{\"event\":\"response.heartbeat\"}"
#define G3_COMPLETED                                                          \
  "{\"event\":\"response.completed\",\"status\":\"completed\",\"thread_id\":" \
  "\"thrd_9\",\"stop_reason\":"                                               \
  "\"end_turn\"}"
#define G3_CANCELLED \
  "{\"event\":\"response.cancelled\",\"partial_content_length\":4}"
#define G3_ERROR(rest) \
  "{\"event\":\"response.error\",\"status\":\"failed\"" rest "}"
#define G3_BLOCK(rest) "{\"event\":\"response.block\",\"block\":{" rest "}}"

#define T_PROCESSING "response.processing n;"
#define T_CREATED "response.created n;"
#define T_DELTA "response.content_delta c;"
#define T_RETOLD "response.content_delta c+;"
#define T_COMPLETED "response.completed t;"
#define T_BEAT "response.heartbeat q;"
#define T_DONE "message t.;"

static const struct turn_stream turn_streams[] = {
    {"G3, whole",
     NULL,
     {ID("1", G3_PROCESSING) ID("2", G3_CREATED) ID("3", G3_DELTA)
          FRAME(G3_BEAT) ID("4", G3_DELTA) ID("5", G3_COMPLETED) DONE},
     T_PROCESSING T_CREATED T_DELTA T_BEAT T_DELTA T_COMPLETED T_DONE "good"},
    {"G3, all its events",
     NULL,
     {FRAME(G3_CREATED) FRAME("{\"event\":\"response.context\"}")
          FRAME("{\"event\":\"reasoning.started\"}")
              FRAME("{\"event\":\"reasoning.content\",\"content\":\"x\"}")
                  FRAME("{\"event\":\"reasoning.completed\"}") FRAME(
                      G3_BLOCK("\"type\":\"text\"")) FRAME(G3_CANCELLED) DONE},
     T_CREATED
     "response.context n;reasoning.started c;reasoning.content c;"
     "reasoning.completed c;response.block c;response.cancelled t;" T_DONE
     "good"},
    {"G2, whole: no ids, no [DONE]",
     NULL,
     {FRAME(G3_CREATED) FRAME(G3_DELTA) FRAME(G3_COMPLETED)},
     T_CREATED T_DELTA T_COMPLETED "good"},
    {"G2 without a name in the JSON",
     NULL,
     {NAMED("response.created", "{\"thread_id\":\"thrd_9\"}")
          NAMED("response.content_delta", "{\"delta\":\"x\"}")
              NAMED("response.completed", "{}")},
     T_CREATED T_DELTA T_COMPLETED "good"},
    {"G1, whole",
     NULL,
     {NAMED("response.created",
            "{\"id\":\"resp_7\",\"status\":\"in_progress\"}")
          NAMED("response.output_item.added",
                "{\"index\":0,\"item\":{\"type\":\"message\"}}")
              NAMED("response.output_text.delta",
                    "{\"index\":0,\"delta\":\"x\"}")
                  NAMED("response.output_text.done",
                        "{\"index\":0,\"text\":\"x\"}")
                      NAMED("response.completed",
                            "{\"usage\":{\"outputSynapses\":6}}")},
     T_CREATED "response.output_item.added c;response.output_text.delta c;"
               "response.output_text.done c;" T_COMPLETED "good"},
    {"the name of the JSON wins",
     NULL,
     {NAMED("response.completed", G3_DELTA) NAMED("x", "{\"event\":5}")
          NAMED("y", "[\"event\"]")
              NAMED("z", "{\"event\":\"a\",\"event\":\"b\"}") FRAME("{}")},
     T_DELTA "x n;y n;b n;message n;cut no_thread"},
    {"a name with escapes",
     NULL,
     {FRAME("{\"\\u0065vent\":\"response\\u002ecreated\"}")
          FRAME("{\"event\":\"response.\\ud83dx\"}")},
     T_CREATED "message n;cut no_thread"},
    {"a name that is only within",
     NULL,
     {FRAME("{\"delta\":\"\\\"event\\\":\\\"response.completed\\\"\"}")
          FRAME("{\"a\":{\"event\":\"response.completed\"}}")
              FRAME("[{\"event\":\"response.completed\"}]")},
     "message n;message n;message n;cut no_thread"},
    {"what is no whole object has no name",
     NULL,
     {FRAME("{\"event\":\"response.completed\"")
          FRAME("{\"event\":\"response.completed\"} x")
              FRAME("{\"event\":\"response.completed\",}")},
     "message n;message n;message n;cut no_thread"},
    {"only [DONE] is [DONE]",
     NULL,
     {FRAME(" [DONE]") FRAME("[DONE] ") FRAME("\"[DONE]\"") FRAME("[done]")},
     "message n;message n;message n;message n;cut no_thread"},
    {"[DONE] alone ends", NULL, {FRAME(G3_DELTA) DONE}, T_DELTA T_DONE "good"},
    {"nothing comes after the end",
     NULL,
     {FRAME(G3_COMPLETED) FRAME(G3_DELTA) FRAME(G3_ERROR(""))
          DONE FRAME(G3_DELTA)},
     T_COMPLETED "response.content_delta c-;response.error e-;" T_DONE
                 "response.content_delta c-;good"},
    {"unknown events, and other ways to say that one lives",
     NULL,
     {FRAME("{\"event\":\"response.new\"}") NAMED("ping", "")
          NAMED("heartbeat", "{}") NAMED("keepalive", "x")},
     "response.new n;ping q;heartbeat q;keepalive q;cut no_thread"},
    {"an empty stream", NULL, {""}, "cut no_thread"},
    {"an empty stream of a known thread",
     "thrd_1",
     {"", FRAME(G3_DELTA) DONE},
     "resume /thrd_1/stream;" T_DELTA T_DONE "good"},

    /* errors */
    {"an error in G3",
     NULL,
     {FRAME(G3_CREATED) FRAME(G3_ERROR(",\"message\":\"x\"")) DONE},
     T_CREATED "response.error e500!;" T_DONE "cut failed"},
    {"an error in G1",
     NULL,
     {NAMED("response.created", "{}") NAMED(
         "response.failed",
         "{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit\"}}")},
     T_CREATED "response.failed e429!;cut failed"},
    {"refused before anything",
     NULL,
     {FRAME(G3_PROCESSING) FRAME(G3_ERROR(",\"code\":\"TOKEN_EXPIRED\""))},
     T_PROCESSING "response.error e401?;cut failed"},
    {"refused as the very first",
     NULL,
     {NAMED("response.failed",
            "{\"error\":{\"code\":\"AUTHENTICATION_REQUIRED\"}}")},
     "response.failed e401?;cut failed"},
    {"a heartbeat is nothing yet",
     NULL,
     {FRAME(G3_BEAT) FRAME(G3_ERROR(",\"error\":{\"status\":401}"))},
     T_BEAT "response.error e401?;cut failed"},
    {"refused after created",
     NULL,
     {FRAME(G3_CREATED) FRAME(G3_ERROR(",\"code\":\"TOKEN_EXPIRED\""))},
     T_CREATED "response.error e401!;cut failed"},
    {"refused after content",
     NULL,
     {FRAME(G3_DELTA) FRAME(G3_ERROR(",\"code\":\"TOKEN_EXPIRED\""))},
     T_DELTA "response.error e401!;cut failed"},
    {"a renewal does not help a key",
     NULL,
     {FRAME(G3_ERROR(",\"code\":\"INVALID_API_KEY\""))},
     "response.error e401!;cut failed"},
    {"no permission is no 401",
     NULL,
     {FRAME(G3_ERROR(",\"code\":\"INSUFFICIENT_PERMISSIONS\""))},
     "response.error e403!;cut failed"},
    {"refused when it would go on",
     "t",
     {ID("1", G3_DELTA), FRAME(G3_ERROR(",\"code\":\"TOKEN_EXPIRED\""))},
     T_DELTA "resume /t/stream?last_event_id=1;response.error e401?;"
             "cut failed"},
    {"an error when it has gone on",
     "t",
     {ID("1", G3_DELTA),
      ID("2", G3_DELTA) FRAME(G3_ERROR(",\"code\":\"TOKEN_EXPIRED\""))},
     T_DELTA "resume /t/stream?last_event_id=1;" T_DELTA
             "response.error e401!;cut failed"},

    /* cut, and resumed */
    {"by id",
     NULL,
     {ID("1", G3_CREATED) ID("2", G3_DELTA),
      ID("3", G3_DELTA) ID("4", G3_COMPLETED) DONE},
     T_CREATED T_DELTA
     "resume /thrd_9/stream?last_event_id=2;" T_DELTA T_COMPLETED T_DONE
     "good"},
    {"by id, with an overlap",
     NULL,
     {ID("1", G3_CREATED) ID("2", G3_DELTA) ID("10", G3_DELTA),
      ID("1", G3_CREATED) ID("2", G3_DELTA) ID("10", G3_DELTA)
          ID("11", G3_DELTA) DONE},
     T_CREATED T_DELTA T_DELTA
     "resume /thrd_9/stream?last_event_id=10;response.created n-;"
     "response.content_delta c-;response.content_delta c-;" T_DELTA T_DONE
     "good"},
    {"an event without an id is as old as the one before it",
     NULL,
     {ID("1", G3_CREATED) ID("2", G3_DELTA) FRAME(G3_DELTA),
      ID("2", G3_DELTA) FRAME(G3_DELTA) ID("3", G3_DELTA) FRAME(G3_DELTA)
          DONE},
     T_CREATED T_DELTA T_DELTA
     "resume /thrd_9/stream?last_event_id=2;response.content_delta c-;"
     "response.content_delta c-;" T_DELTA T_DELTA T_DONE "good"},
    {"those without an id behind the last one that has come",
     NULL,
     {ID("1", G3_CREATED) ID("2", G3_DELTA) FRAME(G3_DELTA),
      FRAME(G3_DELTA) ID("3", G3_DELTA) FRAME(G3_DELTA) DONE},
     T_CREATED T_DELTA T_DELTA
     "resume /thrd_9/stream?last_event_id=2;response.content_delta c-;" T_DELTA
         T_DELTA T_DONE "good"},
    {"more of those than had come",
     NULL,
     {ID("1", G3_CREATED) ID("2", G3_DELTA) FRAME(G3_DELTA),
      ID("2", G3_DELTA) FRAME(G3_BEAT) FRAME(G3_DELTA) FRAME(G3_DELTA)
          ID("3", G3_DELTA) DONE},
     T_CREATED T_DELTA T_DELTA
     "resume /thrd_9/stream?last_event_id=2;response.content_delta c-;" T_BEAT
     "response.content_delta c-;" T_DELTA T_DELTA T_DONE "good"},
    {"those, twice",
     NULL,
     {ID("1", G3_CREATED) FRAME(G3_DELTA), FRAME(G3_DELTA) FRAME(G3_DELTA),
      FRAME(G3_DELTA) FRAME(G3_DELTA) FRAME(G3_DELTA) ID("2", G3_COMPLETED)},
     T_CREATED T_DELTA
     "resume /thrd_9/stream?last_event_id=1;response.content_delta c-;" T_DELTA
     "resume /thrd_9/stream?last_event_id=1;response.content_delta c-;"
     "response.content_delta c-;" T_DELTA T_COMPLETED "good"},
    {"by position: without ids all comes again",
     NULL,
     {FRAME(G3_CREATED) FRAME(G3_BEAT) FRAME(G3_DELTA),
      FRAME(G3_CREATED) FRAME(G3_DELTA) FRAME(G3_BEAT) FRAME(G3_DELTA)
          FRAME(G3_COMPLETED)},
     T_CREATED T_BEAT T_DELTA
     "resume /thrd_9/stream;response.created n-;response.content_delta "
     "c-;" T_BEAT T_DELTA T_COMPLETED "good"},
    {"by position, twice",
     NULL,
     {FRAME(G3_CREATED) FRAME(G3_DELTA), FRAME(G3_CREATED),
      FRAME(G3_CREATED) FRAME(G3_DELTA) FRAME(G3_DELTA),
      FRAME(G3_CREATED) FRAME(G3_DELTA) FRAME(G3_DELTA) FRAME(G3_DELTA) DONE},
     T_CREATED T_DELTA
     "resume /thrd_9/stream;response.created n-;"
     "resume /thrd_9/stream;response.created n-;"
     "response.content_delta c-;" T_DELTA
     "resume /thrd_9/stream;response.created n-;"
     "response.content_delta c-;response.content_delta c-;" T_DELTA T_DONE
     "good"},
    {"ids that are no numbers are none",
     NULL,
     {ID("a", G3_CREATED) ID("b", G3_DELTA),
      ID("a", G3_CREATED) ID("b", G3_DELTA) ID("c", G3_DELTA) DONE},
     T_CREATED T_DELTA "resume /thrd_9/stream;response.created n-;"
                       "response.content_delta c-;" T_DELTA T_DONE "good"},
    {"a completion that is made up",
     NULL,
     {ID("1", G3_CREATED) ID("2", G3_DELTA), FRAME(G3_COMPLETED) DONE},
     T_CREATED T_DELTA
     "resume /thrd_9/stream?last_event_id=2;" T_COMPLETED T_DONE "good"},
    {"a completion that is made up, without ids",
     NULL,
     {FRAME(G3_CREATED) FRAME(G3_DELTA), FRAME(G3_COMPLETED)},
     T_CREATED T_DELTA "resume /thrd_9/stream;" T_COMPLETED "good"},
    {"a text that is made up",
     NULL,
     {ID("1", G3_CREATED) ID("2", G3_DELTA),
      FRAME(G3_RETOLD) FRAME(G3_COMPLETED) DONE},
     T_CREATED T_DELTA
     "resume /thrd_9/stream?last_event_id=2;" T_RETOLD T_COMPLETED T_DONE
     "good"},
    {"a text that is made up, without ids",
     NULL,
     {FRAME(G3_CREATED) FRAME(G3_DELTA), FRAME(G3_RETOLD) FRAME(G3_COMPLETED)},
     T_CREATED T_DELTA "resume /thrd_9/stream;" T_RETOLD T_COMPLETED "good"},
    {"a text that is made up, without ids, in its place",
     NULL,
     {FRAME(G3_CREATED) FRAME(G3_DELTA) FRAME(G3_BEAT),
      FRAME(G3_CREATED) FRAME(G3_RETOLD) FRAME(G3_COMPLETED)},
     T_CREATED T_DELTA T_BEAT
     "resume /thrd_9/stream;response.created n-;" T_RETOLD T_COMPLETED "good"},
    {"a text that is made up where there was none",
     NULL,
     {FRAME(G3_PROCESSING) FRAME(G3_CREATED),
      FRAME(G3_RETOLD) FRAME(G3_COMPLETED)},
     T_PROCESSING T_CREATED "resume /thrd_9/stream;" T_RETOLD T_COMPLETED
                            "good"},
    {"only the first text of a connection is made up",
     NULL,
     {FRAME(G3_CREATED) FRAME(G3_DELTA),
      FRAME(G3_CREATED) FRAME(G3_DELTA) FRAME(G3_RETOLD) DONE},
     T_CREATED T_DELTA
     "resume /thrd_9/stream;response.created n-;response.content_delta "
     "c-;" T_DELTA T_DONE "good"},
    {"what is live, or of a stream where texts have no ids, is not made up",
     NULL,
     {ID("1", G3_CREATED) ID("2", G3_DELTA), FRAME(G3_DELTA),
      FRAME(G3_DELTA) FRAME(G3_RETOLD) DONE},
     T_CREATED T_DELTA
     "resume /thrd_9/stream?last_event_id=2;" T_DELTA
     "resume /thrd_9/stream?last_event_id=2;response.content_delta "
     "c-;" T_DELTA T_DONE "good"},
    {"broken behind the terminal event",
     NULL,
     {ID("1", G3_CREATED) ID("2", G3_COMPLETED) "data: [DO"},
     T_CREATED T_COMPLETED "good"},
    {"within the terminal event",
     NULL,
     {ID("1", G3_CREATED) "id: 2\ndata: {\"event\":\"response.completed\"",
      ID("2", G3_COMPLETED) DONE},
     T_CREATED "resume /thrd_9/stream?last_event_id=1;" T_COMPLETED T_DONE
               "good"},
    {"five tries",
     "t",
     {ID("7", G3_DELTA), "", "", "", FRAME(G3_BEAT), ""},
     T_DELTA "resume /t/stream?last_event_id=7;"
             "resume /t/stream?last_event_id=7;"
             "resume /t/stream?last_event_id=7;"
             "resume /t/stream?last_event_id=7;" T_BEAT
             "resume /t/stream?last_event_id=7;cut tries"},
    {"what is new gives five more",
     "t",
     {ID("7", G3_DELTA), "", "", "", "", ID("8", G3_DELTA), "", DONE},
     T_DELTA "resume /t/stream?last_event_id=7;"
             "resume /t/stream?last_event_id=7;"
             "resume /t/stream?last_event_id=7;"
             "resume /t/stream?last_event_id=7;"
             "resume /t/stream?last_event_id=7;" T_DELTA
             "resume /t/stream?last_event_id=8;"
             "resume /t/stream?last_event_id=8;" T_DONE "good"},
    {"the thread that is told holds, not the one that was asked for",
     "old",
     {FRAME("{\"event\":\"response.created\",\"threadId\":\"a/..\\u00e9\"}"),
      DONE},
     T_CREATED "resume /a%2F..%C3%A9/stream;" T_DONE "good"},
    {"threads that are none",
     NULL,
     {FRAME("{\"thread_id\":\"\"}") FRAME("{\"thread_id\":null}")
          FRAME("{\"thread_id\":[\"x\"]}") FRAME("{\"thread_id\":\"a\\nb\"}")},
     "message n;message n;message n;message n;cut no_thread"},

    /* calls of tools, in pieces */
    {"G1: by item and index",
     NULL,
     {NAMED("response.output_item.added",
            "{\"index\":1,\"item\":{\"type\":\"function_call\",\"id\":\"fc\","
            "\"call_id\":\"call\",\"name\":\"f\",\"arguments\":\"\"}}")
          NAMED("response.output_item.added",
                "{\"index\":2,\"item\":{\"type\":\"function_call\",\"id\":"
                "\"gc\",\"name\":\"g\"}}")
              NAMED("response.function_call_arguments.delta",
                    "{\"index\":1,\"item_id\":\"fc\",\"delta\":\"{\"}")
                  NAMED("response.function_call_arguments.delta",
                        "{\"index\":2,\"delta\":\"{\"}")
                      NAMED("response.function_call_arguments.done",
                            "{\"call_id\":\"call\",\"arguments\":\"{}\"}")
                          NAMED("response.function_call_arguments.done",
                                "{\"arguments\":\"{}\"}") DONE},
     "response.output_item.added c#0;response.output_item.added c#1;"
     "response.function_call_arguments.delta c#0;"
     "response.function_call_arguments.delta c#1;"
     "response.function_call_arguments.done c#0;"
     "response.function_call_arguments.done c#1;" T_DONE "good"},
    {"G3: blocks, in turn",
     NULL,
     {FRAME(G3_BLOCK("\"type\":\"tool_call\",\"id\":\"a\",\"tool_name\":\"f\","
                     "\"arguments\":\"\",\"index\":1"))
          FRAME(G3_BLOCK("\"type\":\"tool_call\",\"id\":\"b\",\"tool_name\":"
                         "\"f\",\"arguments\":\"\",\"index\":2"))
              FRAME(G3_BLOCK("\"type\":\"tool_call\",\"id\":\"a\",\"index\":1,"
                             "\"arguments\":\"{\""))
                  FRAME(G3_BLOCK("\"type\":\"tool_call\",\"id\":\"b\","
                                 "\"arguments\":\"{\""))
                      FRAME(G3_BLOCK("\"type\":\"tool_call\",\"index\":1,"
                                     "\"arguments\":\"}\"")) DONE},
     "response.block c#0;response.block c#1;response.block c#0;"
     "response.block c#1;response.block c#0;" T_DONE "good"},
    {"G3: whole blocks without ids",
     NULL,
     {FRAME(G3_BLOCK("\"type\":\"tool_call\",\"tool_name\":\"f\""))
          FRAME(G3_BLOCK("\"type\":\"tool_result\",\"tool_name\":\"f\""))
              FRAME(G3_BLOCK("\"type\":\"tool_call\",\"tool_name\":\"f\""))
                  FRAME(G3_BLOCK("\"type\":\"text\",\"id\":\"a\"")) DONE},
     "response.block c#0;response.block c;response.block c#1;"
     "response.block c;" T_DONE "good"},
    {"one index, other ids",
     NULL,
     {FRAME(G3_BLOCK("\"type\":\"tool_call\",\"id\":\"a\",\"index\":0,"
                     "\"tool_name\":\"f\""))
          FRAME(G3_BLOCK("\"type\":\"tool_call\",\"id\":\"b\",\"index\":0,"
                         "\"tool_name\":\"f\""))
              FRAME(G3_BLOCK("\"type\":\"tool_call\",\"index\":0")) DONE},
     "response.block c#0;response.block c#1;response.block c#1;" T_DONE
     "good"},
    {"a call that goes on behind a cut",
     NULL,
     {ID("1", G3_CREATED)
          ID("2", G3_BLOCK("\"type\":\"tool_call\",\"id\":\"a\",\"tool_name\":"
                           "\"f\",\"arguments\":\"{\"")),
      ID("2", G3_BLOCK("\"type\":\"tool_call\",\"id\":\"a\",\"tool_name\":"
                       "\"f\",\"arguments\":\"{\""))
          ID("3", G3_BLOCK("\"type\":\"tool_call\",\"id\":\"a\",\"arguments\":"
                           "\"}\"")) DONE},
     T_CREATED "response.block c#0;resume /thrd_9/stream?last_event_id=2;"
               "response.block c-;response.block c#0;" T_DONE "good"},
    {"calls by their own events",
     NULL,
     {FRAME("{\"event\":\"response.tool_call.started\",\"tool_call_id\":\"x\","
            "\"name\":\"f\"}")
          FRAME("{\"event\":\"response.tool_call.delta\",\"delta\":\"{}\"}")
              DONE},
     "response.tool_call.started c#0;response.tool_call.delta c#0;" T_DONE
     "good"},
};

#endif
