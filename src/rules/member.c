/* SPDX-License-Identifier: MIT */
#include "rules/member.h"

#include <string.h>

#include "base/ascii.h"

/* Longer names are none that anybody looks for. */
enum { LONGEST_NAME = 64 };

/* --- Strings ------------------------------------------------------------ */

/* Four hex digits, or -1. */
static long hex4(const char *text, size_t size) {
  long code = 0;
  size_t i;

  for (i = 0; i < 4; i++) {
    int digit = i < size ? fy_hex_value(text[i]) : -1;

    if (digit < 0) {
      return -1;
    }
    code = code * 16 + digit;
  }
  return code;
}

static size_t put_utf8(long code, char *out) {
  if (code < 0x80) {
    out[0] = (char)code;
    return 1;
  }
  if (code < 0x800) {
    out[0] = (char)(0xC0 | code >> 6);
    out[1] = (char)(0x80 | (code & 0x3F));
    return 2;
  }
  if (code < 0x10000) {
    out[0] = (char)(0xE0 | code >> 12);
    out[1] = (char)(0x80 | (code >> 6 & 0x3F));
    out[2] = (char)(0x80 | (code & 0x3F));
    return 3;
  }
  out[0] = (char)(0xF0 | code >> 18);
  out[1] = (char)(0x80 | (code >> 12 & 0x3F));
  out[2] = (char)(0x80 | (code >> 6 & 0x3F));
  out[3] = (char)(0x80 | (code & 0x3F));
  return 4;
}

/* What follows "\u" (RFC 8259 7); half of a pair stands for nothing. How many
 * characters it takes, or 0. */
static size_t unicode(const char *text, size_t size, long *code) {
  long low;

  *code = hex4(text, size);
  if (*code < 0 || (*code >= 0xDC00 && *code <= 0xDFFF)) {
    return 0;
  }
  if (*code < 0xD800 || *code > 0xDFFF) {
    return 4;
  }
  if (size < 10 || text[4] != '\\' || text[5] != 'u') {
    return 0;
  }
  low = hex4(text + 6, size - 6);
  if (low < 0xDC00 || low > 0xDFFF) {
    return 0;
  }
  *code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
  return 10;
}

/* What follows a backslash: written to `out`. How many characters it takes,
 * or 0 when it is no escape. */
static size_t unescape(const char *text, size_t size, char *out,
                       size_t *written) {
  static const char from[] = "\"\\/bfnrt";
  static const char to[] = "\"\\/\b\f\n\r\t";
  const char *known;
  size_t used;
  long code;

  if (!size) {
    return 0;
  }
  if (text[0] == 'u') {
    used = unicode(text + 1, size - 1, &code);
    *written = used ? put_utf8(code, out) : 0;
    return used ? used + 1 : 0;
  }
  known = text[0] ? strchr(from, text[0]) : NULL;
  if (!known) {
    return 0;
  }
  out[0] = to[known - from];
  *written = 1;
  return 1;
}

static long text_of(struct fy_span raw, char *out, size_t room) {
  size_t at = 0, size = 0;

  while (at < raw.size) {
    size_t written = 1;

    if (size + 5 > room) { /* the longest character, and the NUL */
      return -1;
    }
    if (raw.data[at] == '\\') {
      size_t used =
          unescape(raw.data + at + 1, raw.size - at - 1, out + size, &written);

      if (!used) {
        return -1;
      }
      at += used + 1;
    } else {
      out[size] = raw.data[at++];
    }
    size += written;
  }
  if (!room) {
    return -1;
  }
  out[size] = '\0';
  return (long)size;
}

/* --- Objects ------------------------------------------------------------ */

/* Where a text is read, and where it ends. */
struct reader {
  const char *at, *end;
};

/* What is next behind white space; 0 at the end. */
static char peek(struct reader *in) {
  while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' ||
                              *in->at == '\n' || *in->at == '\r')) {
    in->at++;
  }
  return in->at < in->end ? *in->at : 0;
}

/* 1 and past it when `c` is next. */
static int take(struct reader *in, char c) {
  if (peek(in) != c) {
    return 0;
  }
  in->at++;
  return 1;
}

/* 1 when the quote at `at` ends the string that began at `from`. */
static int ends_string(const char *from, const char *at) {
  const char *back = at;

  while (back > from && back[-1] == '\\') {
    back--;
  }
  return (at - back) % 2 == 0;
}

