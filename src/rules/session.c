/* SPDX-License-Identifier: MIT */
#include "rules/session.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "rules/json.h"

enum { VERSION = 1 };

/* Where numbers stop being times: the year 9999. */
static const double LATEST = 253402300799.0;
/* A hundred years. */
static const double LONGEST_LIFE = 3155760001.0; /* and what rounding adds */

static int is_time(double seconds) {
  return seconds >= 0 && seconds <= LATEST; /* and no NAN */
}

/* Printable ASCII, `least` being the first that may be in it. */
static int is_printable(const char *text, size_t size, char least,
                        size_t most) {
  if (!text || size == 0 || size > most) {
    return 0;
  }
  for (size_t i = 0; i < size; i++) {
    if (text[i] < least || text[i] > '~') {
      return 0;
    }
  }
  return 1;
}

static int is_token(const char *text, size_t size) {
  return is_printable(text, size, '!', FY_MAX_SECRET);
}

/* --- Reading ------------------------------------------------------------ */

static enum fy_session_fault read_token(const json_t *value,
                                        struct fy_secret **out) {
  if (!value || json_is_null(value)) {
    return FY_SESSION_GOOD;
  }
  if (!is_token(json_string_value(value), json_string_length(value))) {
    return FY_SESSION_CORRUPT;
  }
  *out =
      fy_secret_new(NULL, json_string_value(value), json_string_length(value));
  return *out ? FY_SESSION_GOOD : FY_SESSION_NO_MEMORY;
}

static enum fy_session_fault read_time(const json_t *value, double *out) {
  if (!value || json_is_null(value)) {
    return FY_SESSION_GOOD;
  }
  if (!json_is_number(value) || !is_time(json_number_value(value))) {
    return FY_SESSION_CORRUPT;
  }
  *out = json_number_value(value);
  return FY_SESSION_GOOD;
}

static enum fy_session_fault check_version(const json_t *file) {
  const json_t *version = json_object_get(file, "freddy_session");

  if (!json_is_integer(version) || json_integer_value(version) < VERSION) {
    return FY_SESSION_CORRUPT;
  }
  return json_integer_value(version) > VERSION ? FY_SESSION_NEWER
                                               : FY_SESSION_GOOD;
}

static enum fy_session_fault check_name(const json_t *value, const char *want,
                                        enum fy_session_fault other) {
  const char *text = json_string_value(value);

  if (!text) {
    return FY_SESSION_CORRUPT;
  }
  return json_string_length(value) == strlen(want) && strcmp(text, want) == 0
             ? FY_SESSION_GOOD
             : other;
}

/* Unless it is an access token without its time, or a life that is none. */
static int is_consistent(const struct fy_kept_session *session) {
  if (session->expires_at > 0 &&
      (session->expires_at < session->obtained_at ||
       session->expires_at - session->obtained_at > LONGEST_LIFE)) {
    return 0;
  }
  return !session->access || session->obtained_at >= 1;
}

static enum fy_session_fault read_file(const json_t *file,
                                       const struct fy_session_owner *owner,
                                       struct fy_kept_session *session) {
  enum fy_session_fault fault = check_version(file);

  if (!fault) {
    fault = check_name(json_object_get(file, "server"), owner->server,
                       FY_SESSION_OTHER_SERVER);
  }
  if (!fault) {
    fault = check_name(json_object_get(file, "kind"), owner->kind,
                       FY_SESSION_OTHER_KIND);
  }
  if (!fault) {
    fault =
        read_time(json_object_get(file, "obtained_at"), &session->obtained_at);
  }
  if (!fault) {
    fault =
        read_time(json_object_get(file, "expires_at"), &session->expires_at);
  }
  if (!fault) {
    fault =
        read_token(json_object_get(file, "access_token"), &session->access);
  }
  if (!fault) {
    fault =
        read_token(json_object_get(file, "refresh_token"), &session->refresh);
  }
  if (!fault && !is_consistent(session)) {
    fault = FY_SESSION_CORRUPT;
  }
  return fault;
}

enum fy_session_fault fy_session_read(const char *text, size_t size,
                                      const struct fy_session_owner *owner,
                                      struct fy_kept_session *session) {
  freddy_error err = {.code = FREDDY_OK};
  enum fy_session_fault fault;
  json_t *file;

  memset(session, 0, sizeof(*session));
  if (size == 0) {
    return FY_SESSION_GOOD;
  }
  if (size > FY_MAX_SESSION) {
    return FY_SESSION_CORRUPT;
  }
  file = fy_json_parse(text, size, &err);
  if (!file) {
    return err.code == FREDDY_ENOMEM ? FY_SESSION_NO_MEMORY
                                     : FY_SESSION_CORRUPT;
  }
  fault = json_is_object(file) ? read_file(file, owner, session)
                               : FY_SESSION_CORRUPT;
  fy_json_wipe(file);
  json_decref(file);
  if (fault) {
    fy_session_clear(session);
  }
  return fault;
}

/* --- Writing ------------------------------------------------------------ */

