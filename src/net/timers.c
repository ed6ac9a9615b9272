/* SPDX-License-Identifier: MIT */
#include "net/timers.h"

#include <assert.h>

#include "base/mem.h"
#include "freddy.h"

static void put(struct fy_timers *timers, size_t place,
                struct fy_timer *timer) {
  timers->heap[place - 1] = timer;
  timer->place = place;
}

static void sift_up(struct fy_timers *timers, size_t place,
                    struct fy_timer *timer) {
  while (place > 1 && timers->heap[place / 2 - 1]->due > timer->due) {
    put(timers, place, timers->heap[place / 2 - 1]);
    place /= 2;
  }
  put(timers, place, timer);
}

static void sift_down(struct fy_timers *timers, size_t place,
                      struct fy_timer *timer) {
  for (;;) {
    size_t child = place * 2;

    if (child > timers->count) {
      break;
    }
    if (child < timers->count &&
        timers->heap[child]->due < timers->heap[child - 1]->due) {
      child++;
    }
    if (timers->heap[child - 1]->due >= timer->due) {
      break;
    }
    put(timers, place, timers->heap[child - 1]);
    place = child;
  }
  put(timers, place, timer);
}

int fy_timers_reserve(struct fy_timers *timers, size_t count) {
  struct fy_timer **heap;
  size_t room;

  if (count <= timers->room) {
    return FREDDY_OK;
  }
  room = count + count / 2 + 16;
  heap = fy_realloc(timers->heap, room * sizeof(*heap));
  if (!heap) {
    return FREDDY_ENOMEM;
  }
  timers->heap = heap;
  timers->room = room;
  return FREDDY_OK;
}

void fy_timers_set(struct fy_timers *timers, struct fy_timer *timer,
                   fy_time due) {
  size_t place = timer->place;

  if (due == FY_NEVER) {
    fy_timers_unset(timers, timer);
    return;
  }
  if (place == 0) {
    assert(timers->count < timers->room);
    place = ++timers->count;
    timer->due = due;
    sift_up(timers, place, timer);
  } else if (due < timer->due) {
    timer->due = due;
    sift_up(timers, place, timer);
  } else {
    timer->due = due;
    sift_down(timers, place, timer);
  }
}

void fy_timers_unset(struct fy_timers *timers, struct fy_timer *timer) {
  size_t place = timer->place;
  struct fy_timer *last;

  if (place == 0) {
    return;
  }
  timer->place = 0;
  last = timers->heap[--timers->count];
  if (last == timer) {
    return;
  }
  if (place > 1 && timers->heap[place / 2 - 1]->due > last->due) {
    sift_up(timers, place, last);
  } else {
    sift_down(timers, place, last);
  }
}

fy_time fy_timers_next(const struct fy_timers *timers) {
  return timers->count ? timers->heap[0]->due : FY_NEVER;
}

void fy_timers_run(struct fy_timers *timers, fy_time now) {
  while (timers->count && timers->heap[0]->due <= now) {
    struct fy_timer *timer = timers->heap[0];

    fy_timers_unset(timers, timer);
    timer->fire(timer, now);
  }
}

void fy_timers_clear(struct fy_timers *timers) {
  fy_free(timers->heap);
  timers->heap = NULL;
  timers->count = timers->room = 0;
}
