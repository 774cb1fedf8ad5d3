/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_figures.h - how the server does, in figures
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads. Asks nobody and waits for nothing.
 * Owns:     which figures there are, taken from shared memory.
 * Not here: how they are shown (bl_status, bl_metrics), counting (bl_counts).
 *
 * No name of a project and no text of a log is among them: who may see them
 * need not be who may see builds.
 */
#ifndef BL_FIGURES_H
#define BL_FIGURES_H

#include "httpd.h"

#include <apr_tables.h>

#include "bl_counts.h"
#include "bl_table.h"

/* Viewers of an httpd child, or of all of them. */
typedef struct {
    apr_uint32_t pid; /* 0: of all */
    apr_uint32_t viewers[BL_VIEWER_KINDS];
    apr_uint32_t behind;     /* have not taken all there is */
    apr_interval_time_t lag; /* of the farthest one, in time of the log */
} bl_figures_child_t;

typedef struct {
    apr_uint32_t pid; /* of the runner; 0: there is none */
    int answers;      /* it is there, and goes through its loop */
    bl_counts_runner_t runner;
    apr_uint64_t counts[BL_COUNT_COUNT]; /* of all children */
    bl_figures_child_t all;
    apr_array_header_t *children; /* bl_figures_child_t */
    apr_uint32_t viewers_most;    /* BuildLogMaxClients */
    apr_int64_t room;             /* bytes free for logs; -1: not known */
} bl_figures_t;

/** Since when the runner runs, in seconds; 0: it does not. */
apr_int64_t bl_figures_uptime(const bl_figures_t *figures);

/** Take them. @param p  for the list of children */
void bl_figures_take(bl_figures_t *out, apr_pool_t *p);

/** Does the runner do its work? Cheap: nobody is asked. */
int bl_figures_runner_answers(void);

#endif /* BL_FIGURES_H */
