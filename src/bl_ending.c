/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_ending.c - how a build ended, from its log
 */
#include "bl_ending.h"

/* APR */
#include <apr_file_info.h>
#include <apr_strings.h>
/* layer 1 */
#include "bl_log.h"

apr_status_t bl_ending_read(bl_build_t **build, const char **json,
                            const char *logs_dir, apr_uint64_t id,
                            apr_pool_t *p)
{
    bl_cursor_t *cursor;
    bl_record_t rec;
    apr_off_t size;
    apr_status_t rv;

    rv = bl_cursor_open(&cursor, logs_dir, id, p);
    if (rv != APR_SUCCESS)
        return rv == APR_EGENERAL ? APR_NOTFOUND : rv;
    rv = bl_cursor_size(&size, cursor);
    if (rv == APR_SUCCESS)
        rv = bl_cursor_last(&rec, cursor, size);
    if (rv == APR_EOF ||
        (rv == APR_SUCCESS &&
         ((rec.flags & BL_REC_END) == 0 ||
          bl_build_from_json(build, rec.text, rec.len, p) != APR_SUCCESS ||
          (*build)->id != id)))
        rv = APR_NOTFOUND;
    if (rv == APR_SUCCESS && json != NULL)
        *json = apr_pstrmemdup(p, rec.text, rec.len);
    bl_cursor_close(&cursor);
    return rv;
}

int bl_ending_has_logs(const char *logs_dir, apr_pool_t *p)
{
    apr_finfo_t info;

    return apr_stat(&info, logs_dir, APR_FINFO_TYPE, p) == APR_SUCCESS;
}
