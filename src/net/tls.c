/* SPDX-License-Identifier: MIT */
#include "net/tls.h"

#include <curl/curl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/ascii.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/call.h"
#include "net/client.h"
#include "net/transfer.h"

/* --- Options ------------------------------------------------------------ */

void fy_tls_clear(struct fy_tls *tls) {
  fy_free(tls->ca_file);
  fy_free(tls->ca_blob);
  fy_free(tls->cert_file);
  fy_free(tls->cert_blob);
  fy_free(tls->key_file);
  fy_secret_unref(tls->key_blob);
  memset(tls, 0, sizeof(*tls));
}

static int copy(const char *text, char **out, freddy_error *err) {
  *out = fy_strndup(text, strlen(text));
  return *out ? FREDDY_OK : fy_error_nomem(err);
}

static int copy_path(const char *what, const char *path, char **out,
                     freddy_error *err) {
  int good = path[0] != '\0';

  for (const char *at = path; *at; at++) {
    good = good && !fy_is_control(*at);
  }
  return good
             ? copy(path, out, err)
             : fy_error_set(err, FREDDY_EMISUSE, NULL, "%s: not a path", what);
}

static int is_pem(const char *text) {
  return strstr(text, "-----BEGIN ") != NULL;
}

static int check_size(const char *what, const char *text, freddy_error *err) {
  return strlen(text) <= FY_MAX_PEM
             ? FREDDY_OK
             : fy_error_set(err, FREDDY_EMISUSE, NULL,
                            "%s: longer than %zu bytes", what, FY_MAX_PEM);
}

static int set_ca(struct fy_tls *tls, const freddy_options *opts,
                  freddy_error *err) {
  int rc;

  if (opts->ca_file && opts->ca_blob) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "ca_file and ca_blob exclude each other");
  }
  if (opts->ca_file) {
    return copy_path("ca_file", opts->ca_file, &tls->ca_file, err);
  }
  if (!opts->ca_blob) {
    return FREDDY_OK;
  }
  if (!*opts->ca_blob) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL, "ca_blob: empty");
  }
  rc = check_size("ca_blob", opts->ca_blob, err);
  return rc ? rc : copy(opts->ca_blob, &tls->ca_blob, err);
}

/* libcurl keeps copies of a certificate, and would of a key within it. */
static int set_cert_blob(struct fy_tls *tls, const freddy_options *opts,
                         freddy_error *err) {
  int rc = check_size("client_cert", opts->client_cert, err);

  if (rc != FREDDY_OK) {
    return rc;
  }
  if (strstr(opts->client_cert, "PRIVATE KEY-----")) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "client_cert: the text holds a private key; give it "
                        "as client_key");
  }
  if (!opts->client_key) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "client_cert: a text needs a client_key");
  }
  return copy(opts->client_cert, &tls->cert_blob, err);
}

static int set_cert(struct fy_tls *tls, const freddy_options *opts,
                    freddy_error *err) {
  if (!opts->client_cert) {
    return FREDDY_OK;
  }
  return is_pem(opts->client_cert)
             ? set_cert_blob(tls, opts, err)
             : copy_path("client_cert", opts->client_cert, &tls->cert_file,
                         err);
}

static int set_key(struct fy_tls *tls, const freddy_options *opts,
                   freddy_error *err) {
  const char *key = opts->client_key;
  int rc;

  if (!key) {
    return FREDDY_OK;
  }
  if (!opts->client_cert) {
    return fy_error_set(err, FREDDY_EMISUSE, NULL,
                        "client_key needs a client_cert");
  }
  if (!is_pem(key)) {
    return copy_path("client_key", key, &tls->key_file, err);
  }
  rc = check_size("client_key", key, err);
  if (rc == FREDDY_OK) {
    tls->key_blob = fy_secret_new(NULL, key, strlen(key));
    rc = tls->key_blob ? FREDDY_OK : fy_error_nomem(err);
  }
  return rc;
}

int fy_tls_set(struct fy_tls *tls, const freddy_options *opts,
               freddy_error *err) {
  int rc = set_ca(tls, opts, err);

  if (rc == FREDDY_OK) {
    rc = set_cert(tls, opts, err);
  }
  return rc ? rc : set_key(tls, opts, err);
}

