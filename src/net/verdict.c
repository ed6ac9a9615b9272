/* SPDX-License-Identifier: MIT */
#include "net/verdict.h"

#include <string.h>

#include "base/error.h"
#include "net/call.h"
#include "net/client.h"
#include "net/gunzip.h"
#include "net/transfer.h"

/* X509_V_ERR_* of OpenSSL, by the words that a person would use. */
static const char *certificate_reason(long verify_result) {
  switch (verify_result) {
  case 10:
    return "expired";
  case 9:
    return "not_yet_valid";
  case 18:
    return "self_signed";
  case 19:
  case 20:
  case 21:
    return "unknown_ca";
  case 62:
  case 64:
    return "wrong_host";
  default:
    return NULL;
  }
}

static const struct fy_proxy *proxy_of(const struct fy_transfer *transfer) {
  const struct freddy_call *call = transfer->call;

  return call->ask.target.by_proxy ? call->client->proxy : NULL;
}

/* 1 when it is the proxy with which TLS was spoken last. */
static int is_proxy_tls(const struct fy_transfer *transfer) {
  const struct fy_proxy *proxy = proxy_of(transfer);

  return proxy && proxy->scheme == FY_PROXY_HTTPS && !transfer->connect_status;
}

/* The alert (RFC 8446 6.2) by which a server refuses our certificate, or asks
 * for one, in OpenSSL's words; or NULL. With TLS 1.3 it comes after the
 * handshake, in place of the answer. */
static const char *certificate_alert(const char *text) {
  const char *alert = strstr(text, " alert ");

  return alert && (strstr(alert, "certificate") || strstr(alert, "unknown ca"))
             ? alert + 1
             : NULL;
}

/* The connection ended within the handshake, in the words of the system, of
 * OpenSSL before 3 and of OpenSSL 3. */
static int is_cut(const char *text) {
  return strstr(text, "reset by peer") || strstr(text, "Broken pipe") ||
         strstr(text, "SSL_ERROR_SYSCALL") || strstr(text, "unexpected eof");
}

static const char *tls_reason(const struct fy_transfer *transfer,
                              CURLcode code, const char *text) {
  long verify_result = 0;

  switch (code) {
  case CURLE_SSL_CACERT_BADFILE:
    return transfer->call->client->tls.ca_blob ? "ca_blob" : "ca_file";
  case CURLE_SSL_CERTPROBLEM:
    return "client_cert";
  case CURLE_SSL_CLIENTCERT:
    return "client_cert_refused";
  case CURLE_SSL_CONNECT_ERROR:
    return certificate_alert(text) ? "client_cert_refused"
           : is_cut(text)          ? "handshake_cut"
                                   : NULL;
  default:
    break;
  }
  if (code != CURLE_PEER_FAILED_VERIFICATION) {
    return NULL;
  }
  curl_easy_getinfo(transfer->easy,
                    is_proxy_tls(transfer) ? CURLINFO_PROXY_SSL_VERIFYRESULT
                                           : CURLINFO_SSL_VERIFYRESULT,
                    &verify_result);
  /* libcurl checks the name before it keeps the chain's verdict, which is
   * still its first value, 1, then: it is the name that failed. */
  return verify_result > 1 ? certificate_reason(verify_result) : "wrong_host";
}

static int tls_failed(const struct fy_transfer *transfer, CURLcode code,
                      freddy_error *err, const char *text) {
  const char *reason = tls_reason(transfer, code, text);
  const char *url = transfer->call->ask.target.url;
  const char *no_ca = code == CURLE_SSL_CACERT_BADFILE ? "no CA found: " : "";
  const char *alert = certificate_alert(text);
  struct fy_url parts;

  text = alert ? alert : text;
  if (is_proxy_tls(transfer)) {
    return fy_error_set(err, FREDDY_ETLS, reason,
                        "TLS with the proxy %s: %s%s",
                        proxy_of(transfer)->host, no_ca, text);
  }
  if (fy_url_split(url, strlen(url), &parts, NULL) != FREDDY_OK) {
    parts.host.size = 0;
  }
  return fy_error_set(err, FREDDY_ETLS, reason, "TLS with %.*s: %s%s",
                      (int)parts.host.size, parts.host.data, no_ca, text);
}

