/* SPDX-License-Identifier: MIT */
#include "base/secret.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"

#if !defined(MAP_ANONYMOUS) && defined(MAP_ANON)
#define MAP_ANONYMOUS MAP_ANON
#endif

struct fy_secret {
  atomic_uint refs;
  atomic_uint watchers; /* of these */
  size_t mapped;        /* bytes of the mapping that begins here */
  size_t prefix;
  size_t size; /* prefix included */
  char text[];
};

void fy_wipe(void *memory, size_t size) {
  if (!size) {
    return;
  }
#if defined(__GNUC__)
  memset(memory, 0, size);
  /* Says that the zeros are read, so that the memset stays. */
  __asm__ __volatile__("" : : "r"(memory) : "memory");
#else
  {
    volatile unsigned char *byte = memory;

    while (size--) {
      *byte++ = 0;
    }
  }
#endif
}

/* Pages that hold nothing else: locking and dump flags work on whole pages,
 * and nothing that was freed lies beside the secret. NULL on failure. */
static void *pages_new(size_t size) {
  void *pages;

  if (fy_mem_fails()) {
    return NULL;
  }
  pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
               -1, 0);
  if (pages == MAP_FAILED) {
    return NULL;
  }
  fy_mem_add_pages(pages, size);
  /* As far as the system allows: locked memory is scarce for most users. */
  (void)mlock(pages, size);
#ifdef MADV_DONTDUMP
  (void)madvise(pages, size, MADV_DONTDUMP);
#endif
  return pages;
}

static size_t page_size(void) {
  long size = sysconf(_SC_PAGESIZE);

  return size > 0 ? (size_t)size : 4096;
}

struct fy_secret *fy_secret_new(const char *prefix, const void *data,
                                size_t size) {
  size_t ahead = prefix ? strlen(prefix) : 0;
  size_t page = page_size();
  size_t most = SIZE_MAX - page - sizeof(struct fy_secret) - 1;
  struct fy_secret *secret;
  size_t mapped;

  if (ahead > most || size > most - ahead) {
    return NULL;
  }
  mapped = sizeof(*secret) + ahead + size + 1;
  mapped = (mapped + page - 1) / page * page;
  secret = pages_new(mapped);
  if (!secret) {
    return NULL;
  }
  atomic_init(&secret->refs, 1);
  atomic_init(&secret->watchers, 0);
  secret->mapped = mapped;
  secret->prefix = ahead;
  secret->size = ahead + size;
  if (ahead) {
    memcpy(secret->text, prefix, ahead);
  }
  if (size) {
    memcpy(secret->text + ahead, data, size);
  }
  secret->text[ahead + size] = '\0';
  return secret;
}

struct fy_secret *fy_secret_ref(struct fy_secret *secret) {
  if (secret) {
    atomic_fetch_add_explicit(&secret->refs, 1, memory_order_relaxed);
  }
  return secret;
}

void fy_secret_unref(struct fy_secret *secret) {
  size_t mapped;

  if (!secret) {
    return;
  }
  if (atomic_fetch_sub_explicit(&secret->refs, 1, memory_order_acq_rel) > 1) {
    return;
  }
  mapped = secret->mapped;
  fy_wipe(secret, mapped);
  fy_mem_drop_pages(secret);
  munmap(secret, mapped);
}

void fy_secret_watch(struct fy_secret *secret) {
  atomic_fetch_add_explicit(&secret->watchers, 1, memory_order_relaxed);
}

void fy_secret_unwatch(struct fy_secret *secret) {
  atomic_fetch_sub_explicit(&secret->watchers, 1, memory_order_relaxed);
  fy_secret_unref(secret);
}

int fy_secret_is_used(const struct fy_secret *secret) {
  return atomic_load_explicit(&secret->refs, memory_order_acquire) >
         atomic_load_explicit(&secret->watchers, memory_order_acquire);
}

int fy_secret_equal(const struct fy_secret *a, const struct fy_secret *b) {
  unsigned differ = 0;

  if (a->size != b->size) {
    return 0;
  }
  for (size_t i = 0; i < a->size; i++) {
    differ |=
        (unsigned)((unsigned char)a->text[i] ^ (unsigned char)b->text[i]);
  }
  return differ == 0;
}

const char *fy_secret_text(const struct fy_secret *secret) {
  return secret->text;
}

size_t fy_secret_size(const struct fy_secret *secret) {
  return secret->size;
}

const char *fy_secret_bare(const struct fy_secret *secret) {
  return secret->text + secret->prefix;
}

size_t fy_secret_bare_size(const struct fy_secret *secret) {
  return secret->size - secret->prefix;
}
