/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_numbers.c - the numbers of builds, which never come again
 *
 * FORMAT        two lines: the last number, and the id of the last record that
 *               was removed (BuildLogKeep)
 * DIAGNOSTICS   BL0242 they cannot be stored
 */
#include "bl_numbers.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_strings.h>
/* layer 0 */
#include "bl_build.h"
#include "bl_diag.h"
/* layer 1 */
#include "bl_replace.h"

#define NUMBERS_MOST 64 /* bytes */

struct bl_numbers_t {
    const char *state_dir;
    apr_uint64_t last_build;
    bl_stamp_t removed_id; /* 0: none */
};

static const char *path_of(const bl_numbers_t *n, apr_pool_t *p)
{
    return apr_pstrcat(p, n->state_dir, "/last-build", NULL);
}

static apr_uint64_t read_number(const char **text)
{
    char *end;
    apr_int64_t n = apr_strtoi64(*text, &end, 10);

    *text = end;
    return n > 0 ? (apr_uint64_t)n : 0;
}

bl_numbers_t *bl_numbers_load(const char *state_dir, apr_pool_t *p)
{
    bl_numbers_t *n = apr_pcalloc(p, sizeof(*n));
    const char *at;
    apr_size_t len;

    n->state_dir = apr_pstrdup(p, state_dir);
    if (bl_replace_read(&at, &len, path_of(n, p), NUMBERS_MOST, p) !=
        APR_SUCCESS)
        return n;
    n->last_build = read_number(&at);
    if (n->last_build > BL_BUILD_NUMBER_MAX)
        n->last_build = 0;
    n->removed_id = read_number(&at);
    if (n->removed_id >= BL_STAMP_MAX)
        n->removed_id = 0;
    return n;
}

void bl_numbers_save(const bl_numbers_t *n, apr_pool_t *p)
{
    const char *text =
        apr_psprintf(p, "%" APR_UINT64_T_FMT "\n%" APR_UINT64_T_FMT "\n",
                     n->last_build, n->removed_id);
    apr_status_t rv = bl_replace(path_of(n, p), text, strlen(text), p);

    if (rv != APR_SUCCESS)
        bl_diag(BL_DIAG_WARNING, rv,
                "BL0242 the file last-build in %s cannot be written",
                n->state_dir);
}

void bl_numbers_pass(bl_numbers_t *n, apr_uint64_t build)
{
    if (build > n->last_build)
        n->last_build = build;
}

apr_uint64_t bl_numbers_next(bl_numbers_t *n)
{
    return ++n->last_build;
}

bl_stamp_t bl_numbers_removed(const bl_numbers_t *n)
{
    return n->removed_id;
}

void bl_numbers_remove(bl_numbers_t *n, bl_stamp_t last_id, apr_pool_t *p)
{
    if (last_id <= n->removed_id)
        return;
    n->removed_id = last_id;
    bl_numbers_save(n, p);
}