/* SOCKS5: what the proxy answered, or did not. */
static int socks_failed(const struct fy_transfer *transfer,
                        freddy_error *err) {
  const char *host = proxy_of(transfer)->host;
  const char *what;
  long code = 0;

  curl_easy_getinfo(transfer->easy, CURLINFO_PROXY_ERROR, &code);
  switch (code) {
  case CURLPX_RESOLVE_HOST:
    return fy_error_set(err, FREDDY_ERESOLVE, NULL,
                        "the server's name has no address (it is looked up "
                        "here; with socks5h by the proxy)");
  case CURLPX_NO_AUTH:
  case CURLPX_USER_REJECTED:
    return fy_error_set(err, FREDDY_ECONNECT, "proxy_auth",
                        code == CURLPX_NO_AUTH
                            ? "the proxy %s wants another authentication"
                            : "the proxy %s refused the user name or password",
                        host);
  case CURLPX_REPLY_NOT_ALLOWED:
    what = "does not allow this server";
    break;
  case CURLPX_REPLY_NETWORK_UNREACHABLE:
  case CURLPX_REPLY_HOST_UNREACHABLE:
  case CURLPX_REPLY_TTL_EXPIRED:
    what = "cannot reach the server";
    break;
  case CURLPX_REPLY_CONNECTION_REFUSED:
    what = "found that the server refuses connections";
    break;
  case CURLPX_REPLY_GENERAL_SERVER_FAILURE:
    what = "failed";
    break;
  default:
    what = "did not answer as a SOCKS5 proxy does";
  }
  return fy_error_set(err, FREDDY_ECONNECT, "proxy", "the proxy %s %s", host,
                      what);
}

/* With a proxy it is the proxy that failed: whether the server can be reached
 * it says itself. */
static int connect_failed(const struct fy_transfer *transfer, CURLcode code,
                          freddy_error *err, const char *text) {
  const struct fy_proxy *proxy = proxy_of(transfer);
  int reached = code != CURLE_COULDNT_CONNECT || strstr(text, "CONNECT");

  if (!proxy) {
    return fy_error_set(err, FREDDY_ECONNECT, NULL, "%s", text);
  }
  return fy_error_set(err, FREDDY_ECONNECT,
                      reached ? "proxy" : "proxy_unreachable",
                      "the proxy %s: %s", proxy->host, text);
}

static int headers_too_large(const struct fy_transfer *transfer) {
  return transfer->sends && !transfer->body_begun;
}

/* The connection broke: before the request was sent that is a failure to
 * connect, afterwards the answer is cut. */
static int broke(const struct fy_transfer *transfer, CURLcode code,
                 freddy_error *err, const char *text) {
  if (transfer->sends == 0 && !certificate_alert(text)) {
    return connect_failed(transfer, code, err, text);
  }
  if (certificate_alert(text)) {
    return tls_failed(transfer, CURLE_SSL_CLIENTCERT, err, text);
  }
  if (strstr(text, "chunk")) {
    return fy_error_set(err, FREDDY_EPROTOCOL, "bad_chunk", "%s", text);
  }
  return fy_error_set(err, FREDDY_ECUT, NULL, "%s", text);
}

/* The error codes of HTTP/2 by which one side says that the other broke the
 * rules (RFC 9113, 7). Which side it was, libcurl does not tell: mostly its
 * own library, about the answer. */
static int breaks_http2(const char *text) {
  static const char *const codes[] = {"(err 1)", "(err 3)", "(err 5)",
                                      "(err 6)", "(err 9)", NULL};

  for (const char *const *code = codes; *code; code++) {
    if (strstr(text, *code)) {
      return 1;
    }
  }
  return 0;
}

/* libcurl holds at most 128 KiB of a stream's headers, and its library few
 * CONTINUATION frames; whose they were, each stream of the connection is
 * told the same. */
static int headers_broke_http2(const struct fy_transfer *transfer,
                               const char *text) {
  return headers_too_large(transfer) &&
         (strstr(text, "returned -902") || strstr(text, "returned -905"));
}

/* What libcurl finds before our own reader does, by the reader's words. */
static const char *protocol_reason(CURLcode code, const char *text) {
  if (strstr(text, "Content-Length")) {
    return "bad_length";
  }
  if (strstr(text, "header") || strstr(text, "Header")) {
    return "bad_header"; /* a NUL in it, or no colon */
  }
  return code == CURLE_BAD_CONTENT_ENCODING ? "bad_encoding" : "bad_status";
}

