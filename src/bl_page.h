/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_page.h - builds and projects as pages, for browsers without JavaScript
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     what these pages show, and their forms.
 * Not here: what may be shown, and finding it (bl_api, bl_list); the frame
 *           around it (bl_frame).
 */
#ifndef BL_PAGE_H
#define BL_PAGE_H

#include "httpd.h"

#include <apr_tables.h>

#include "bl_table.h"

/**
 * The list of builds.
 *
 * @param builds  const char *: their records in JSON
 * @param next    behind it the next page begins; 0: there is none
 * @param broken  the history could not be read
 */
int bl_page_builds(request_rec *r, const apr_array_header_t *builds,
                   apr_uint64_t next, int broken);

/** One build, and lines of its log. @param json  its record */
int bl_page_build(request_rec *r, const bl_table_row_t *row, const char *json);

/* Of a list of projects. */
typedef struct {
    const char *path;
    const char *title;
    const char *last; /* the record of its latest build in JSON; NULL: none */
} bl_page_project_t;

/** The list of projects. @param projects  bl_page_project_t */
int bl_page_projects(request_rec *r, const apr_array_header_t *projects);

#endif /* BL_PAGE_H */
