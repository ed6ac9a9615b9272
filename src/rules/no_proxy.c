/* SPDX-License-Identifier: MIT */
#include "rules/no_proxy.h"

#include <string.h>

#include "base/ascii.h"
#include "base/ip.h"

enum { IPV4 = 4, IPV6 = 16, MAX_PREFIX = 128 };

/* An address of either family; `size` tells which, 0: none. */
struct address {
  unsigned char bytes[IPV6];
  size_t size;
};

struct entry {
  int every;
  struct fy_span name; /* without dots at its ends; empty: an address */
  struct address address;
  unsigned prefix; /* how many of the address's bits count */
  unsigned port;   /* 0: any */
};

/* ::ffff:1.2.3.4 is 1.2.3.4 (RFC 4291 2.5.5.2). */
static void unmap(struct address *address) {
  static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

  if (address->size == IPV6 &&
      memcmp(address->bytes, mapped, sizeof(mapped)) == 0) {
    memmove(address->bytes, address->bytes + sizeof(mapped), IPV4);
    address->size = IPV4;
  }
}

static int read_address(struct fy_span text, struct address *out) {
  if (fy_ip4_parse(text.data, text.size, out->bytes)) {
    out->size = IPV4;
  } else if (fy_ip6_parse(text.data, text.size, out->bytes)) {
    out->size = IPV6;
  } else {
    out->size = 0;
  }
  return out->size != 0;
}

/* Decimal digits up to `most`; 1 and the number, or 0. */
static int read_number(const char *text, size_t size, unsigned most,
                       unsigned *out) {
  unsigned number = 0;

  if (size == 0 || size > 5) {
    return 0;
  }
  for (size_t i = 0; i < size; i++) {
    if (!fy_is_digit(text[i])) {
      return 0;
    }
    number = number * 10 + (unsigned)(text[i] - '0');
  }
  *out = number;
  return number <= most;
}

static int read_range(struct fy_span text, const char *slash,
                      struct entry *out) {
  struct fy_span address = {text.data, (size_t)(slash - text.data)};

  if (!read_address(address, &out->address)) {
    return 0;
  }
  return read_number(slash + 1, text.size - address.size - 1,
                     (unsigned)out->address.size * 8, &out->prefix);
}

/* Cut ":port" off; 0 when what follows the colon is no port. */
static int cut_port(struct fy_span *text, struct entry *out) {
  const char *end = text->data + text->size;
  const char *colon = memchr(text->data, ':', text->size);

  if (text->size && text->data[0] == '[') {
    colon = memchr(text->data, ']', text->size);
    if (!colon) {
      return 0;
    }
    text->data++;
    text->size = (size_t)(colon - text->data);
    colon++;
    if (colon == end) {
      return 1;
    }
    if (*colon != ':') {
      return 0;
    }
  } else if (!colon || memchr(colon + 1, ':', (size_t)(end - colon - 1))) {
    return 1; /* no port, or an IPv6 address without brackets */
  } else {
    text->size = (size_t)(colon - text->data);
  }
  return read_number(colon + 1, (size_t)(end - colon - 1), 65535,
                     &out->port) &&
         out->port > 0;
}

static int is_name(struct fy_span text) {
  for (size_t i = 0; i < text.size; i++) {
    char c = text.data[i];

    if (c == '.' ? i == 0 || text.data[i - 1] == '.'
                 : !fy_is_alnum(c) && c != '-' && c != '_') {
      return 0;
    }
  }
  return text.size > 0;
}

static struct fy_span without_root(struct fy_span name) {
  if (name.size > 1 && name.data[name.size - 1] == '.') {
    name.size--;
  }
  return name;
}

static int read_name(struct fy_span text, struct entry *out) {
  if (text.size > 1 && text.data[0] == '*' && text.data[1] == '.') {
    text.data++;
    text.size--;
  }
  if (text.size > 1 && text.data[0] == '.') {
    text.data++;
    text.size--;
  }
  out->name = without_root(text);
  return is_name(out->name);
}

static int read_entry(struct fy_span text, struct entry *out) {
  const char *slash = memchr(text.data, '/', text.size);
  int bracket = text.data[0] == '[';

  memset(out, 0, sizeof(*out));
  if (text.size == 1 && text.data[0] == '*') {
    out->every = 1;
    return 1;
  }
  if (slash) {
    return read_range(text, slash, out);
  }
  if (!cut_port(&text, out)) {
    return 0;
  }
  if (read_address(text, &out->address)) {
    out->prefix = (unsigned)out->address.size * 8;
    return !bracket || out->address.size == IPV6;
  }
  return !bracket && read_name(text, out);
}

static int is_separator(char c) {
  return c == ',' || c == ' ' || c == '\t';
}

/* The next entry at or after *at; 0 at the end of the list. */
static int next_entry(const char *list, size_t size, size_t *at,
                      struct fy_span *out) {
  while (*at < size && is_separator(list[*at])) {
    (*at)++;
  }
  out->data = list + *at;
  while (*at < size && !is_separator(list[*at])) {
    (*at)++;
  }
  out->size = (size_t)(list + *at - out->data);
  return out->size > 0;
}

int fy_no_proxy_is_valid(const char *list, size_t size) {
  struct fy_span text;
  struct entry entry;
  size_t at = 0;

  while (next_entry(list, size, &at, &text)) {
    if (!read_entry(text, &entry)) {
      return 0;
    }
  }
  return 1;
}

static int has_prefix(const struct address *address,
                      const struct address *range, unsigned prefix) {
  unsigned whole = prefix / 8;
  unsigned rest = prefix % 8;
  unsigned mask = (0xff00U >> rest) & 0xff;

  if (address->size != range->size ||
      memcmp(address->bytes, range->bytes, whole) != 0) {
    return 0;
  }
  return !rest || ((address->bytes[whole] ^ range->bytes[whole]) & mask) == 0;
}

/* The same host, or one under it: the end after a dot. */
static int is_under(struct fy_span host, struct fy_span name) {
  size_t ahead;

  if (host.size < name.size) {
    return 0;
  }
  ahead = host.size - name.size;
  for (size_t i = 0; i < name.size; i++) {
    if (fy_lower(host.data[ahead + i]) != fy_lower(name.data[i])) {
      return 0;
    }
  }
  return !ahead || host.data[ahead - 1] == '.';
}

static int has_address(const struct entry *entry,
                       const struct address *address) {
  struct address range = entry->address;
  struct address plain = *address;

  if (has_prefix(address, &range, entry->prefix)) {
    return 1;
  }
  unmap(&plain);
  if (range.size == IPV6 && entry->prefix >= MAX_PREFIX - 32) {
    unmap(&range);
    return range.size == IPV4 &&
           has_prefix(&plain, &range, entry->prefix - (MAX_PREFIX - 32));
  }
  return has_prefix(&plain, &range, entry->prefix);
}

int fy_no_proxy_has(const char *list, size_t size, const struct fy_url *url) {
  struct fy_span host = without_root(url->host);
  struct address address;
  struct fy_span text;
  struct entry entry;
  size_t at = 0;

  read_address(host, &address);
  while (next_entry(list, size, &at, &text)) {
    if (!read_entry(text, &entry) || (entry.port && entry.port != url->port)) {
      continue;
    }
    if (entry.every ||
        (entry.name.size && !address.size && is_under(host, entry.name)) ||
        (entry.address.size && address.size &&
         has_address(&entry, &address))) {
      return 1;
    }
  }
  return 0;
}