/* --- A transfer's ------------------------------------------------------- */

static int set_text(CURL *easy, CURLoption option, const char *text) {
  return !text || curl_easy_setopt(easy, option, text) == CURLE_OK
             ? FREDDY_OK
             : FREDDY_ENOMEM;
}

static int set_blob(CURL *easy, CURLoption option, const char *text,
                    size_t size, unsigned flags) {
  struct curl_blob blob = {(void *)(uintptr_t)text, size, flags};

  return !text || curl_easy_setopt(easy, option, &blob) == CURLE_OK
             ? FREDDY_OK
             : FREDDY_ENOMEM;
}

/* libcurl opens the file on the engine's thread: a pipe would hold it up
 * until somebody writes. What is not there it reports by itself. */
static int check_file(struct fy_transfer *transfer, const char *path,
                      const char *reason) {
  struct stat status;

  if (!path || stat(path, &status) || S_ISREG(status.st_mode)) {
    return FREDDY_OK;
  }
  return fy_error_set(&transfer->error, FREDDY_ETLS, reason,
                      "%s: not a regular file", path);
}

int fy_tls_check(struct fy_transfer *transfer) {
  const struct fy_tls *tls = &transfer->call->client->tls;
  int rc = check_file(transfer, tls->ca_file, "ca_file");

  if (rc == FREDDY_OK) {
    rc = check_file(transfer, tls->cert_file, "client_cert");
  }
  return rc ? rc : check_file(transfer, tls->key_file, "client_cert");
}

static int apply_cert(struct fy_transfer *transfer) {
  const struct fy_tls *tls = &transfer->call->client->tls;
  CURL *easy = transfer->easy;

  if (!transfer->call->ask.shows_cert ||
      (!tls->cert_file && !tls->cert_blob)) {
    return FREDDY_OK; /* it says who we are, as a credential does */
  }
  /* Without one OpenSSL asks the terminal for an encrypted key's. */
  if (set_text(easy, CURLOPT_KEYPASSWD, "") ||
      set_text(easy, CURLOPT_SSLCERT, tls->cert_file) ||
      set_text(easy, CURLOPT_SSLKEY, tls->key_file) ||
      set_blob(easy, CURLOPT_SSLCERT_BLOB, tls->cert_blob,
               tls->cert_blob ? strlen(tls->cert_blob) : 0, CURL_BLOB_COPY)) {
    return FREDDY_ENOMEM;
  }
  if (!tls->key_blob) {
    return FREDDY_OK;
  }
  transfer->client_key = fy_secret_ref(tls->key_blob);
  return set_blob(easy, CURLOPT_SSLKEY_BLOB,
                  fy_secret_text(transfer->client_key),
                  fy_secret_size(transfer->client_key), CURL_BLOB_NOCOPY);
}

int fy_tls_apply(struct fy_transfer *transfer) {
  const struct fy_tls *tls = &transfer->call->client->tls;
  CURL *easy = transfer->easy;
  int rc;

  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  /* A CA path, also a compiled-in one, switches off the cache of the parsed
   * store, and then every connection parses it again. */
  curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
  rc = set_text(easy, CURLOPT_CAINFO, tls->ca_file);
  if (rc == FREDDY_OK) {
    rc = set_blob(easy, CURLOPT_CAINFO_BLOB, tls->ca_blob,
                  tls->ca_blob ? strlen(tls->ca_blob) : 0, CURL_BLOB_COPY);
  }
  return rc ? rc : apply_cert(transfer);
}

int fy_tls_apply_proxy(struct fy_transfer *transfer) {
  const struct fy_tls *tls = &transfer->call->client->tls;
  CURL *easy = transfer->easy;
  int rc;

  curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(easy, CURLOPT_PROXY_SSLVERSION,
                   (long)CURL_SSLVERSION_TLSv1_2);
  curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
  rc = set_text(easy, CURLOPT_PROXY_CAINFO, tls->ca_file);
  return rc ? rc
            : set_blob(easy, CURLOPT_PROXY_CAINFO_BLOB, tls->ca_blob,
                       tls->ca_blob ? strlen(tls->ca_blob) : 0,
                       CURL_BLOB_COPY);
}
