/* SPDX-License-Identifier: MIT */
/* What a client proves itself by: its credential, and the session whose tokens
 * are renewed, handed over and kept. Part of freddy.h, which includes it. */
#ifndef FREDDY_SESSION_H
#define FREDDY_SESSION_H

#include "freddy_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Credentials --------------------------------------------------------- */

typedef enum freddy_credential {
  FREDDY_NONE = 0, /* `secret` is ignored */
  FREDDY_API_KEY,
  FREDDY_TOKEN,
  FREDDY_SESSION, /* tokens that are renewed; see freddy_client_set_session */
  FREDDY_PROVIDER /* only told, not given: freddy_options.provider */
} freddy_credential;

/* Replace the credential. Requests that are sent from now on carry the new
 * one, those already started but not yet sent included. Never blocks.
 * Returns FREDDY_OK, or FREDDY_EMISUSE (empty, control characters),
 * FREDDY_ECLOSED, FREDDY_EFORKED, FREDDY_ENOMEM. */
FREDDY_API int freddy_client_set_credential(freddy_client *client,
                                            freddy_credential kind,
                                            const char *secret, size_t size,
                                            freddy_error *err);

/* Use these tokens from now on, as freddy_client_set_credential does: a
 * session that ends whatever there was, an expired one included.
 *
 * access      NULL: none yet, `refresh` brings the first
 * refresh     NULL: none; then `access` is what FREDDY_TOKEN is
 * expires_in  what is left of `access`'s life, in seconds; 0: what it says
 *
 * Returns FREDDY_OK, or FREDDY_EMISUSE (neither; empty; control characters),
 * FREDDY_ECLOSED, FREDDY_EFORKED, FREDDY_ENOMEM. Never blocks. */
FREDDY_API int freddy_client_set_session(freddy_client *client,
                                         const char *access,
                                         const char *refresh,
                                         double expires_in, freddy_error *err);

/* Forget every credential of the client, and of those that share its session:
 * requests get FREDDY_EMISSING_CREDENTIALS from now on. Tells no server.
 * Never blocks. */
FREDDY_API void freddy_client_forget(freddy_client *client);

/* What kind of credential the client has now, and into tail[5] the last four
 * characters of one that has 20 or more, else "". `tail` may be NULL. */
FREDDY_API freddy_credential freddy_client_credential(freddy_client *client,
                                                      char *tail);

typedef struct freddy_session_status {
  freddy_credential kind;
  const char *state; /* "empty", "fetching", "fresh", "stale", "refreshing",
                        "expired", "failed", "revoked"; static */
  double expires_in; /* seconds until the token counts as expired; -1: not
                        known */
  int refreshing;    /* 1 while a renewal is under way */
  uint64_t refreshes;
  char tail[5];         /* as freddy_client_credential's */
  int saving;           /* 1 while its store is to get something */
  char last_error[232]; /* of the last renewal or save that failed; "" after a
                           renewal that did not */
} freddy_session_status;

/* How the credential stands. Never blocks, and never holds a secret. */
FREDDY_API void freddy_client_status(freddy_client *client,
                                     freddy_session_status *status);

/* --- Renewals ------------------------------------------------------------ */

/* All zero: renew now, within the usual total. */
typedef struct freddy_renewal {
  int settle;     /* 1: renew nothing, only wait until no renewal is under way,
                     its tokens were told, and those of a login are kept */
  int forget;     /* 1: instead of all that, do what freddy_client_forget does,
                     and wait until the store has forgotten, too */
  double timeout; /* seconds; 0: 600, negative: none */
  void *user;     /* given back in every event */
} freddy_renewal;

/* Renew the client's session, whatever the age of its token; who asks while a
 * renewal is under way joins it. The call ends (FREDDY_DONE) with status 0:
 * without error when there is a new token, else as a request would that waits
 * for one: FREDDY_EAUTH with reason session_expired, refresh_failed (during
 * the pause after a failure at once) or no_session, FREDDY_ETIMEOUT... With
 * `settle` or `forget`: store_failed, when the store could not take what
 * freddy_client_install or set_session gave, or has still got it. The
 * call's end does not end the renewal. Never blocks. Returns as freddy_start
 * does. */
FREDDY_API FREDDY_MUST_CHECK int freddy_start_renewal(
    freddy_client *client, freddy_inbox *inbox, const freddy_renewal *how,
    freddy_call **out, freddy_error *err);

