/* SPDX-License-Identifier: MIT */
/* What the C programs of the benchmarks share: clocks, and the one line that
 * each of them prints: wall and CPU seconds, connections, longest wait. */
#ifndef FY_BENCH_H
#define FY_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct bench {
  double wall, cpu;
  long connections;
};

static inline double bench_clock(clockid_t clock) {
  struct timespec now;

  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline double bench_now(void) {
  return bench_clock(CLOCK_MONOTONIC);
}

static inline void bench_begin(struct bench *bench) {
  bench->connections = 0;
  bench->wall = bench_now();
  bench->cpu = bench_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static inline void bench_end(struct bench *bench) {
  bench->wall = bench_now() - bench->wall;
  bench->cpu = bench_clock(CLOCK_PROCESS_CPUTIME_ID) - bench->cpu;
}

static inline void bench_print(const struct bench *bench) {
  printf("%.6f %.6f %ld\n", bench->wall, bench->cpu, bench->connections);
}

_Noreturn static inline void bench_die(const char *what) {
  fprintf(stderr, "bench: %s\n", what);
  exit(1);
}

#endif
