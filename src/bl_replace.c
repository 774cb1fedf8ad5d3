/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_replace.c - a small file, replaced whole
 */
#include "bl_replace.h"

/* APR */
#include <apr_file_io.h>
#include <apr_strings.h>

/* Not apr_file_printf: it does not say when writing fails. */
static apr_status_t write_new(const char *path, const char *bytes,
                              apr_size_t len, apr_pool_t *p)
{
    apr_file_t *file;
    apr_status_t rv, closed;

    rv = apr_file_open(&file, path,
                       APR_FOPEN_WRITE | APR_FOPEN_CREATE | APR_FOPEN_TRUNCATE,
                       APR_FPROT_UREAD | APR_FPROT_UWRITE, p);
    if (rv != APR_SUCCESS)
        return rv;
    rv = apr_file_write_full(file, bytes, len, NULL);
    closed = apr_file_close(file);
    return rv == APR_SUCCESS ? closed : rv;
}

apr_status_t bl_replace(const char *path, const char *bytes, apr_size_t len,
                        apr_pool_t *p)
{
    const char *fresh = apr_pstrcat(p, path, ".new", NULL);
    apr_status_t rv = write_new(fresh, bytes, len, p);

    if (rv == APR_SUCCESS)
        rv = apr_file_rename(fresh, path, p);
    if (rv != APR_SUCCESS)
        apr_file_remove(fresh, p);
    return rv;
}
