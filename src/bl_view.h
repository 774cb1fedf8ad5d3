/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_view.h - what a viewer of all builds may see, decided project by project
 *
 * Layer:    0 (value). Pure.
 * Runs in:  anywhere.
 * Owns:     the form of a view: text, so that two viewers with the same rights
 *           have equal views and share a feed.
 * Not here: deciding it (bl_stream asks bl_project).
 *
 * A view is lines, sorted, one for each project: "+/real/path" LF (allowed) or
 * "-/real/path" LF (denied). Paths have no control characters (bl_project).
 */
#ifndef BL_VIEW_H
#define BL_VIEW_H

#include <apr_pools.h>
#include <apr_tables.h>

typedef enum {
    BL_VIEW_DENIED,
    BL_VIEW_ALLOWED,
    BL_VIEW_UNDECIDED /* a project that was not known then */
} bl_view_e;

/** Add a decision to a list (const char *). */
void bl_view_add(apr_array_header_t *list, const char *project, int allowed);

/** Make the view of a list; the list is sorted. */
const char *bl_view_make(apr_array_header_t *list, apr_pool_t *p);

/** Ask a view. */
bl_view_e bl_view_says(const char *view, const char *project);

#endif /* BL_VIEW_H */
