/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_seen.c - deliveries of hooks that have begun a build: not a second time
 *
 * FORMAT        BL_SEEN_MOST places of 48 bytes, written in turns: number of
 *               the entry from 1 on, build (8 bytes each, as this machine has
 *               them), mark (32). A number of 0 is a place that is free, and
 *               so is what is behind the end of the file. Numbers tell where
 *               to go on: behind the highest.
 * LIMITS        a place that was half written when the power failed is a mark
 *               that nothing has
 */
#include "bl_seen.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_file_io.h>
#include <apr_strings.h>

typedef struct {
    apr_uint64_t number;
    apr_uint64_t build;
    char mark[BL_SEEN_MARK_LEN];
} place_t;

_Static_assert(sizeof(place_t) == 48, "no gaps in a file");

struct bl_seen_t {
    apr_file_t *file; /* NULL: K2 */
    apr_uint64_t last;
    place_t places[BL_SEEN_MOST];
};

apr_status_t bl_seen_open(bl_seen_t **out, const char *path, apr_pool_t *p)
{
    bl_seen_t *seen = apr_pcalloc(p, sizeof(*seen));
    apr_size_t len = 0;
    apr_status_t rv;
    int i;

    *out = seen;
    rv = apr_file_open(&seen->file, path,
                       APR_FOPEN_READ | APR_FOPEN_WRITE | APR_FOPEN_CREATE |
                           APR_FOPEN_BINARY,
                       APR_FPROT_UREAD | APR_FPROT_UWRITE, p);
    if (rv != APR_SUCCESS) {
        seen->file = NULL;
        return rv;
    }
    rv = apr_file_read_full(seen->file, seen->places, sizeof(seen->places),
                            &len);
    if (APR_STATUS_IS_EOF(rv))
        rv = APR_SUCCESS;
    /* Half a place is none. */
    memset((char *)seen->places + len / sizeof(place_t) * sizeof(place_t), 0,
           len % sizeof(place_t));
    for (i = 0; i < BL_SEEN_MOST; i++) {
        if (seen->places[i].number > seen->last)
            seen->last = seen->places[i].number;
    }
    return rv;
}

apr_uint64_t bl_seen_find(const bl_seen_t *seen, const char *mark)
{
    int i;

    for (i = 0; i < BL_SEEN_MOST; i++) {
        if (seen->places[i].number != 0 &&
            memcmp(seen->places[i].mark, mark, BL_SEEN_MARK_LEN) == 0)
            return seen->places[i].build;
    }
    return 0;
}

apr_status_t bl_seen_add(bl_seen_t *seen, const char *mark, apr_uint64_t build)
{
    apr_uint64_t index = ++seen->last % BL_SEEN_MOST;
    place_t *place = &seen->places[index];
    apr_off_t at = (apr_off_t)(index * sizeof(*place));
    apr_status_t rv;

    place->number = seen->last;
    place->build = build;
    memcpy(place->mark, mark, BL_SEEN_MARK_LEN);
    if (seen->file == NULL)
        return APR_EBADF;
    rv = apr_file_seek(seen->file, APR_SET, &at);
    if (rv == APR_SUCCESS)
        rv = apr_file_write_full(seen->file, place, sizeof(*place), NULL);
    return rv;
}
