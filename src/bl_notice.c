/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_notice.c - who is still to be told how a build ended, on disk
 *
 * FORMAT        <build>.<index>, an object in JSON: target; when the build has
 *               ended also id, body, tries, due (microseconds)
 */
#include "bl_notice.h"

/* libc */
#include <stdlib.h>
#include <string.h>
/* APR */
#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_lib.h>
#include <apr_strings.h>
/* layer 0 */
#include "bl_json.h"
/* layer 1 */
#include "bl_replace.h"

#define OWNER_ONLY (APR_FPROT_UREAD | APR_FPROT_UWRITE | APR_FPROT_UEXECUTE)

/* A record, escaped, and some more. */
#define FILE_MOST (1024 * 1024)

/* Of a build's receivers. */
#define INDEX_MOST 99

/* Some moments for a service that is restarted, some minutes for a machine,
 * some hours for people. */
static const apr_interval_time_t delays[] = {
    apr_time_from_sec(1),    apr_time_from_sec(4),    apr_time_from_sec(15),
    apr_time_from_sec(60),   apr_time_from_sec(300),  apr_time_from_sec(1800),
    apr_time_from_sec(7200), apr_time_from_sec(21600)};

apr_interval_time_t bl_notice_delay(int tries)
{
    if (tries < 1 || tries > (int)(sizeof(delays) / sizeof(delays[0])))
        return -1;
    return delays[tries - 1];
}

const char *bl_notice_dir(const char *state_dir, apr_pool_t *p)
{
    return apr_pstrcat(p, state_dir, "/notices", NULL);
}

apr_status_t bl_notice_make(const char *dir, apr_pool_t *p)
{
    apr_status_t rv = apr_dir_make(dir, OWNER_ONLY, p);

    return APR_STATUS_IS_EEXIST(rv) ? APR_SUCCESS : rv;
}

static const char *path_of(const char *dir, apr_uint64_t build, int index,
                           apr_pool_t *p)
{
    return apr_psprintf(p, "%s/%" APR_UINT64_T_FMT ".%d", dir, build, index);
}

apr_status_t bl_notice_save(const char *dir, const bl_notice_t *notice,
                            apr_pool_t *p)
{
    bl_json_t *json = bl_json_object(p);
    const char *text;

    bl_json_set_string(json, "target", notice->target);
    if (notice->body != NULL) {
        bl_json_set_string(json, "id", notice->id);
        bl_json_set_string(json, "body", notice->body);
        bl_json_set_int(json, "tries", notice->tries);
        bl_json_set_int(json, "due", notice->due);
    }
    text = bl_json_text(json, p);
    return bl_replace(path_of(dir, notice->build, notice->index, p), text,
                      strlen(text), p);
}

static apr_status_t read_file(char **out, apr_size_t *len, const char *path,
                              apr_pool_t *p)
{
    apr_finfo_t info;
    apr_file_t *file;
    apr_status_t rv;

    rv = apr_file_open(&file, path, APR_FOPEN_READ, 0, p);
    if (rv != APR_SUCCESS)
        return rv;
    rv = apr_file_info_get(&info, APR_FINFO_SIZE, file);
    if (rv == APR_SUCCESS && info.size > FILE_MOST)
        rv = APR_EGENERAL;
    if (rv == APR_SUCCESS) {
        *out = apr_palloc(p, (apr_size_t)info.size + 1);
        rv = apr_file_read_full(file, *out, (apr_size_t)info.size, len);
    }
    apr_file_close(file);
    return APR_STATUS_IS_EOF(rv) ? APR_EGENERAL : rv;
}

apr_status_t bl_notice_load(bl_notice_t **out, const char *dir,
                            apr_uint64_t build, int index, apr_pool_t *p)
{
    bl_notice_t *notice = apr_pcalloc(p, sizeof(*notice));
    apr_size_t len = 0;
    bl_json_t *json;
    const char *why;
    char *text = NULL;
    apr_status_t rv = read_file(&text, &len, path_of(dir, build, index, p), p);

    if (rv == APR_SUCCESS)
        rv = bl_json_parse(&json, text, len, &why, p);
    if (rv != APR_SUCCESS)
        return rv;
    notice->build = build;
    notice->index = index;
    notice->target = bl_json_string(json, "target");
    notice->id = bl_json_string(json, "id");
    notice->body = bl_json_string(json, "body");
    notice->tries = (int)bl_json_int(json, "tries", 0);
    notice->due = bl_json_int(json, "due", 0);
    if (notice->target == NULL ||
        (notice->id == NULL) != (notice->body == NULL))
        return APR_EGENERAL;
    *out = notice;
    return APR_SUCCESS;
}

void bl_notice_remove(const char *dir, apr_uint64_t build, int index,
                      apr_pool_t *p)
{
    apr_file_remove(path_of(dir, build, index, p), p);
}

/* "42.0". What is no such name is somebody else's, or half written. */
static int read_name(bl_notice_t *out, const char *name)
{
    char *dot, *end;
    apr_int64_t build, index;

    if (!apr_isdigit(name[0]))
        return 0;
    build = apr_strtoi64(name, &dot, 10);
    if (build <= 0 || *dot != '.' || !apr_isdigit(dot[1]))
        return 0;
    index = apr_strtoi64(dot + 1, &end, 10);
    if (*end != '\0' || index > INDEX_MOST)
        return 0;
    memset(out, 0, sizeof(*out));
    out->build = (apr_uint64_t)build;
    out->index = (int)index;
    return 1;
}

static int by_build(const void *a, const void *b)
{
    const bl_notice_t *x = a, *y = b;

    if (x->build != y->build)
        return x->build < y->build ? -1 : 1;
    return x->index - y->index;
}

apr_status_t bl_notice_list(apr_array_header_t **out, const char *dir,
                            apr_pool_t *p)
{
    apr_array_header_t *list = apr_array_make(p, 16, sizeof(bl_notice_t));
    bl_notice_t notice;
    apr_finfo_t info;
    apr_dir_t *open;
    apr_status_t rv = apr_dir_open(&open, dir, p);

    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = apr_dir_read(&info, APR_FINFO_NAME, open)) == APR_SUCCESS) {
        if (read_name(&notice, info.name))
            APR_ARRAY_PUSH(list, bl_notice_t) = notice;
    }
    apr_dir_close(open);
    qsort(list->elts, (apr_size_t)list->nelts, sizeof(bl_notice_t), by_build);
    *out = list;
    return APR_STATUS_IS_ENOENT(rv) ? APR_SUCCESS : rv;
}
