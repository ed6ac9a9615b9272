/* SPDX-License-Identifier: MIT */
#include "rules/redact.h"

#include <string.h>

#include "base/ascii.h"

enum {
  LONG_ENOUGH = 8, /* a secret of this size is masked anywhere */
  MASK_SIZE = sizeof(FY_MASK) - 1,
  MAX_PATHS = 16
};

struct text {
  const char *data;
  size_t size;
};

/* `digits` hex digits at `at`, or -1. */
static long hex_number(const struct text *text, size_t at, size_t digits) {
  long number = 0;
  size_t i;

  if (at > text->size || text->size - at < digits) {
    return -1;
  }
  for (i = 0; i < digits; i++) {
    int digit = fy_hex_value(text->data[at + i]);

    if (digit < 0) {
      return -1;
    }
    number = number * 16 + digit;
  }
  return number;
}

/* --- Escapes ------------------------------------------------------------ */

/* What an escape stands for: up to four bytes, UTF-8 where it is a code point,
 * and how much of the text it takes; 0 when there is none. */
struct escape {
  size_t length;
  unsigned count;
  unsigned char bytes[4];
};

static void set_utf8(struct escape *escape, unsigned long point) {
  unsigned char *bytes = escape->bytes;
  unsigned i;

  if (point < 0x80) {
    escape->count = 1;
    bytes[0] = (unsigned char)point;
    return;
  }
  escape->count = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  for (i = escape->count - 1; i > 0; i--) {
    bytes[i] = (unsigned char)(0x80 | (point & 0x3F));
    point >>= 6;
  }
  bytes[0] = (unsigned char)(((0xF00U >> escape->count) & 0xF0U) | point);
}

/* \uXXXX, and a surrogate pair as one (RFC 8259 7). */
static void read_unicode(const struct text *text, size_t at,
                         struct escape *escape) {
  long high = hex_number(text, at + 2, 4);
  long low;

  if (high < 0) {
    return;
  }
  escape->length = 6;
  if (high >= 0xD800 && high <= 0xDBFF && text->size - at >= 12 &&
      text->data[at + 6] == '\\' && text->data[at + 7] == 'u') {
    low = hex_number(text, at + 8, 4);
    if (low >= 0xDC00 && low <= 0xDFFF) {
      escape->length = 12;
      high = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    }
  }
  set_utf8(escape, (unsigned long)high);
}

static void read_json(const struct text *text, size_t at,
                      struct escape *escape) {
  static const char letters[] = "\"\\/bfnrt";
  static const char meanings[] = "\"\\/\b\f\n\r\t";
  const char *letter;

  if (text->size - at < 2) {
    return;
  }
  if (text->data[at + 1] == 'u') {
    read_unicode(text, at, escape);
    return;
  }
  letter = memchr(letters, text->data[at + 1], sizeof(letters) - 1);
  if (letter) {
    escape->length = 2;
    escape->count = 1;
    escape->bytes[0] = (unsigned char)meanings[letter - letters];
  }
}

static void read_escape(const struct text *text, size_t at,
                        struct escape *escape) {
  long number;

  escape->length = 0;
  if (text->data[at] == '\\') {
    read_json(text, at, escape);
  } else if (text->data[at] == '%') {
    number = hex_number(text, at + 1, 2);
    if (number >= 0) {
      escape->length = 3;
      escape->count = 1;
      escape->bytes[0] = (unsigned char)number;
    }
  }
}

/* 1 when nothing but hex digits stands from `at` to the end. */
static int ends_in_hex(const struct text *text, size_t at) {
  while (at < text->size && fy_hex_value(text->data[at]) >= 0) {
    at++;
  }
  return at == text->size;
}

/* 1 when the text ends within "\uXXXX" at `at`, or within such a pair. */
static int is_cut_unicode(const struct text *text, size_t at) {
  size_t left = text->size - at;
  long high = hex_number(text, at + 2, 4);

  if (left < 6) {
    return ends_in_hex(text, at + 2);
  }
  if (high < 0xD800 || high > 0xDBFF || left >= 12) {
    return 0;
  }
  return left == 6 || (text->data[at + 6] == '\\' &&
                       (left == 7 || (text->data[at + 7] == 'u' &&
                                      ends_in_hex(text, at + 8))));
}

