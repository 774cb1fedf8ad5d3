/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_project.c - from a path to a project, and who may do what with it
 *
 * Why not a sub-request: it authenticates anew, without the location's
 * AuthType, and so loses the user. Instead a copy of the request is given the
 * directory as its file, and httpd's own walk and checks are asked.
 *
 * DIAGNOSTICS   a refusal by Require is written by mod_authz_core (AH01630)
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
/* layer 3 */
#include "bl_trust.h"

/* What other modules know of the request, for their checks: whether
 * mod_setenvif has done the server's part, who mod_authnz_ldap has found. */
static ap_conf_vector_t *same_config(const request_rec *r)
{
    ap_conf_vector_t *config = ap_create_request_config(r->pool);
    module *m;

    for (m = ap_top_module; m != NULL; m = m->next)
        ap_set_module_config(config, m,
                             ap_get_module_config(r->request_config, m));
    return config;
}

/* The connection as that of a stream of HTTP/2, which is a part of another:
 * mod_ssl then does not turn to the client for a certificate. It is too late
 * for that: the body is read, and the thread would wait for another. */
static conn_rec *without_handshakes(conn_rec *c, apr_pool_t *p)
{
    conn_rec *copy;

    if (c->master != NULL)
        return c;
    copy = apr_pmemdup(p, c, sizeof(*c));
    copy->master = c;
    return copy;
}

/* A copy of the request that asks for a directory. What the checks write into
 * its tables (WWW-Authenticate, notes) must not reach the client. */
static request_rec *request_for(request_rec *r, const char *path)
{
    const bl_trust_t *trust = bl_trust_of(r);
    request_rec *copy = apr_pmemdup(r->pool, r, sizeof(*r));

    copy->main = r;
    copy->connection = without_handshakes(r->connection, r->pool);
    copy->user = (char *)trust->user;
    copy->filename = apr_pstrdup(r->pool, path);
    copy->canonical_filename = copy->filename;
    copy->path_info = NULL;
    copy->per_dir_config = r->server->lookup_defaults;
    copy->request_config = same_config(r);
    copy->notes = apr_table_make(r->pool, 4);
    copy->headers_out = apr_table_make(r->pool, 4);
    copy->err_headers_out = apr_table_make(r->pool, 4);
    copy->subprocess_env = apr_table_copy(r->pool, trust->env);
    copy->used_path_info = AP_REQ_DEFAULT_PATH_INFO;
    /* For Require file-owner. */
    if (apr_stat(&copy->finfo, path, APR_FINFO_LINK | APR_FINFO_NORM,
                 r->pool) != APR_SUCCESS ||
        copy->finfo.filetype != APR_DIR) {
        memset(&copy->finfo, 0, sizeof(copy->finfo));
        copy->finfo.filetype = APR_DIR;
    }
    ap_run_create_request(copy);
    ap_set_module_config(copy->request_config, &buildlog_module, copy);
    return copy;
}

/* The sections of a project are those of its name. httpd's walk would end
 * where nothing is, or no directory any more, and so leave out the innermost:
 * but the builds are still there to be seen. The name was resolved when the
 * build was asked for: for the walk no part of it is a link, either. */
static apr_status_t stat_for_walk(apr_finfo_t *finfo, request_rec *r,
                                  apr_int32_t wanted)
{
    if (ap_get_module_config(r->request_config, &buildlog_module) != r)
        return AP_DECLINED; /* no copy of ours */
    memset(finfo, 0, sizeof(*finfo));
    finfo->filetype = APR_DIR;
    finfo->valid = APR_FINFO_TYPE;
    return APR_SUCCESS;
}

void bl_project_register_hooks(apr_pool_t *p)
{
    ap_hook_dirwalk_stat(stat_for_walk, NULL, NULL, APR_HOOK_MIDDLE);
}

/* One module's part of two configurations, the inner one over the outer one.
 */
static void *merge_one(const module *m, void *outer, void *inner,
                       apr_pool_t *p)
{
    if (inner == NULL)
        return outer;
    if (outer == NULL || m->merge_dir_config == NULL)
        return inner;
    return m->merge_dir_config(p, outer, inner);
}

