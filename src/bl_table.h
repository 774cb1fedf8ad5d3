/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_table.h - what runner and httpd children know of each other
 *
 * Layer:    1 (store). Shared memory, no pointers in it.
 * Runs in:  all processes. Each function says who may call it.
 * Owns:     the layout of the shared memory, the published watermark, the
 *           rows of builds.
 * Not here: what stands in the logs (bl_log), how a pump is woken (bl_wake),
 *           counters (bl_counts) and slots (bl_slots), which only lie here.
 *
 * The table is an index and can be thrown away: the runner rebuilds it from
 * the logs when it starts. Only the runner writes rows, watermark and ids, so
 * they need no lock; a slot belongs to the child that claimed it.
 *
 * T1  a row's tail is published after the bytes are in the file
 * T2  every record with an id up to the watermark is below the tail of its
 *     log: who reads the watermark first, then the tails, misses nothing (but
 *     what a hole has swallowed since, see bl_log.h)
 * T3  a record's text is changed only while the row's generation is odd; a
 *     reader that saw it change reads again. The number of a build is the last
 *     that is written into its row and the first that is cleared: what was
 * read between two looks at it belongs to it
 */
#ifndef BL_TABLE_H
#define BL_TABLE_H

#include <apr_errno.h>
#include <apr_pools.h>

#include "bl_counts.h"
#include "bl_slots.h"
#include "bl_stamp.h"

typedef struct bl_table_t bl_table_t;

/* Builds that may wait or run at the same time, over all limits. */
#define BL_TABLE_LIVE_MAX 768

/* Ended builds whose rows are kept for viewers that come back. */
#define BL_TABLE_RECENT 128

/* Real path of a project, with its NUL. */
#define BL_TABLE_PROJECT_MAX 1024

/* A build's record in JSON, with its NUL. */
#define BL_TABLE_JSON_MAX (15 * 1024)

/* A build, as one consistent look at its row. */
typedef struct {
    apr_uint64_t build;
    int row;
    int final;          /* has ended: its log grows no more */
    apr_off_t tail;     /* bytes of its log that may be read */
    bl_stamp_t last_id; /* of the last record below tail; 0: none */
} bl_table_row_t;

/* ---- life (httpd parent) -------------------------------------------- */

/**
 * Make the table in anonymous shared memory.
 *
 * @param slots  pumps to make room for, 1 .. BL_SLOTS_MAX
 * @param p      outlives all processes that use the table
 */
apr_status_t bl_table_create(bl_table_t **out, int slots, apr_pool_t *p);

/** Was this table made with the layout that this code knows? */
int bl_table_is_current(const bl_table_t *t);

/** httpd has another configuration: what earlier ones permitted holds no more.
 * Pumps look at it when they are woken (all of them, by bl_wake_send). @return
 * the number of this one, for the children to come */
apr_uint32_t bl_table_new_generation(bl_table_t *t);

/* ---- runner only ---------------------------------------------------- */

/** Forget all rows and what was forgotten; the last id, the watermark (places
 * of clients stay valid) and the slots stay. */
void bl_table_reset(bl_table_t *t);

/**
 * Take a row for a build; the oldest ended one when BL_TABLE_RECENT are kept.
 *
 * @return APR_SUCCESS; APR_ENOSPC: too many live builds; APR_ENAMETOOLONG:
 *         project or json do not fit
 */
apr_status_t bl_table_row_add(bl_table_t *t, int *row, apr_uint64_t build,
                              const char *project, const char *json);

/** Set the record of a build; it has ended when final is not 0.
 * @return APR_SUCCESS; APR_ENAMETOOLONG: final holds, the old record stays */
apr_status_t bl_table_row_set(bl_table_t *t, int row, int final,
                              const char *json);

/** The build was refused after all, or has ended and is removed: the row is
 * empty again. */
void bl_table_row_drop(bl_table_t *t, int row);

/** The log of this row has grown: whole records up to tail. */
void bl_table_row_publish(bl_table_t *t, int row, apr_off_t tail,
                          bl_stamp_t last_id);

/** All records up to this id are published: raise the watermark. */
void bl_table_publish(bl_table_t *t, bl_stamp_t watermark);

/** The last id given; kept here so that a restarted runner goes on. 0: none,
 * or what stands there is none. */
bl_stamp_t bl_table_last_id(const bl_table_t *t);
void bl_table_set_last_id(bl_table_t *t, bl_stamp_t id);

/** Ids up to this one may belong to builds without a row: a client that
 * resumes the feed of all builds before it is told of a gap. */
void bl_table_set_forgotten(bl_table_t *t, bl_stamp_t id);

/** Say that the runner answers (its pid), or that it does not (0). Parent
 * may call it with 0. */
void bl_table_set_runner(bl_table_t *t, apr_uint32_t pid);

/* ---- any process ---------------------------------------------------- */

/** What is counted: everybody writes his own part. */
bl_counts_t *bl_table_counts(const bl_table_t *t);

/** The children of httpd. */
bl_slots_t *bl_table_slots(const bl_table_t *t);

/** Of httpd's configuration: the latest. */
apr_uint32_t bl_table_generation(const bl_table_t *t);

apr_uint32_t bl_table_runner(const bl_table_t *t);
bl_stamp_t bl_table_watermark(const bl_table_t *t);
bl_stamp_t bl_table_forgotten(const bl_table_t *t);

/** Rows in use or once used: 0 .. count-1 may be read. */
int bl_table_row_count(const bl_table_t *t);

/** Never waits. @return APR_SUCCESS; APR_NOTFOUND: empty */
apr_status_t bl_table_row_read(bl_table_row_t *out, const bl_table_t *t,
                               int row);

/** Find a build. hint: where it stood last, or -1. */
apr_status_t bl_table_find(bl_table_row_t *out, const bl_table_t *t,
                           apr_uint64_t build, int hint);

/** Copy the project and the JSON of a row that still holds this build; each
 * may be NULL. @return APR_SUCCESS; APR_NOTFOUND */
apr_status_t bl_table_row_text(const char **project, const char **json,
                               const bl_table_t *t, int row,
                               apr_uint64_t build, apr_pool_t *p);

#endif /* BL_TABLE_H */
