/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_diag.h - how the layers below httpd say something to the administrator
 *
 * Layer:    0 (value). APR types only.
 * Runs in:  anywhere; the callback is set once per process before threads.
 * Owns:     the levels and the one-line rule (who, what, what next).
 * Not here: where the line goes (layer 3 sets the callback).
 *
 * Each message begins with a stable tag "BLnnnn " that the README explains.
 */
#ifndef BL_DIAG_H
#define BL_DIAG_H

#include <apr_errno.h>

typedef enum {
    BL_DIAG_ERROR,   /* needs a human */
    BL_DIAG_WARNING, /* degraded, goes on */
    BL_DIAG_NOTICE,  /* life cycle of the runner */
    BL_DIAG_INFO,    /* once per build */
    BL_DIAG_DEBUG    /* per event */
} bl_diag_level_e;

/** Receives each message, whole and without a line end. */
typedef void (*bl_diag_fn)(bl_diag_level_e level, apr_status_t rv,
                           const char *message);

/** Set the receiver of this process; NULL (the default) drops messages. */
void bl_diag_set(bl_diag_fn fn);

/**
 * Say something.
 *
 * @param rv   the status that caused it; APR_SUCCESS if none did
 * @param fmt  apr_snprintf format; longer than 1 kB is cut
 */
void bl_diag(bl_diag_level_e level, apr_status_t rv, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif /* BL_DIAG_H */
