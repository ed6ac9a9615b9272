/* SPDX-License-Identifier: MIT */
/* Input: a text. However long its strings are, what is made of it by reference
 * is what jansson makes of it, and so are the errors. */
#include <stdint.h>
#include <stdlib.h>

#include "../c/json_same.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!same_json((const char *)data, size, NULL, NULL)) {
    abort();
  }
  return 0;
}
