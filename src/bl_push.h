/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_push.h - what was pushed, and whether it is to be built
 *
 * Layer:    0 (value). Pure.
 * Runs in:  request threads.
 * Owns:     which fields of a payload count, what of them may reach a build,
 *           the filters of BuildLogHook.
 * Not here: whether the payload is genuine (bl_hook): that comes before.
 *
 * P1  what reaches a build has a form that means nothing to a shell, to git's
 *     command line or to a file name: a ref is refs/heads/ and parts of
 * letters, digits and ._+@=#- with / between them, and no part begins with .
 * or -; a commit is 40 or 64 hexadecimal digits in lower case P2  where a
 * payload does not tell all that changed, the path filter lets it pass: rather
 * a build too many than one too few
 *
 * A filter is a list of patterns (fnmatch, * takes / as well). The last
 * pattern that matches decides; one that begins with ! keeps out. What none
 * matches is let in if the first pattern keeps out, or if there is none.
 */
#ifndef BL_PUSH_H
#define BL_PUSH_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_tables.h>

#include "bl_hook.h"

/* Bytes of a ref. */
#define BL_PUSH_REF_MOST 255

typedef struct {
    const char *ref;           /* "refs/heads/main"; NULL: none (plain) */
    const char *branch;        /* "main"; NULL: it is none */
    const char *commit;        /* NULL: none (plain, or the ref is gone) */
    int is_plain;              /* all of it may be missing */
    int is_gone;               /* the branch was deleted */
    int is_test;               /* nothing changed: the forge tries the hook */
    int is_fit;                /* P1 */
    apr_array_header_t *paths; /* const char *; NULL: it is not told (P2) */
} bl_push_t;

/** Is this a pattern? @return NULL: yes; else what it must be */
const char *bl_push_check_pattern(const char *pattern);

/** The filter's word on one text. @param patterns  NULL: lets everything in */
int bl_push_admits(const apr_array_header_t *patterns, const char *text);

/**
 * Read a payload.
 *
 * @param is_form  it is the field "payload" of a form
 * @param why      on failure what was wrong, for people
 * @return APR_SUCCESS; APR_EGENERAL, *out untouched
 */
apr_status_t bl_push_read(bl_push_t *out, bl_hook_kind_e kind, int is_form,
                          const char *text, apr_size_t len, const char **why,
                          apr_pool_t *p);

/** @return NULL: it is to be built; else why not, for people */
const char *bl_push_refuse(const bl_push_t *push, const bl_hook_t *hook,
                           apr_pool_t *p);

#endif /* BL_PUSH_H */
