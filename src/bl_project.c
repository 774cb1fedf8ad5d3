/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_project.c - from a path to a project, and who may do what with it
 *
 * Why not a sub-request: it authenticates anew, without the location's
 * AuthType, and so loses the user. Instead a copy of the request is given the
 * directory as its file, and httpd's own walk and checks are asked.
 *
 * DIAGNOSTICS   a refusal by Require is written by mod_authz_core (AH01631)
 */
#include "bl_project.h"

/* libc */
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
/* APR */
#include <apr_file_info.h>
#include <apr_hash.h>
#include <apr_strings.h>
/* httpd */
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"
#include "mod_buildlog.h"
/* layer 0 */
#include "bl_json.h"
/* layer 1 */
#include "bl_table.h"

/* A copy of the request that asks for a directory. What the checks write into
 * its tables (WWW-Authenticate, notes) must not reach the client. */
static request_rec *request_for(request_rec *r, const char *path)
{
    request_rec *copy = apr_pmemdup(r->pool, r, sizeof(*r));

    copy->main = r;
    copy->filename = apr_pstrdup(r->pool, path);
    copy->canonical_filename = copy->filename;
    copy->path_info = NULL;
    copy->per_dir_config = r->server->lookup_defaults;
    copy->request_config = ap_create_request_config(r->pool);
    copy->notes = apr_table_make(r->pool, 4);
    copy->headers_out = apr_table_make(r->pool, 4);
    copy->err_headers_out = apr_table_make(r->pool, 4);
    copy->subprocess_env = apr_table_copy(r->pool, r->subprocess_env);
    copy->used_path_info = AP_REQ_DEFAULT_PATH_INFO;
    memset(&copy->finfo, 0, sizeof(copy->finfo));
    /* A directory, whether it still exists or not: its sections count. */
    copy->finfo.filetype = APR_DIR;
    ap_run_create_request(copy);
    ap_set_module_config(copy->request_config, &buildlog_module, copy);
    return copy;
}

/* httpd's walk ends where nothing is, and would not come to the sections of a
 * directory that has gone. But its builds are still there to be seen. */
static apr_status_t stat_for_walk(apr_finfo_t *finfo, request_rec *r,
                                  apr_int32_t wanted)
{
    apr_status_t rv;

    if (ap_get_module_config(r->request_config, &buildlog_module) == NULL)
        return AP_DECLINED; /* no copy of ours */
    rv = apr_stat(finfo, r->filename, wanted, r->pool);
    if (!APR_STATUS_IS_ENOENT(rv))
        return rv;
    memset(finfo, 0, sizeof(*finfo));
    finfo->filetype = APR_DIR;
    finfo->valid = APR_FINFO_TYPE;
    return APR_SUCCESS;
}

void bl_project_register_hooks(apr_pool_t *p)
{
    ap_hook_dirwalk_stat(stat_for_walk, NULL, NULL, APR_HOOK_MIDDLE);
}

/* Does httpd let this user in? Sets the configuration of the directory. */
static int permitted(request_rec *r, const char *path, bl_project_t *project)
{
    request_rec *copy = request_for(r, path);
    int result;

    /* A Require may also stand in an <If> of the directory. */
    if (ap_directory_walk(copy) != OK || ap_if_walk(copy) != OK)
        return 0;
    project->conf = bl_config_dir(copy);
    project->sections = copy->per_dir_config;
    if (project->conf->on != 1)
        return 0;
    /* The user was authenticated by the location's AuthType. */
    copy->per_dir_config = ap_merge_per_dir_configs(r->pool, r->per_dir_config,
                                                    copy->per_dir_config);
    result = ap_run_access_checker(copy);
    if (result != OK && result != DECLINED)
        return 0;
    /* DECLINED: no Require stands anywhere, then httpd lets everybody in. */
    result = ap_run_auth_checker(copy);
    return result == OK || result == DECLINED;
}

/* Shown on pages, in logs and in JSON, and read back from there: control
 * characters have no place in it, nor has what is not UTF-8. */
static int is_plain(const char *path, apr_pool_t *p)
{
    bl_json_t *json = bl_json_object(p);
    const char *s;

    bl_json_set_string(json, "path", path);
    if (strcmp(bl_json_string(json, "path"), path) != 0)
        return 0; /* it had to be repaired */

    for (s = path; *s != '\0'; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return 0;
    }
    return (apr_size_t)(s - path) < BL_TABLE_PROJECT_MAX;
}

apr_status_t bl_project_find(bl_project_t *out, request_rec *r,
                             const char *path)
{
    bl_project_t project;
    char real[PATH_MAX];
    apr_finfo_t info;

    if (path[0] != '/' || realpath(path, real) == NULL ||
        !is_plain(real, r->pool))
        return APR_EACCES;
    if (apr_stat(&info, real, APR_FINFO_TYPE, r->pool) != APR_SUCCESS ||
        info.filetype != APR_DIR)
        return APR_EACCES;
    if (!permitted(r, real, &project))
        return APR_EACCES;
    project.path = apr_pstrdup(r->pool, real);
    *out = project;
    return APR_SUCCESS;
}

int bl_project_may_see(request_rec *r, const char *path)
{
    bl_project_t project;

    return permitted(r, path, &project);
}

/* ---- list ----------------------------------------------------------- */

static void add(apr_array_header_t *list, apr_hash_t *seen, request_rec *r,
                const char *path)
{
    bl_project_t project;

    if (bl_project_find(&project, r, path) != APR_SUCCESS ||
        apr_hash_get(seen, project.path, APR_HASH_KEY_STRING) != NULL)
        return;
    apr_hash_set(seen, project.path, APR_HASH_KEY_STRING, project.path);
    APR_ARRAY_PUSH(list, bl_project_t) = project;
}

static void add_matches(apr_array_header_t *list, apr_hash_t *seen,
                        request_rec *r, const char *pattern)
{
    glob_t found;
    apr_size_t i;

    memset(&found, 0, sizeof(found));
    if (glob(pattern, GLOB_NOSORT | GLOB_ONLYDIR, NULL, &found) == 0) {
        for (i = 0; i < found.gl_pathc; i++)
            add(list, seen, r, found.gl_pathv[i]);
    }
    globfree(&found);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const bl_project_t *)a)->path,
                  ((const bl_project_t *)b)->path);
}

apr_array_header_t *bl_project_list(request_rec *r)
{
    const core_server_config *core =
        ap_get_core_module_config(r->server->module_config);
    apr_array_header_t *list =
        apr_array_make(r->pool, 8, sizeof(bl_project_t));
    apr_hash_t *seen = apr_hash_make(r->pool);
    int i;

    for (i = 0; i < core->sec_dir->nelts; i++) {
        ap_conf_vector_t *section =
            APR_ARRAY_IDX(core->sec_dir, i, ap_conf_vector_t *);
        const bl_dir_conf_t *ours = bl_config_of_section(section);
        const core_dir_config *dir = ap_get_core_module_config(section);

        /* A regular expression names no directory that could be listed. */
        if (ours == NULL || ours->on != 1 || dir->r != NULL || dir->d == NULL)
            continue;
        if (dir->d_is_fnmatch)
            add_matches(list, seen, r, dir->d);
        else
            add(list, seen, r, dir->d);
    }
    qsort(list->elts, (apr_size_t)list->nelts, sizeof(bl_project_t), by_path);
    return list;
}