/* 1 when the text ends within an escape that begins at `at`. */
static int is_cut_escape(const struct text *text, size_t at) {
  size_t left = text->size - at;

  if (text->data[at] == '%') {
    return left < 3 && ends_in_hex(text, at + 1);
  }
  if (text->data[at] != '\\') {
    return 0;
  }
  return left < 2 || (text->data[at + 1] == 'u' && is_cut_unicode(text, at));
}

/* --- Matching ----------------------------------------------------------- */

/* One way in which the text read so far may spell the secret: `at` is where
 * the next byte is looked for, and `part` how many bytes of the escape there
 * are used already. There is more than one only while the secret itself
 * looks like an escape, as in "%25". */
struct path {
  size_t at;
  unsigned part;
};

struct paths {
  size_t count;
  struct path path[MAX_PATHS]; /* in order, each once */
};

static int path_order(const struct path *a, const struct path *b) {
  if (a->at != b->at) {
    return a->at < b->at ? -1 : 1;
  }
  return a->part < b->part ? -1 : a->part > b->part;
}

static void add_path(struct paths *paths, size_t at, unsigned part) {
  struct path path = {at, part};
  size_t i = paths->count;
  size_t middle = MAX_PATHS / 2;

  while (i > 0 && path_order(&paths->path[i - 1], &path) > 0) {
    i--;
  }
  if (i > 0 && path_order(&paths->path[i - 1], &path) == 0) {
    return;
  }
  if (paths->count == MAX_PATHS) {
    /* Only a secret full of '%' or '\' comes here. The ends stay: they are
     * the spellings with no and with every character escaped. */
    memmove(&paths->path[middle], &paths->path[middle + 1],
            (MAX_PATHS - middle - 1) * sizeof(path));
    paths->count--;
    i -= i > middle;
  }
  memmove(&paths->path[i + 1], &paths->path[i],
          (paths->count - i) * sizeof(path));
  paths->path[i] = path;
  paths->count++;
}

/* Add to `next` every way in which `path` goes on with `byte`. */
static void step(const struct text *text, const struct path *path,
                 unsigned char byte, struct paths *next) {
  struct escape escape;

  if (path->at == text->size) {
    return;
  }
  if (!path->part && (unsigned char)text->data[path->at] == byte) {
    add_path(next, path->at + 1, 0);
  }
  read_escape(text, path->at, &escape);
  if (!escape.length || escape.bytes[path->part] != byte) {
    return;
  }
  if (path->part + 1 == escape.count) {
    add_path(next, path->at + escape.length, 0);
  } else {
    add_path(next, path->at, path->part + 1);
  }
}

/* 1 when one of the paths came to the end of the text. */
static int is_cut(const struct text *text, const struct paths *paths) {
  size_t i;

  for (i = 0; i < paths->count; i++) {
    size_t at = paths->path[i].at;

    if (at == text->size || is_cut_escape(text, at)) {
      return 1;
    }
  }
  return 0;
}

/* How many bytes of `secret` stand at `start` as they are, before the first
 * that may be an escape: most attempts fail here, and cheaply. */
static size_t match_plain(const struct text *text, size_t start,
                          const struct fy_span *secret) {
  size_t left = text->size - start;
  size_t most = secret->size < left ? secret->size : left;
  const char *at = text->data + start;
  size_t used = 0;

  while (used < most && at[used] == secret->data[used] && at[used] != '%' &&
         at[used] != '\\') {
    used++;
  }
  return used;
}

/* Where the longest spelling of `secret` that begins at `start` ends, or
 * `start` when there is none. */
