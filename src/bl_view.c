/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_view.c - what a viewer of all builds may see, decided project by project
 */
#include "bl_view.h"

/* libc */
#include <stdlib.h>
#include <string.h>
/* APR */
#include <apr_strings.h>

void bl_view_add(apr_array_header_t *list, const char *project, int allowed)
{
    APR_ARRAY_PUSH(list, const char *) =
        apr_pstrcat(list->pool, allowed ? "+" : "-", project, "\n", NULL);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *bl_view_make(apr_array_header_t *list, apr_pool_t *p)
{
    qsort(list->elts, (apr_size_t)list->nelts, sizeof(char *), by_text);
    return apr_array_pstrcat(p, list, '\0');
}

bl_view_e bl_view_says(const char *view, const char *project)
{
    apr_size_t len = strlen(project);
    const char *line = view;

    /* Line by line: a path may hold another one, and the sign before it. */
    while (line != NULL && *line != '\0') {
        const char *end = strchr(line, '\n');

        if (end == NULL)
            break;
        if ((apr_size_t)(end - line) == len + 1 &&
            memcmp(line + 1, project, len) == 0)
            return *line == '+' ? BL_VIEW_ALLOWED : BL_VIEW_DENIED;
        line = end + 1;
    }
    return BL_VIEW_UNDECIDED;
}