/* From behind an opening quote to behind the closing one. */
static int take_string(struct reader *in, struct fy_span *text) {
  const char *from = in->at;

  while (in->at < in->end) {
    const char *quote = memchr(in->at, '"', (size_t)(in->end - in->at));

    if (!quote) {
      return 0;
    }
    in->at = quote + 1;
    if (ends_string(from, quote)) {
      text->data = from;
      text->size = (size_t)(quote - from);
      return 1;
    }
  }
  return 0;
}

/* From an opening bracket to behind the one that closes it. Of which kind
 * they are is not looked at. */
static int skip_nested(struct reader *in) {
  struct fy_span text;
  size_t depth = 0;

  while (in->at < in->end) {
    switch (*in->at++) {
    case '"':
      if (!take_string(in, &text)) {
        return 0;
      }
      break;
    case '{':
    case '[':
      depth++;
      break;
    case '}':
    case ']':
      if (--depth == 0) {
        return 1;
      }
      break;
    default:
      break;
    }
  }
  return 0;
}

static int skip_word(struct reader *in) {
  const char *from = in->at;

  while (in->at < in->end && (fy_is_alnum(*in->at) || *in->at == '-' ||
                              *in->at == '+' || *in->at == '.')) {
    in->at++;
  }
  return in->at > from;
}

static int take_value(struct reader *in, struct fy_member *found) {
  char first = peek(in);
  int good;

  found->kind = fy_is_digit(first) || first == '-' ? '0' : first;
  if (!first || !strchr("\"{[0tfn", found->kind)) {
    return 0;
  }
  if (first == '"') {
    in->at++;
    return take_string(in, &found->value);
  }
  found->value.data = in->at;
  good = first == '{' || first == '[' ? skip_nested(in) : skip_word(in);
  found->value.size = (size_t)(in->at - found->value.data);
  return good;
}

/* Keep a value that is wanted. */
static void keep(struct fy_member *members, size_t count, struct fy_span name,
                 const struct fy_member *found) {
  char text[LONGEST_NAME];
  size_t i;

  if (memchr(name.data, '\\', name.size)) {
    long size = text_of(name, text, sizeof(text));

    name.data = text;
    name.size = size < 0 ? 0 : (size_t)size;
  }
  for (i = 0; i < count; i++) {
    if (strlen(members[i].name) == name.size &&
        memcmp(members[i].name, name.data, name.size) == 0) {
      members[i].kind = found->kind;
      members[i].value = found->value;
    }
  }
}

static int read_object(struct reader *in, struct fy_member *members,
                       size_t count) {
  if (!take(in, '{')) {
    return 0;
  }
  if (take(in, '}')) {
    return !peek(in) && in->at == in->end;
  }
  do {
    struct fy_member found = {.kind = 0};
    struct fy_span name;

    if (!take(in, '"') || !take_string(in, &name) || !take(in, ':') ||
        !take_value(in, &found)) {
      return 0;
    }
    keep(members, count, name, &found);
  } while (take(in, ','));
  return take(in, '}') && !peek(in) && in->at == in->end;
}

static void forget(struct fy_member *members, size_t count) {
  size_t i;

  for (i = 0; i < count; i++) {
    members[i].kind = 0;
    members[i].value = (struct fy_span){.data = NULL, .size = 0};
  }
}

int fy_members_find(const char *text, size_t size, struct fy_member *members,
                    size_t count) {
  struct reader in = {.at = text, .end = text + size};

  forget(members, count);
  if (read_object(&in, members, count)) {
    return 1;
  }
  forget(members, count);
  return 0;
}

int fy_member_is(const struct fy_member *member, const char *text) {
  char own[LONGEST_NAME];
  long size = fy_member_text(member, own, sizeof(own));

  return size >= 0 && strlen(text) == (size_t)size &&
         memcmp(own, text, (size_t)size) == 0;
}

long fy_member_text(const struct fy_member *member, char *out, size_t room) {
  return member->kind == '"' ? text_of(member->value, out, room) : -1;
}

int64_t fy_member_number(const struct fy_member *member) {
  int64_t number = 0;
  size_t i;

  if (member->kind != '0') {
    return -1;
  }
  for (i = 0; i < member->value.size; i++) {
    int digit = member->value.data[i] - '0';

    if (!fy_is_digit(member->value.data[i]) ||
        number > (INT64_MAX - digit) / 10) {
      return -1;
    }
    number = number * 10 + digit;
  }
  return number;
}
