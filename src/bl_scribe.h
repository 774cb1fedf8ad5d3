/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_scribe.h - what runs inside the historian's process
 *
 * Layer:    2 (actor, runner side), private to bl_historian.c and
 *           bl_scribe.c.
 * Runs in:  the historian's process.
 */
#ifndef BL_SCRIBE_H
#define BL_SCRIBE_H

#include <apr.h>
#include <apr_errno.h>

enum {
    BL_SCRIBE_ENDED = 1, /* id */
    BL_SCRIBE_REMOVED,   /* id */
    BL_SCRIBE_RESYNC
};

/* To the historian. Both ends are the same program: a struct is message
 * enough. */
typedef struct {
    apr_uint64_t id;
    int what;
} bl_scribe_message_t;

/* What bl_diag takes at most, with its end. */
#define BL_SCRIBE_TEXT_BYTES 1025

/* To the runner: for its bl_diag; cut off behind the text's end. */
typedef struct {
    int level; /* bl_diag_level_e */
    apr_status_t rv;
    char text[BL_SCRIBE_TEXT_BYTES];
} bl_scribe_word_t;

/**
 * Be the historian: called in the child right after fork, never returns.
 *
 * @param control  socket to the runner
 */
void bl_scribe_main(const char *logs_dir, const char *driver,
                    const char *params, int control) __attribute__((noreturn));

#endif /* BL_SCRIBE_H */