/* The sections of the directory over the configuration of the address. From
 * the address comes how to find out what a Require asks for: which groups,
 * which LDAP server. Who may is said by the directory alone: AuthMerging there
 * is about the directories above it, and Satisfy of the address about the
 * address. */
static ap_conf_vector_t *merge(request_rec *copy, request_rec *r)
{
    ap_conf_vector_t *own = copy->per_dir_config;
    ap_conf_vector_t *base = bl_trust_of(r)->conf;
    ap_conf_vector_t *defaults = r->server->lookup_defaults;
    ap_conf_vector_t *merged = ap_create_per_dir_config(r->pool);
    /* Where nothing is asked for, the address's Require holds on, which this
     * request has met. */
    int asks = ap_some_auth_required(copy);
    module *m;

    for (m = ap_top_module; m != NULL; m = m->next) {
        void *inner = ap_get_module_config(own, m);
        int is_own = strcmp(m->name, "mod_access_compat.c") == 0 ||
                     (asks && strcmp(m->name, "mod_authz_core.c") == 0);

        /* What no section has changed is the default of the server, which must
         * not hide what the address says. */
        if (!is_own && inner == ap_get_module_config(defaults, m))
            inner = NULL;
        ap_set_module_config(
            merged, m,
            is_own
                ? inner
                : merge_one(m, ap_get_module_config(base, m), inner, r->pool));
    }
    return merged;
}

/* As httpd asks its modules for a file (ap_process_request_internal), but that
 * the user was authenticated by the location's AuthType. */
static int admits(request_rec *copy)
{
    int any = ap_satisfies(copy) == SATISFY_ANY;
    int result = ap_run_access_checker(copy);

    if (result == OK && any)
        return 1;
    if (result != OK && result != DECLINED && !any)
        return 0;
    result = ap_run_access_checker_ex(copy);
    if (result != DECLINED)
        return result == OK;
    if (copy->user == NULL)
        return 0;
    result = ap_run_auth_checker(copy);
    /* DECLINED: no Require stands anywhere, then httpd lets everybody in. */
    return result == OK || result == DECLINED;
}

/* Is it a project? Sets the configuration of the directory. */
static int configured(request_rec *copy, bl_project_t *project)
{
    /* A Require may also stand in an <If> of the directory. */
    if (ap_directory_walk(copy) != OK || ap_if_walk(copy) != OK)
        return 0;
    project->conf = bl_config_dir(copy);
    project->sections = copy->per_dir_config;
    return project->conf->on == 1;
}

/* Does httpd let this user in? */
static int permitted(request_rec *r, const char *path, bl_project_t *project)
{
    request_rec *copy = request_for(r, path);

    if (!configured(copy, project))
        return 0;
    /* SetEnvIf in the directory, for Require env. */
    if (ap_is_HTTP_ERROR(ap_run_header_parser(copy)))
        return 0;
    copy->per_dir_config = merge(copy, r);
    return admits(copy);
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

/* NULL: not there, or no directory that can be a project. */
static const char *resolve(request_rec *r, const char *path)
{
    char real[PATH_MAX];
    apr_finfo_t info;

    if (path[0] != '/' || realpath(path, real) == NULL ||
        !is_plain(real, r->pool))
        return NULL;
    if (apr_stat(&info, real, APR_FINFO_TYPE, r->pool) != APR_SUCCESS ||
        info.filetype != APR_DIR)
        return NULL;
    return apr_pstrdup(r->pool, real);
}

apr_status_t bl_project_find(bl_project_t *out, request_rec *r,
                             const char *path)
{
    bl_project_t project;

    project.path = resolve(r, path);
    if (project.path == NULL || !permitted(r, project.path, &project))
        return APR_EACCES;
    *out = project;
    return APR_SUCCESS;
}

apr_status_t bl_project_of_hook(bl_project_t *out, request_rec *r,
                                const char *path)
{
    bl_project_t project;

    project.path = resolve(r, path);
    if (project.path == NULL ||
        !configured(request_for(r, project.path), &project))
        return APR_ENOENT;
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
