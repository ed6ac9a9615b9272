/* SPDX-License-Identifier: MIT */
/* Event-stream bodies and what they say, after the HTML standard 9.2.6.
 * Expected: "type|data", "|id=..." once there is one, "|retry=..." where the
 * block had one, and ";" behind each event; "!" where the ceiling is hit. */
#ifndef FY_SSE_BODIES_H
#define FY_SSE_BODIES_H

#include <stddef.h>

struct sse_body {
  const char *body;
  size_t body_size;
  const char *events;
  size_t events_size;
  size_t max; /* 0: no ceiling to speak of */
};

#define BODY(body, events) \
  { body, sizeof(body) - 1, events, sizeof(events) - 1, 0 }
#define HELD(max, body, events) \
  { body, sizeof(body) - 1, events, sizeof(events) - 1, max }

#define TEN "0123456789"
#define FREDDY_CREATED                                          \
  "{\"event\":\"response.created\",\"status\":\"in_progress\"," \
  "\"thread_id\":\"thrd_9f8e\"}"
#define FREDDY_DELTA \
  "{\"event\":\"response.content_delta\",\"delta\":\"Air \\u00e9 \xC3\xA9\"}"

static const struct sse_body sse_bodies[] = {
    /* nothing in them */
    BODY("", ""),
    BODY("\n", ""),
    BODY("\r", ""),
    BODY("\r\n", ""),
    BODY("\n\n\n\r\r\r\n\r\n", ""),
    BODY(":\n\n", ""),
    BODY(": heartbeat\n\n: another\r\n\r\n:\r\r", ""),
    BODY("event: only\n\n", ""),
    BODY("retry: 5\n\n", ""),
    BODY("id: 1\n\n", ""),
    BODY("nothing known: x\n\n", ""),
    BODY("\xEF\xBB\xBF", ""),
    BODY("\xEF\xBB\xBF\n\n", ""),
    /* an event without the blank line behind it is none */
    BODY("data: a", ""),
    BODY("data: a\n", ""),
    BODY("data: a\r", ""),
    BODY("data: a\r\n", ""),
    BODY("data: a\n\ndata: b\n", "message|a;"),
    BODY("data: a\n\ndata: b", "message|a;"),
    BODY("data: a\n\nid: 7\n", "message|a;"),
    /* ends of lines */
    BODY("data: a\n\n", "message|a;"),
    BODY("data: a\r\r", "message|a;"),
    BODY("data: a\r\n\r\n", "message|a;"),
    BODY("data: a\n\r", "message|a;"),
    BODY("data: a\n\r\n", "message|a;"),
    BODY("data: a\r\n\n", "message|a;"),
    BODY("data: a\r\n\r", "message|a;"),
    BODY("data: a\r\n\rdata: b\r\r\n", "message|a;message|b;"),
    BODY("data: a\r\n\r\n\r\ndata: b\n\r\n", "message|a;message|b;"),
    BODY("data: a\rdata: b\ndata: c\r\n\r", "message|a\nb\nc;"),
    BODY("data: a\n\n\n\ndata: b\n\n", "message|a;message|b;"),
    BODY("data: a\xE2\x80\xA8"
         "b\xC2\x85"
         "c\x0B\x0C\n\n",
         "message|a\xE2\x80\xA8"
         "b\xC2\x85"
         "c\x0B\x0C;"),
    /* the byte order mark: one, at the very beginning */
    BODY("\xEF\xBB\xBF"
         "data: a\n\n",
         "message|a;"),
    BODY("\xEF\xBB\xBF\xEF\xBB\xBF"
         "data: a\n\ndata: b\n\n",
         "message|b;"),
    BODY("\xEF\xBB"
         "data: a\n\ndata: b\n\n",
         "message|b;"),
    BODY("\xEF"
         "data: a\n\ndata: b\n\n",
         "message|b;"),
    BODY("\xEF\xBB\xBE"
         "data: a\n\ndata: b\n\n",
         "message|b;"),
    BODY("\xEF\xBB\n\ndata: b\n\n", "message|b;"),
    BODY("\xEF\xEF\xBB\xBF"
         "data: a\n\ndata: b\n\n",
         "message|b;"),
    BODY("\n\xEF\xBB\xBF"
         "data: a\n\ndata: b\n\n",
         "message|b;"),
    BODY("data: \xEF\xBB\xBF"
         "a\n\n",
         "message|\xEF\xBB\xBF"
         "a;"),
    BODY("\xFE\xFF"
         "data: a\n\ndata: b\n\n",
         "message|b;"),
    /* the colon, and the one space behind it */
    BODY("data:a\n\n", "message|a;"),
    BODY("data:  a \n\n", "message| a ;"),
    BODY("data:\ta\n\n", "message|\ta;"),
    BODY("data: a: b: c\n\n", "message|a: b: c;"),
    BODY("data::a\n\n", "message|:a;"),
    BODY("data: :\n\n", "message|:;"),
    BODY("data :a\n\ndata: b\n\n", "message|b;"),
    BODY(" data: a\n\ndata: b\n\n", "message|b;"),
    BODY("\tdata: a\n\ndata: b\n\n", "message|b;"),
    BODY("data: a\n data: b\n\n", "message|a;"),
    /* empty data */
    BODY("data\n\n", "message|;"),
    BODY("data:\n\n", "message|;"),
    BODY("data: \n\n", "message|;"),
    BODY("data:  \n\n", "message| ;"),
    BODY("data\ndata\n\n", "message|\n;"),
    BODY("data:\ndata:\ndata:\n\n", "message|\n\n;"),
    BODY("data\ndata: a\n\n", "message|\na;"),
    BODY("data: a\ndata\n\n", "message|a\n;"),
    BODY("data\n\ndata\ndata\n\ndata:test\n\n",
         "message|;message|\n;message|test;"),
    /* several lines of data */
    BODY("data: one\ndata: two\ndata: three\n\n", "message|one\ntwo\nthree;"),
    BODY("data: a\nevent: x\ndata: b\n\n", "x|a\nb;"),
    BODY("data: a\n: comment\ndata: b\nother: c\ndata: d\n\n",
         "message|a\nb\nd;"),
    BODY("data: {\ndata: \"a\": 1\ndata: }\n\n", "message|{\n\"a\": 1\n};"),
    BODY("data: \\n\ndata: \\\n\n", "message|\\n\n\\;"),
    /* names of fields are exact */
    BODY("Data: a\nDATA: b\ndata: c\n\n", "message|c;"),
    BODY("dat: a\ndataa: b\ndata2: c\nd: d\ndata: e\n\n", "message|e;"),
    BODY("dat\ndataa\nretryx\nlongernames\ndata: e\n\n", "message|e;"),
    BODY("EVENT: a\nevents: b\nId: c\nids: d\nretr: 1\ndata: e\n\n",
         "message|e;"),
    BODY("da\0ta: a\n\0data: b\ndata\0: c\ndata: d\n\n", "message|d;"),
    BODY("abcdefghijklmnopqrstuvwxyz: a\ndata: b\n\n", "message|b;"),
    BODY("data\xC2\xA0: a\ndata: b\n\n", "message|b;"),
    /* types */
    BODY("event: add\ndata: a\n\n", "add|a;"),
    BODY("data: a\nevent: add\n\n", "add|a;"),
    BODY("event: add\ndata: a\n\ndata: b\n\n", "add|a;message|b;"),
    BODY("event: a\nevent: b\ndata: c\n\n", "b|c;"),
    BODY("event: long enough\nevent: b\ndata: c\n\n", "b|c;"),
    BODY("event: a\nevent:\ndata: c\n\n", "message|c;"),
    BODY("event: a\nevent\ndata: c\n\n", "message|c;"),
    BODY("event\ndata: c\n\n", "message|c;"),
    BODY("event: a\n\ndata: b\n\n", "message|b;"),
    BODY("event:  a b \ndata: c\n\n", " a b |c;"),
    BODY("event: message\ndata: c\n\n", "message|c;"),
    BODY("event: \xC3\xA9\0\xFF\ndata: c\n\n", "\xC3\xA9\0\xFF|c;"),
    /* ids: the last one seen holds */
    BODY("id: 1\ndata: a\n\n", "message|a|id=1;"),
    BODY("data: a\nid: 1\n\n", "message|a|id=1;"),
    BODY("data: a\n\nid: 1\ndata: b\n\ndata: c\n\n",
         "message|a;message|b|id=1;message|c|id=1;"),
    BODY("id: 1\n\ndata: a\n\n", "message|a|id=1;"),
    BODY("id: 1\nid: 2\ndata: a\n\n", "message|a|id=2;"),
    BODY("id: 1\ndata: a\n\nid\ndata: b\n\n", "message|a|id=1;message|b|id=;"),
    BODY("id: 1\ndata: a\n\nid:\ndata: b\n\ndata: c\n\n",
         "message|a|id=1;message|b|id=;message|c|id=;"),
    BODY("id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n",
         "message|a|id=1;message|b|id=1;"),
    BODY("id: \0\ndata: b\n\n", "message|b;"),
    BODY("id: 1\0002\nid: 3\nid: \0004\ndata: b\n\n", "message|b|id=3;"),
    BODY("id:  1 2 \ndata: b\n\n", "message|b|id= 1 2 ;"),
    BODY("id: \xC3\xA9\xFF\ndata: b\n\n", "message|b|id=\xC3\xA9\xFF;"),
    BODY("id: 10\ndata: a\n\nid: 9\ndata: b\n\nid: 100\ndata: c\n\n",
         "message|a|id=10;message|b|id=9;message|c|id=100;"),
    /* retry: digits only, and of this block only */
    BODY("retry: 1500\ndata: a\n\ndata: b\n\n",
         "message|a|retry=1500;message|b;"),
    BODY("retry: 5\n\ndata: a\n\n", "message|a;"),
    BODY("retry:0\ndata: a\n\n", "message|a|retry=0;"),
    BODY("retry: 007\ndata: a\n\n", "message|a|retry=7;"),
    BODY("retry: -1\ndata: a\n\n", "message|a;"),
    BODY("retry: +1\ndata: a\n\n", "message|a;"),
    BODY("retry: 1.5\ndata: a\n\n", "message|a;"),
    BODY("retry: 1 \ndata: a\n\n", "message|a;"),
    BODY("retry:  1\ndata: a\n\n", "message|a;"),
    BODY("retry: 1s\ndata: a\n\n", "message|a;"),
    BODY("retry: 1\0\ndata: a\n\n", "message|a;"),
    BODY("retry: \xD9\xA1\ndata: a\n\n", "message|a;"),
    BODY("retry\ndata: a\n\n", "message|a;"),
    BODY("retry:\ndata: a\n\n", "message|a;"),
    BODY("retry: \ndata: a\n\n", "message|a;"),
    BODY("retry: 5\nretry: x\ndata: a\n\n", "message|a|retry=5;"),
    BODY("retry: 5\nretry: 6\ndata: a\n\n", "message|a|retry=6;"),
    BODY("retry: 9007199254740991\ndata: a\n\n",
         "message|a|retry=9007199254740991;"),
    BODY("retry: 9007199254740992\ndata: a\n\n",
         "message|a|retry=9007199254740991;"),
    BODY("retry: 99999999999999999999999999999999999999\ndata: a\n\n",
         "message|a|retry=9007199254740991;"),
    BODY("retry: 00000000000000000000000000000000000001\ndata: a\n\n",
         "message|a|retry=1;"),
    /* bytes are passed on as they are */
    BODY("data: \0\n\n", "message|\0;"),
    BODY("data: a\0b\n\n", "message|a\0b;"),
    BODY("data: \xFF\xC0\x80\xED\xA0\x80\n\n",
         "message|\xFF\xC0\x80\xED\xA0\x80;"),
    BODY("data: \xF0\x9F\x98\x80\n\n", "message|\xF0\x9F\x98\x80;"),
    BODY("data: \x01\x02\x7F\x1B[31m\n\n", "message|\x01\x02\x7F\x1B[31m;"),
    /* the standard's own examples */
    BODY("data: This is the first message.\n\n"
         "data: This is the second message, it\n"
         "data: has two lines.\n\n"
         "data: This is the third message.\n\n",
         "message|This is the first message.;"
         "message|This is the second message, it\nhas two lines.;"
         "message|This is the third message.;"),
    BODY("event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n"
         "event: add\ndata: 113411\n\n",
         "add|73857293;remove|2153;add|113411;"),
    BODY("data: YHOO\ndata: +2\ndata: 10\n\n", "message|YHOO\n+2\n10;"),
    BODY(": test stream\n\ndata: first event\nid: 1\n\n"
         "data:second event\nid\n\ndata:  third event\n\n",
         "message|first event|id=1;message|second event|id=;"
         "message| third event|id=;"),
    BODY("data\n\ndata\ndata\n\ndata:", "message|;message|\n;"),
    BODY("data:test\n\ndata: test\n\n", "message|test;message|test;"),
    /* what the service sends, in its three generations */
    BODY("id: 1\ndata: " FREDDY_CREATED
         "\n\n: beat\n\nid: 2\ndata: " FREDDY_DELTA "\n\ndata: [DONE]\n\n",
         "message|" FREDDY_CREATED "|id=1;message|" FREDDY_DELTA
         "|id=2;message|[DONE]|id=2;"),
    BODY("event: response.created\r\ndata: {\"id\":\"resp_77aa\"}\r\n\r\n"
         "event: response.completed\r\ndata: {}\r\n\r\n",
         "response.created|{\"id\":\"resp_77aa\"};response.completed|{};"),
    BODY("data: " FREDDY_CREATED "\n\ndata: " FREDDY_DELTA "\n\n",
         "message|" FREDDY_CREATED ";message|" FREDDY_DELTA ";"),
    BODY("HTTP/1.1 200 OK\r\n\r\n{\"success\":true}\n\n", ""),
    BODY("<html>\n\ndata: a\n\n</html>", "message|a;"),
    /* ceilings, on a line and on an event */
    HELD(10, "data: 0123\n\n", "message|0123;"),
    HELD(9, "data: 0123\n\n", "!"),
    HELD(9, "data: 0123", "!"),
    HELD(10, "data: 0123", ""),
    HELD(9, "data: 012\n\ndata: 0123\n\n", "message|012;!"),
    HELD(10, ": " TEN "\n\n", "!"),
    HELD(12, ": " TEN "\ndata: a\n\n", "message|a;"),
    HELD(10, TEN "0\n", "!"),
    HELD(10, TEN "\ndata: a\n\n", "message|a;"),
    HELD(10, "data: 012\ndata: 345\n\n", "message|012\n345;"),
    HELD(10, "data: 012\ndata: 345\ndata: 67\n\n", "message|012\n345\n67;"),
    HELD(10, "data: 012\ndata: 345\ndata: 678\n\n", "!"),
    HELD(10, "data: 012\ndata: 345\ndata: 67\ndata\n\n", "!"),
    HELD(10, "data: 0123\ndata: 4567\ndata\ndata\n\n", "!"),
    HELD(10, "event: ab\ndata: 0123\ndata: 456\n\n", "ab|0123\n456;"),
    HELD(10, "event: abc\ndata: 0123\ndata: 456\n\n", "!"),
    HELD(10, "event: abc\nevent:a\ndata: 0123\ndata: 4567\n\n",
         "a|0123\n4567;"),
    HELD(10, "id: 9\ndata: 0123\ndata: 4567\n\ndata: 0123\ndata: 4567\n\n",
         "message|0123\n4567|id=9;message|0123\n4567|id=9;"),
    HELD(10, "id: 98\ndata: 0123\ndata: 4567\n\n", "!"),
    HELD(10, "data: 0123\ndata: 4567\nid: 98\n\n", "!"),
    HELD(10, "id: 987\nid: 9\ndata: 0123\ndata: 4567\n\n",
         "message|0123\n4567|id=9;"),
    HELD(0 + 1, "a\n\n", ""),
    HELD(0 + 1, "ab", "!"),
    HELD(2,
         "\xEF\xBB\xBF"
         "a\n",
         ""),
    HELD(2, "\xEF\xBB", ""),
    HELD(1,
         "\xEF\xBB"
         "a\n",
         "!"),
};

#endif