/* Counts when `text` is NULL. What is added is printable ASCII. */
struct writer {
  char *text;
  size_t size;
};

static void add(struct writer *out, const char *text, size_t size) {
  if (out->text) {
    memcpy(out->text + out->size, text, size);
  }
  out->size += size;
}

static void adds(struct writer *out, const char *text) {
  add(out, text, strlen(text));
}

static void add_member(struct writer *out, const char *name, const char *text,
                       size_t size) {
  adds(out, ",\n \"");
  adds(out, name);
  adds(out, "\": \"");
  for (size_t i = 0; i < size; i++) {
    if (text[i] == '"' || text[i] == '\\') {
      adds(out, "\\");
    }
    add(out, text + i, 1);
  }
  adds(out, "\"");
}

static void add_token(struct writer *out, const char *name,
                      const struct fy_secret *token) {
  if (token) {
    add_member(out, name, fy_secret_bare(token), fy_secret_bare_size(token));
  }
}

/* Milliseconds, in a way that no locale changes. */
static void add_time(struct writer *out, const char *name, double seconds) {
  int64_t ms = (int64_t)(seconds * 1000 + 0.5);
  char text[64];

  if (ms > 0) {
    snprintf(text, sizeof(text), ",\n \"%s\": %" PRId64 ".%03d", name,
             ms / 1000, (int)(ms % 1000));
    adds(out, text);
  }
}

static void add_all(struct writer *out, const struct fy_kept_session *session,
                    const struct fy_session_owner *owner) {
  adds(out, "{\"freddy_session\": 1");
  add_member(out, "server", owner->server, strlen(owner->server));
  add_member(out, "kind", owner->kind, strlen(owner->kind));
  add_token(out, "access_token", session->access);
  add_token(out, "refresh_token", session->refresh);
  add_time(out, "obtained_at", session->obtained_at);
  add_time(out, "expires_at", session->expires_at);
  adds(out, "}\n");
}

static int is_name(const char *text) {
  return text && is_printable(text, strlen(text), ' ', FY_MAX_URL);
}

static int is_kept_well(const struct fy_secret *token) {
  return !token || is_token(fy_secret_bare(token), fy_secret_bare_size(token));
}

int fy_session_write(const struct fy_kept_session *session,
                     const struct fy_session_owner *owner, char **text,
                     size_t *size) {
  struct writer out = {NULL, 0};

  *text = NULL;
  *size = 0;
  if (!is_name(owner->server) || !is_name(owner->kind) ||
      !is_kept_well(session->access) || !is_kept_well(session->refresh) ||
      !is_time(session->obtained_at) || !is_time(session->expires_at) ||
      !is_consistent(session)) {
    return FREDDY_EMISUSE;
  }
  add_all(&out, session, owner);
  out.text = fy_malloc(out.size + 1);
  if (!out.text) {
    return FREDDY_ENOMEM;
  }
  *size = out.size;
  out.size = 0;
  add_all(&out, session, owner);
  out.text[*size] = '\0';
  *text = out.text;
  return FREDDY_OK;
}

void fy_session_text_free(char *text, size_t size) {
  if (text) {
    fy_wipe(text, size);
    fy_free(text);
  }
}

/* --- What it is --------------------------------------------------------- */

void fy_session_set(struct fy_kept_session *to,
                    const struct fy_kept_session *from) {
  struct fy_kept_session old = *to;

  *to = *from;
  fy_secret_ref(to->access);
  fy_secret_ref(to->refresh);
  fy_session_clear(&old);
}

void fy_session_clear(struct fy_kept_session *session) {
  fy_secret_unref(session->access);
  fy_secret_unref(session->refresh);
  memset(session, 0, sizeof(*session));
}

int fy_session_is_empty(const struct fy_kept_session *session) {
  return !session->access && !session->refresh;
}

static int is_same_token(const struct fy_secret *a,
                         const struct fy_secret *b) {
  if (!a || !b) {
    return a == b;
  }
  return fy_secret_bare_size(a) == fy_secret_bare_size(b) &&
         memcmp(fy_secret_bare(a), fy_secret_bare(b),
                fy_secret_bare_size(a)) == 0;
}

int fy_session_is_same(const struct fy_kept_session *a,
                       const struct fy_kept_session *b) {
  return is_same_token(a->access, b->access) &&
         is_same_token(a->refresh, b->refresh);
}

int fy_session_is_alive(const struct fy_kept_session *session, double wall) {
  double margin = (session->expires_at - session->obtained_at) / 20;

  if (!session->access || session->expires_at <= 0) {
    return session->access != NULL;
  }
  return wall < session->expires_at - (margin < 10 ? margin : 10);
}

void fy_session_grant(const struct fy_kept_session *session, double wall,
                      fy_time now, struct fy_token_grant *grant) {
  double age = wall - session->obtained_at;

  grant->since = age > 0 ? now - fy_clock_from_seconds(age) : now;
  grant->life =
      session->expires_at > 0
          ? fy_clock_from_seconds(session->expires_at - session->obtained_at)
          : FY_NEVER;
  grant->has_refresh = session->refresh != NULL;
}