static size_t match(const struct text *text, size_t start,
                    const struct fy_span *secret) {
  struct paths both[2];
  struct paths *now = &both[0];
  struct paths *next = &both[1];
  size_t used = match_plain(text, start, secret);
  size_t i;

  now->count = 1;
  now->path[0].at = start + used;
  now->path[0].part = 0;
  for (; used < secret->size; used++) {
    struct paths *spare = now;

    if (used >= LONG_ENOUGH && is_cut(text, now)) {
      return text->size;
    }
    next->count = 0;
    for (i = 0; i < now->count; i++) {
      step(text, &now->path[i], (unsigned char)secret->data[used], next);
    }
    if (!next->count) {
      return start;
    }
    now = next;
    next = spare;
  }
  return now->path[now->count - 1].at;
}

/* --- Masking ------------------------------------------------------------ */

struct job {
  struct text text;
  const struct fy_span *secrets;
  size_t count;
  unsigned char may_begin[256];
};

static size_t find_long(const struct job *job, size_t at) {
  size_t end = at;
  size_t i;

  if (at == job->text.size ||
      !job->may_begin[(unsigned char)job->text.data[at]]) {
    return at;
  }
  for (i = 0; i < job->count; i++) {
    if (job->secrets[i].size >= LONG_ENOUGH) {
      size_t found = match(&job->text, at, &job->secrets[i]);

      end = found > end ? found : end;
    }
  }
  return end;
}

/* 1 when what stands before is no letter and no digit. `done` is the text
 * already masked. An escape there counts as its meaning: in "\n1234" no letter
 * stands before the code. */
static int is_free_before(const struct text *done) {
  static const size_t lengths[] = {2, 3, 6};
  struct escape escape;
  size_t i;

  if (!done->size || !fy_is_alnum(done->data[done->size - 1])) {
    return 1;
  }
  for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
    if (done->size < lengths[i]) {
      break;
    }
    read_escape(done, done->size - lengths[i], &escape);
    if (escape.length == lengths[i]) {
      return !fy_is_alnum((char)escape.bytes[0]);
    }
  }
  return 0;
}

static size_t find_short(const struct job *job, size_t at) {
  const struct text *text = &job->text;
  size_t end = at;
  size_t i;

  if (!job->may_begin[(unsigned char)text->data[at]]) {
    return at;
  }
  for (i = 0; i < job->count; i++) {
    size_t size = job->secrets[i].size;
    size_t found = at;

    if (size && size < LONG_ENOUGH) {
      found = match(text, at, &job->secrets[i]);
    }
    if (found > end &&
        (found == text->size || !fy_is_alnum(text->data[found]) ||
         find_long(job, found) > found)) { /* a mask will stand there */
      end = found;
    }
  }
  return end;
}

/* Where what begins at `at` and has to be masked ends; `at` when nothing does.
 * Another secret may begin within one and reach further. */
static size_t find_region(const struct job *job, size_t at,
                          const struct text *done) {
  size_t end = find_long(job, at);
  size_t found;
  size_t i;

  if (is_free_before(done)) {
    found = find_short(job, at);
    end = found > end ? found : end;
  }
  for (i = at + 1; i < end; i++) {
    found = find_long(job, i);
    end = found > end ? found : end;
    found = find_short(job, i);
    end = found > end ? found : end;
  }
  return end;
}

static void prepare(struct job *job) {
  size_t i;

  for (i = 0; i < job->count; i++) {
    if (job->secrets[i].size) {
      job->may_begin[(unsigned char)job->secrets[i].data[0]] = 1;
    }
  }
  job->may_begin['%'] = 1;
  job->may_begin['\\'] = 1;
}

size_t fy_redact(char *text, size_t size, const struct fy_span *secrets,
                 size_t count) {
  struct job job = {{text, size}, secrets, count, {0}};
  struct text done = {text, 0}; /* never ahead of `at` */
  size_t at = 0;

  prepare(&job);
  while (at < size) {
    size_t end = at;
    size_t mask;

    if (job.may_begin[(unsigned char)text[at]]) {
      end = find_region(&job, at, &done);
    }
    if (end == at) {
      text[done.size++] = text[at++];
      continue;
    }
    mask = end - at < MASK_SIZE ? end - at : MASK_SIZE;
    memcpy(text + done.size, FY_MASK, mask);
    done.size += mask;
    at = end;
  }
  return done.size;
}
