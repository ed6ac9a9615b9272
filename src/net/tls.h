/* SPDX-License-Identifier: MIT */
/* What a client trusts, and what it shows of itself. Immutable; it belongs to
 * one client. */
#ifndef FY_NET_TLS_H
#define FY_NET_TLS_H

#include "base/secret.h"
#include "freddy.h"

struct fy_transfer;

struct fy_tls {
  char *ca_file; /* at most one of these two */
  char *ca_blob;
  char *cert_file; /* and of these */
  char *cert_blob;
  char *key_file; /* and of these */
  struct fy_secret *key_blob;
};

/* Fill a zeroed `tls` from the options. Reads no file. FREDDY_OK,
 * FREDDY_EMISUSE or FREDDY_ENOMEM; the caller clears it, whatever came out. */
int fy_tls_set(struct fy_tls *tls, const freddy_options *opts,
               freddy_error *err);
void fy_tls_clear(struct fy_tls *tls);

/* Set it up on the transfer's handle: towards the server, and (without the
 * certificate of our own) towards an HTTPS proxy. FREDDY_OK or
 * FREDDY_ENOMEM. */
int fy_tls_apply(struct fy_transfer *transfer);
int fy_tls_apply_proxy(struct fy_transfer *transfer);

/* A connection is about to be made: can its files be read? FREDDY_OK, or
 * FREDDY_ETLS with transfer->error filled. */
int fy_tls_check(struct fy_transfer *transfer);

#endif
