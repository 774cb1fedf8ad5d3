/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_diag.c - how the layers below httpd say something
 *
 * The one variable of a process in layer 0: it is written before threads
 * start and only read afterwards, so it needs no lock.
 */
#include "bl_diag.h"

/* system */
#include <stdarg.h>

/* APR */
#include <apr_strings.h>

/* What the header calls "1 kB"; on the stack of whoever has something to say.
 */
#define BL_DIAG_MESSAGE_MAX 1024

static bl_diag_fn receiver;

void bl_diag_set(bl_diag_fn fn)
{
    receiver = fn;
}

void bl_diag(bl_diag_level_e level, apr_status_t rv, const char *fmt, ...)
{
    char message[BL_DIAG_MESSAGE_MAX + 1];
    va_list args;

    if (receiver == NULL)
        return;
    va_start(args, fmt);
    apr_vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    receiver(level, rv, message);
}
