/* SPDX-License-Identifier: MIT */
/* Sessions that an exit now might lose: a refresh that was sent may have spent
 * its token, and the new one has not been taken over yet, by a store or by a
 * listener. Any thread. */
#ifndef FY_NET_AT_RISK_H
#define FY_NET_AT_RISK_H

/* Who is to take it over. */
enum { FY_RISK_NONE, FY_RISK_TOLD, FY_RISK_STORED };

/* One more, or one less. `exit_wait`: as freddy_options has it. */
void fy_at_risk_add(int how, double exit_wait);
void fy_at_risk_drop(int how);

/* The process exits: wait until there is none any more. Those that a listener
 * is to hear of count where it hears on another thread. */
void fy_at_risk_wait(void);

/* They are the parent's, of which this is a fork. */
void fy_at_risk_forget(void);

#endif
