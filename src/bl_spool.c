/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_spool.c - the orders of builds that wait, on disk
 */
#include "bl_spool.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_strings.h>
/* layer 1 */
#include "bl_replace.h"

#define OWNER_ONLY (APR_FPROT_UREAD | APR_FPROT_UWRITE)
#define SUFFIX ".order"

const char *bl_spool_dir(const char *state_dir, apr_pool_t *p)
{
    return apr_pstrcat(p, state_dir, "/queue", NULL);
}

apr_status_t bl_spool_make(const char *dir, apr_pool_t *p)
{
    apr_status_t rv = apr_dir_make(dir, OWNER_ONLY | APR_FPROT_UEXECUTE, p);

    return APR_STATUS_IS_EEXIST(rv) ? APR_SUCCESS : rv;
}

static const char *path_of(const char *dir, apr_uint64_t build, apr_pool_t *p)
{
    return apr_psprintf(p, "%s/%" APR_UINT64_T_FMT SUFFIX, dir, build);
}

apr_status_t bl_spool_save(const char *dir, apr_uint64_t build,
                           const bl_order_t *order, apr_pool_t *p)
{
    const char *frame;
    apr_size_t len;
    apr_status_t rv = bl_wire_order_write(&frame, &len, order, p);

    return rv == APR_SUCCESS
               ? bl_replace(path_of(dir, build, p), frame, len, p)
               : rv;
}

apr_status_t bl_spool_load(bl_order_t **out, const char *dir,
                           apr_uint64_t build, apr_pool_t *p)
{
    apr_size_t len = 0, need = 0;
    bl_wire_frame_t frame;
    apr_finfo_t info;
    apr_file_t *file;
    char *buf = NULL;
    apr_status_t rv;

    rv = apr_file_open(&file, path_of(dir, build, p), APR_FOPEN_READ, 0, p);
    if (rv != APR_SUCCESS)
        return rv;
    rv = apr_file_info_get(&info, APR_FINFO_SIZE, file);
    if (rv == APR_SUCCESS &&
        info.size <= BL_WIRE_HEADER_LEN + BL_WIRE_BODY_MAX) {
        buf = apr_palloc(p, (apr_size_t)info.size + 1);
        rv = apr_file_read_full(file, buf, (apr_size_t)info.size, &len);
    }
    apr_file_close(file);
    if (rv != APR_SUCCESS && !APR_STATUS_IS_EOF(rv))
        return rv;
    if (buf == NULL)
        return APR_EGENERAL;
    rv = bl_wire_frame_read(&frame, &need, buf, len);
    if (rv == APR_SUCCESS && need == len)
        rv = bl_wire_order_read(out, &frame, p);
    return rv == APR_SUCCESS && need == len ? APR_SUCCESS : APR_EGENERAL;
}

void bl_spool_remove(const char *dir, apr_uint64_t build, apr_pool_t *p)
{
    apr_file_remove(path_of(dir, build, p), p);
}

static int is_kept(const char *name, const apr_array_header_t *kept,
                   apr_pool_t *p)
{
    int i;

    for (i = 0; i < kept->nelts; i++) {
        const char *file = apr_psprintf(p, "%" APR_UINT64_T_FMT SUFFIX,
                                        APR_ARRAY_IDX(kept, i, apr_uint64_t));

        if (strcmp(file, name) == 0)
            return 1;
    }
    return 0;
}

void bl_spool_sweep(const char *dir, const apr_array_header_t *kept,
                    apr_pool_t *p)
{
    apr_pool_t *scratch;
    apr_finfo_t info;
    apr_dir_t *open;

    if (apr_dir_open(&open, dir, p) != APR_SUCCESS)
        return;
    apr_pool_create(&scratch, p);
    while (apr_dir_read(&info, APR_FINFO_NAME, open) == APR_SUCCESS) {
        apr_pool_clear(scratch);
        if (info.name[0] != '.' && !is_kept(info.name, kept, scratch))
            apr_file_remove(apr_pstrcat(scratch, dir, "/", info.name, NULL),
                            scratch);
    }
    apr_dir_close(open);
    apr_pool_destroy(scratch);
}
