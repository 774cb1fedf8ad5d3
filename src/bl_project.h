/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_project.h - from a path to a project, and who may do what with it
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     the question whether httpd's own configuration lets this user see
 *           or build a directory.
 * Not here: users and passwords: the endpoint's location authenticates.
 *
 * A project is a directory inside a <Directory> that says BuildLog On. Its
 * path is resolved first; then its configuration is walked as for a file, and
 * its Require is asked for the user of this request. One refusal looks like
 * another: not there, no directory, not On and not permitted are the same.
 */
#ifndef BL_PROJECT_H
#define BL_PROJECT_H

#include "httpd.h"

#include <apr_tables.h>

#include "bl_config.h"

typedef struct {
    const char *path; /* real path */
    const bl_dir_conf_t *conf;
    ap_conf_vector_t *sections; /* all modules' view of the directory */
} bl_project_t;

void bl_project_register_hooks(apr_pool_t *p);

/**
 * Find the project that a client named, for building it.
 *
 * @param path  as the client sent it
 * @return APR_SUCCESS; APR_EACCES: refused, *out untouched
 */
apr_status_t bl_project_find(bl_project_t *out, request_rec *r,
                             const char *path);

/**
 * The project of a hook (BuildLogHook). Its Require is not asked: who knows
 * the hook's secret may.
 *
 * @param path  of the section that has the directive
 * @return APR_SUCCESS; APR_ENOENT: it is no directory, or BuildLog is not On
 *         for it
 */
apr_status_t bl_project_of_hook(bl_project_t *out, request_rec *r,
                                const char *path);

/** May this user see the builds of a project?
 * @param path  real path, from a build's record; it need not exist any more */
int bl_project_may_see(request_rec *r, const char *path);

/** The projects that this user may build and that the configuration names:
 * its sections, and what exists of those with wildcards. bl_project_t, sorted
 * by path. */
apr_array_header_t *bl_project_list(request_rec *r);

#endif /* BL_PROJECT_H */
