/* SPDX-License-Identifier: MIT */
#include "base/ip.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/ascii.h"

/* Not inet_pton: some accept leading zeros, which others take for octal. */
int fy_ip4_parse(const char *text, size_t size, unsigned char out[4]) {
  size_t at = 0;
  int i;

  for (i = 0; i < 4; i++) {
    size_t start = at;
    unsigned octet = 0;

    while (at < size && fy_is_digit(text[at]) && at - start < 3) {
      octet = octet * 10 + (unsigned)(text[at++] - '0');
    }
    if (at == start || octet > 255 || (text[start] == '0' && at > start + 1)) {
      return 0;
    }
    out[i] = (unsigned char)octet;
    if (i < 3 && (at == size || text[at++] != '.')) {
      return 0;
    }
  }
  return at == size;
}

int fy_ip6_parse(const char *text, size_t size, unsigned char out[16]) {
  char copy[INET6_ADDRSTRLEN];

  if (size >= sizeof(copy) || memchr(text, '\0', size)) {
    return 0;
  }
  memcpy(copy, text, size);
  copy[size] = '\0';
  return inet_pton(AF_INET6, copy, out) == 1;
}
