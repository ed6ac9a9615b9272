/* SPDX-License-Identifier: MIT */
#include "net/at_risk.h"

#include <stdatomic.h>
#include <time.h>

#include "net/listener.h"

static const double USUAL_WAIT = 2;

static atomic_int counts[FY_RISK_STORED + 1];
static atomic_long longest; /* milliseconds, of those that count */

void fy_at_risk_add(int how, double exit_wait) {
  double seconds = exit_wait == 0 ? USUAL_WAIT : exit_wait;
  long ms = seconds < 0     ? 0
            : seconds > 1e6 ? 1000000000L
                            : (long)(seconds * 1000);

  if (ms > atomic_load(&longest)) {
    atomic_store(&longest, ms);
  }
  atomic_fetch_add(&counts[how], 1);
}

void fy_at_risk_drop(int how) {
  if (atomic_fetch_sub(&counts[how], 1) == 1 &&
      !atomic_load(&counts[FY_RISK_TOLD]) &&
      !atomic_load(&counts[FY_RISK_STORED])) {
    atomic_store(&longest, 0);
  }
}

void fy_at_risk_wait(void) {
  struct timespec nap = {0, 2000000};
  int heard =
      atomic_load(&counts[FY_RISK_TOLD]) > 0 && fy_listeners_are_elsewhere();

  for (long waited = 0; waited < atomic_load(&longest); waited += 2) {
    if (!atomic_load(&counts[FY_RISK_STORED]) &&
        !(heard && atomic_load(&counts[FY_RISK_TOLD]))) {
      break;
    }
    nanosleep(&nap, NULL);
  }
}

void fy_at_risk_forget(void) {
  for (int i = 0; i <= FY_RISK_STORED; i++) {
    atomic_store(&counts[i], 0);
  }
  atomic_store(&longest, 0);
}
