// SPDX-License-Identifier: Apache-2.0
/* err - one failure, with the reason a person needs
 *
 * Role        Every function that can fail returns 0 (or a count) or -errno. Where the errno alone
 *             would not tell a user what to do, the function also takes a `struct err *` as its
 *             last parameter and fills it. The struct is a plain value owned by the caller: no
 *             allocation happens on a failure path, and copying it is an assignment.
 * Errors      `eno` is a negative errno, or 0 while nothing failed. `cls` says what may be done
 *             about it; it is set by net/error.c for answers of the service and stays ERR_FATAL for
 *             local failures.
 * Secrets     Callers never put a key, a token or a signature into `msg`.
 */
#ifndef OBSM_BASE_ERR_H
#define OBSM_BASE_ERR_H

/* What can be done about a failure. */
enum err_class {
    ERR_FATAL = 0,  /* nothing: report it */
    ERR_RETRY,      /* the same request may succeed later: back off and repeat */
    ERR_THROTTLED,  /* the service asks for fewer requests: back off longer and repeat */
    ERR_REAUTH,     /* credentials have expired: reload them and repeat once */
    ERR_CLOCK_SKEW, /* our clock is off: take the server's Date, sign anew, repeat once */
    ERR_REDIRECT,   /* another endpoint serves this bucket: repeat there once */
    ERR_REKEY,      /* the object is encrypted with another customer's key: repeat with that one */
    ERR_GONE,       /* the object, upload or bucket does not exist */
    ERR_DENIED,     /* the service understood and refuses */
    ERR_CONFLICT,   /* somebody else changed it: precondition failed */
};

struct err {
    int eno;             /* negative errno; 0: no error */
    enum err_class cls;  /* see above */
    int http;            /* HTTP status; 0: no answer came */
    char code[64];       /* the service's error code, "" if none */
    char request_id[64]; /* x-obs-request-id / x-amz-request-id, "" if none */
    char msg[256];       /* one sentence, no trailing full stop, no newline */
};

/* Sets *e (NULL allowed) to `eno` (negative errno) with a formatted message, class ERR_FATAL and no
 * service fields. Returns eno, so that `return err_set(e, -EIO, ...)` reads as one step. */
int err_set(struct err *e, int eno, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "outer context: " in front of the message of *e (NULL allowed). Returns e->eno, or 0. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "no error" */
void err_clear(struct err *e);

/* The usual text of an errno (either sign), thread-safe, never NULL. */
const char *err_text(int eno);

/* The name of an errno (either sign) such as "ENOSPC", or "E?" for an unknown one. */
const char *err_name(int eno);

/* The name of a class, such as "retry". */
const char *err_class_name(enum err_class cls);

#endif