/* Use the session that the answer of `call` holds: that of an endpoint which
 * gives tokens out (login, verify), in any of the forms that were seen. It
 * takes the place of whatever credential there was, as by
 * freddy_client_set_session. The tokens are masked in the call's body then.
 *
 * call       of this client, after FREDDY_DONE. Make it with `secrets`
 * must_have  0: an answer without a token is fine (a login that wants a code)
 * cause      "login" or "verify", for FREDDY_NEW_TOKENS; static
 * installed  1 when there is a new session
 * err        optional; filled on failure
 *
 * FREDDY_OK, also where the call failed or its answer is not 2xx. Otherwise
 * nothing has changed, and the call's body is wiped: FREDDY_EPROTOCOL, an
 * answer that is not to be believed, with reason bad_json, not_an_object,
 * no_token, bad_token, bad_type, bad_life or ran_out; FREDDY_ECLOSED,
 * FREDDY_EFORKED, FREDDY_ENOMEM. Never blocks. */
FREDDY_API FREDDY_MUST_CHECK int freddy_client_install(
    freddy_client *client, freddy_call *call, int must_have, const char *cause,
    int *installed, freddy_error *err);

/* --- Listeners ----------------------------------------------------------- */

/* Tokens that are handed over. */
typedef struct freddy_tokens {
  const char *access_token;
  const char *refresh_token; /* NULL: none */
  double expires_in;         /* seconds that it has left; 0: not known */
  double expires_at;         /* the same as seconds since 1970, by this
                                machine's clock; not looked at in answers */
  const char *cause;         /* "exchange", "verify", "login", "refresh",
                                "provider"; static; not looked at in answers */
} freddy_tokens;

/* All zero hears nothing. */
typedef struct freddy_listener {
  int tokens;   /* 1: FREDDY_NEW_TOKENS */
  int provides; /* 1: FREDDY_NEED_TOKEN; see freddy_options.provider */
  int failures; /* 1: FREDDY_NOT_KEPT */
  int permits;  /* 1: FREDDY_NEED_PERMITS; see freddy_options.plan_store */
  void *user;   /* given back in every event */
} freddy_listener;

/* Listen to what becomes of the client's session: a call that sends nothing.
 * It ends with FREDDY_ECLOSED when the client is closed, or is cancelled.
 *
 * FREDDY_NEW_TOKENS comes when tokens were exchanged, renewed, provided, taken
 * from a login (freddy_client_install) or found in the store, where another
 * process had left them ("refresh"); and on freddy_client_forget.
 * Everyone hears it who listens to a client that has this session. Until all
 * have answered, but at most 5 seconds, requests that wait for the token go on
 * waiting; others may be sent with it already.
 *
 * FREDDY_NEED_TOKEN comes when a client made with `provider` needs a token,
 * to its first listener that provides; when no answer comes within
 * timeouts.auth, or no listener is there, that is a failure. (A request of
 * this very client that needs the token waits for it, too.)
 *
 * FREDDY_NOT_KEPT comes when the store of freddy_options could not take what a
 * renewal brought or freddy_client_set_session gave: that is in memory only,
 * and requests go on with it.
 *
 * FREDDY_NEED_PERMITS comes when requests of the client, or of one with which
 * it shares its limiter, wait for permits of its plan: answer it with
 * freddy_call_answer_permits. Until then they wait, as long as they may.
 *
 * Starts no engine. Never blocks. Returns FREDDY_OK, FREDDY_ECLOSED,
 * FREDDY_EFORKED, FREDDY_ENOMEM. */
FREDDY_API FREDDY_MUST_CHECK int freddy_listen(freddy_client *client,
                                               freddy_inbox *inbox,
                                               const freddy_listener *how,
                                               freddy_call **out,
                                               freddy_error *err);

/* Answer a FREDDY_NEW_TOKENS (`tokens` and `failure` are not looked at) or a
 * FREDDY_NEED_TOKEN. An answer to a question that is no longer asked is
 * dropped.
 *
 * tokens   copied. What no server sends (no access token, blanks...) counts
 *          as a failure; NULL: there are none, for `failure`
 * failure  one line for a person; NULL: not said
 *
 * Returns FREDDY_OK, FREDDY_EFORKED, FREDDY_ENOMEM. Never blocks. */
FREDDY_API int freddy_call_answer_token(freddy_call *call, uint32_t question,
                                        const freddy_tokens *tokens,
                                        const char *failure);

#ifdef __cplusplus
}
#endif
#endif
