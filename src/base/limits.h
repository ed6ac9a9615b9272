/* SPDX-License-Identifier: MIT */
/* Every ceiling of the library, in one table. What the network or a user can
 * grow is bounded by one of these. */
#ifndef FY_BASE_LIMITS_H
#define FY_BASE_LIMITS_H

#include <stddef.h>

#define FY_KIB ((size_t)1024)
#define FY_MIB ((size_t)1024 * 1024)

enum {
  FY_MAX_LOOKUPS = 16,         /* name look-ups at once, in all */
  FY_MAX_LOOKUPS_PER_HOST = 4, /* and for one host name */
  FY_MAX_STARTS_PER_TURN = 24, /* transfers handed to libcurl in one turn */
  FY_MAX_OPENS_PER_TURN = 8,   /* and while connections are being opened */
  FY_MAX_POOL = 64,            /* easy handles kept for reuse */
  FY_MAX_CONNECTIONS = 256,    /* idle connections kept open */
  FY_MAX_WAITING = 16384,      /* calls of one process at once */
  FY_MAX_IN_FLIGHT = 64,       /* requests to one host at once; an option */
  FY_MAX_STREAMS = 256,        /* streams, and requests over HTTP/2 */
  FY_MAX_QUEUE = 1000,         /* requests that wait for one rate limit */
  FY_MAX_HEADER_FIELDS = 1024, /* header fields of an answer */
  FY_MAX_REDIRECTS = 5,        /* followed for one call */
  FY_MAX_SOURCES = 4096,       /* bytes, files, readers of one body */
  FY_MAX_PRIVATE_FDS = 64,     /* descriptors that a fork must not copy */
  FY_MAX_SWEEP = 65536,        /* names of a folder read to find old files */
  FY_MAX_BELL_CALLERS = 4,     /* strangers at the door of an inbox */
  FY_MAX_JSON_DEPTH = 128,
  FY_MAX_CALL_SECRETS = 8,  /* parts of a body that are secret */
  FY_MAX_THREAD_ID = 512,   /* bytes; longer: not resumed */
  FY_MAX_TOOL_CALLS = 1024, /* of one answer; others are not put together */
  FY_MIN_TAIL_SECRET = 20   /* shorter ones show none of their characters */
};

#define FY_MAX_HEADER_LINE (64 * FY_KIB)      /* one line of an answer */
#define FY_MAX_HEADERS (256 * FY_KIB)         /* all lines of an answer */
#define FY_MAX_CONNECT_HEADERS (16 * FY_KIB)  /* a proxy's to CONNECT */
#define FY_MAX_PEM (1 * FY_MIB)               /* an option given as text */
#define FY_MAX_URL (64 * FY_KIB)              /* a URL that we ask for */
#define FY_MAX_PATH (4 * FY_KIB)              /* a file's, as Linux has it */
#define FY_MAX_SECRET (64 * FY_KIB)           /* a key or a token */
#define FY_MAX_SESSION (640 * FY_KIB)         /* the text of a session file */
#define FY_MAX_WIPED (64 * FY_KIB)            /* of a success, when freed */
#define FY_MAX_GIVEN_BACK (256 * FY_KIB)      /* that the engine is to free */
#define FY_MAX_TOKEN_ANSWER (64 * FY_KIB)     /* of a refresh or exchange */
#define FY_MAX_REQUEST_HEADERS (256 * FY_KIB) /* all that we send */
#define FY_MAX_BODY (64 * FY_MIB)             /* decoded; an option */
#define FY_MAX_BUFFER (1 * FY_MIB)            /* undrained stream; an option */
#define FY_MAX_EVENT (16 * FY_MIB)            /* line or event; an option */
#define FY_MAX_EVENT_ID (16 * FY_KIB)         /* copied with every event */
#define FY_MAX_DRAIN (64 * FY_KIB)   /* read of a redirect's own body */
#define FY_MAX_SCRAP (8 * FY_MIB)    /* thrown away of a dead connection */
#define FY_MAX_HELD (256 * FY_KIB)   /* gzip that is measured first */
#define FY_MAX_READ (64 * FY_KIB)    /* a piece of a file or a reader */
#define FY_MAX_JSON (256 * FY_MIB)   /* a value that we write as JSON */
#define FY_INLINE_JSON (64 * FY_KIB) /* larger: parsed on the I/O thread */

#endif
