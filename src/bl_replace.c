/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_replace.c - a small file, replaced whole
 */
#include "bl_replace.h"

/* APR */
#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_strings.h>
/* layer 1 */
#include "bl_log.h"

/* Not apr_file_printf: it does not say when writing fails. */
static apr_status_t write_new(const char *path, const char *bytes,
                              apr_size_t len, apr_pool_t *p)
{
    apr_file_t *file;
    apr_status_t rv, closed;

    /* What a runner that died has left; or a build, which may be the same
     * user, to have this one wait for a fifo, or write where a link leads. */
    apr_file_remove(path, p);
    rv = apr_file_open(&file, path,
                       APR_FOPEN_WRITE | APR_FOPEN_CREATE | APR_FOPEN_EXCL,
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

apr_status_t bl_replace_read(const char **bytes, apr_size_t *len,
                             const char *path, apr_size_t most, apr_pool_t *p)
{
    apr_finfo_t info;
    apr_file_t *file;
    char *text;
    apr_status_t rv = bl_log_file_open(&file, path, APR_FOPEN_READ, p);

    if (rv != APR_SUCCESS)
        return rv;
    rv = apr_file_info_get(&info, APR_FINFO_SIZE, file);
    if (rv == APR_SUCCESS && (apr_uint64_t)info.size > most)
        rv = APR_EGENERAL;
    if (rv == APR_SUCCESS) {
        text = apr_pcalloc(p, (apr_size_t)info.size + 1);
        rv = apr_file_read_full(file, text, (apr_size_t)info.size, len);
        *bytes = text;
    }
    apr_file_close(file);
    return APR_STATUS_IS_EOF(rv) ? APR_SUCCESS : rv;
}
