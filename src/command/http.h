/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - requests to the server (the only door to libcurl)
 *
 * What libcurl reads besides: ~/.netrc for a name and a password, and the
 * environment for proxies.
 */
#ifndef BUILDLOG_HTTP_H
#define BUILDLOG_HTTP_H

#include <jansson.h>
#include <stddef.h>

/* What the process ends with when no build's own result says it: those of
 * sysexits.h, so that no usual exit code of a build is among them. */
enum {
    EXIT_USAGE = 64,
    EXIT_NO_BUILD = 66,    /* no such build; it was over already */
    EXIT_UNREACHABLE = 69, /* no server, or none of ours */
    EXIT_BUSY = 75,        /* later, perhaps */
    EXIT_REFUSED = 77,
    EXIT_INTERRUPTED = 130 /* as SIGINT would */
};

typedef struct {
    const char *url;    /* of the API, without a slash at its end */
    const char *user;   /* NAME:PASSWORD; NULL: as ~/.netrc says */
    const char *cacert; /* NULL: as libcurl was told */
} http_server_t;

typedef struct {
    long status;       /* of HTTP; 0: there was no answer */
    const char *error; /* then: why */
    json_t *json;      /* NULL: it was no JSON */
} http_answer_t;

/** Before anything else. @return 0: libcurl does not work */
int http_begin(const http_server_t *server);
void http_end(void);

/**
 * Ask and wait for the whole answer.
 *
 * @param path  below the API, "/project/builds"
 * @param form  body of a POST, NULL: a GET. "": a POST without a body
 * @return the answer; pass it to http_forget
 */
http_answer_t http_ask(const char *path, const char *form);
void http_forget(http_answer_t *answer);

/** @return 0: enough */
typedef int (*http_bytes_fn)(void *with, const char *bytes, size_t len);

/**
 * Ask for what comes bit by bit; returns when it ends, when fn has enough, or
 * when SIGINT came.
 *
 * @param last_id  Last-Event-ID; "": none
 * @return as http_ask; json is that of an error. error: also when it broke off
 */
http_answer_t http_stream(const char *path, const char *last_id,
                          const char *accept, http_bytes_fn fn, void *with);

/** Text as a value in a path or a form; pass it to http_free_text. */
char *http_escape(const char *text);
void http_free_text(char *text);

/** Say what an answer means that is none of the good ones; nothing after
 * SIGINT. @return what to end with */
int http_explain(const http_answer_t *answer);

/** Has SIGINT come? */
int http_interrupted(void);

#endif /* BUILDLOG_HTTP_H */