/* The request went out, or was about to. */
static void judge_answer(const struct fy_transfer *transfer, CURLcode code,
                         freddy_error *err, const char *text) {
  switch (code) {
  case CURLE_OUT_OF_MEMORY:
    /* libcurl has a limit of its own for a header line, and this name. */
    if (headers_too_large(transfer)) {
      fy_error_set(err, FREDDY_ETOO_LARGE, "header",
                   "a header line of the answer is too long");
    } else {
      fy_error_nomem(err);
    }
    break;
  case CURLE_UNSUPPORTED_PROTOCOL:
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_BAD_CONTENT_ENCODING:
    fy_error_set(err, FREDDY_EPROTOCOL, protocol_reason(code, text), "%s",
                 text);
    break;
  case CURLE_HTTP2:
    fy_error_set(
        err, FREDDY_ECUT, NULL,
        "the server ended the HTTP/2 connection before the answer's end");
    break;
  case CURLE_HTTP2_STREAM:
    if (breaks_http2(text)) {
      fy_error_set(err, FREDDY_EPROTOCOL, "bad_http2", "%s", text);
    } else {
      fy_error_set(err, FREDDY_ECUT, NULL, "%s", text);
    }
    break;
  default:
    if (headers_broke_http2(transfer, text)) {
      fy_error_set(err, FREDDY_ETOO_LARGE, "header",
                   "the headers of an answer on this HTTP/2 connection are "
                   "too large");
    } else {
      broke(transfer, code, err, text);
    }
  }
}

static void judge_failure(const struct fy_transfer *transfer, CURLcode code,
                          freddy_error *err) {
  const char *text =
      transfer->curl_text[0] ? transfer->curl_text : curl_easy_strerror(code);

  switch (code) {
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY:
    if (proxy_of(transfer)) { /* libcurl calls a SOCKS proxy a host */
      fy_error_set(err, FREDDY_ERESOLVE, "proxy", "the proxy: %s", text);
    } else {
      fy_error_set(err, FREDDY_ERESOLVE, NULL, "%s", text);
    }
    break;
  case CURLE_COULDNT_CONNECT:
    connect_failed(transfer, code, err, text);
    break;
  case CURLE_PROXY:
    socks_failed(transfer, err);
    break;
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CLIENTCERT:
  case CURLE_SSL_CIPHER:
  case CURLE_SSL_ENGINE_NOTFOUND:
  case CURLE_SSL_ISSUER_ERROR:
  case CURLE_SSL_INVALIDCERTSTATUS:
  case CURLE_USE_SSL_FAILED:
    tls_failed(transfer, code, err, text);
    break;
  default:
    judge_answer(transfer, code, err, text);
  }
}

/* What libcurl 7.88 returns as a success although the answer is not whole. */
static void judge_success(const struct fy_transfer *transfer,
                          freddy_error *err) {
  const struct fy_proxy *proxy = proxy_of(transfer);

  if (!transfer->call->answer.headers.complete) {
    fy_error_set(err, FREDDY_ECUT, NULL,
                 "the connection was closed within the answer's headers");
  } else if (transfer->gunzip && !fy_gunzip_complete(transfer->gunzip)) {
    fy_error_set(err, FREDDY_ECUT, NULL,
                 "the answer's gzip data ends before its end");
  } else if (transfer->call->answer.headers.status == 407 && proxy) {
    /* No server says that (RFC 9110 15.5.8): it forwarded nothing. */
    fy_error_set(err, FREDDY_ECONNECT, "proxy_auth",
                 "the proxy %s refused the request with status 407",
                 proxy->host);
  }
}

/* A refusal is one whether its body is whole or not: that holds no more than
 * words. */
static int is_cut_refusal(const struct fy_transfer *transfer,
                          const freddy_error *err) {
  int is_cut =
      err->code == FREDDY_ECUT ||
      (err->code == FREDDY_EPROTOCOL && strcmp(err->reason, "bad_http2") == 0);

  return is_cut && fy_verdict_is_refusal(transfer);
}

int fy_verdict_is_refusal(const struct fy_transfer *transfer) {
  const struct fy_headers *headers = &transfer->call->answer.headers;

  return headers->complete && headers->status >= 400 && headers->status != 407;
}

void fy_verdict(struct fy_transfer *transfer, CURLcode code,
                freddy_error *err) {
  if (transfer->error.code != FREDDY_OK) {
    *err = transfer->error;
  } else if (transfer->misfit) { /* and no memory to begin anew */
    fy_error_nomem(err);
  } else if (transfer->resent) {
    fy_error_set(err, FREDDY_ECUT, NULL,
                 "the connection was closed before an answer came");
  } else if (code == CURLE_OK) {
    judge_success(transfer, err);
  } else {
    judge_failure(transfer, code, err);
  }
  if (is_cut_refusal(transfer, err)) {
    *err = (freddy_error){.code = FREDDY_OK};
    transfer->call->answer.stats.body_cut = 1;
  }
  err->sent = err->code != FREDDY_OK && atomic_load(&transfer->call->sent);
}
