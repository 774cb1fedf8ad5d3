/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_audience.h - the viewers of an httpd child, in groups of the same feed
 *
 * Layer:    2 (actor, pump side).
 * Runs in:  pump thread.
 * Owns:     the viewers from the moment they were handed over: who is written
 *           to when, pings, last words.
 * Not here: the thread, sleeping and waking (bl_pump).
 *
 * A1  nothing here blocks on a viewer
 * A2  a viewer that takes no more keeps its id and what is in its brigade (a
 *     few shared chunks); it reads on from the log when it can be written
 * A3  every viewer is taken off the table's count exactly once
 */
#ifndef BL_AUDIENCE_H
#define BL_AUDIENCE_H

#include <apr_poll.h>
#include <apr_portable.h>

#include "bl_client.h"
#include "bl_feed.h"

typedef struct bl_audience_t bl_audience_t;

/**
 * @param slot     of the table, where its viewers are counted
 * @param pollset  theirs, and the pump's; client_data of their descriptors is
 *                 not NULL
 */
bl_audience_t *bl_audience_create(bl_table_t *table, int slot,
                                  const char *logs_dir, apr_pollset_t *pollset,
                                  apr_bucket_alloc_t *buckets, apr_pool_t *p);

/** The time of this turn. */
void bl_audience_set_time(bl_audience_t *audience, apr_time_t now);

/** A new viewer, counted already; descriptor and link are the audience's now.
 */
void bl_audience_admit(bl_audience_t *audience, const bl_client_conn_t *conn,
                       const bl_feed_spec_t *spec, bl_stamp_t at);

/** httpd lost a viewer's connection. */
void bl_audience_lose(bl_audience_t *audience, bl_link_t *link);

/** Something happened on a viewer's descriptor. */
void bl_audience_event(bl_audience_t *audience, const apr_pollfd_t *event);

/**
 * Do what is due: news up to the watermark, pings.
 *
 * @param late  set when news waits for BuildLogFlush
 * @return when something is due next
 */
apr_time_t bl_audience_turn(bl_audience_t *audience, bl_stamp_t watermark,
                            int *late);

/** The child will end: all are told when to come back, and closed when that is
 * written; also those who come later. */
void bl_audience_dismiss(bl_audience_t *audience);

/** Close all that are left. */
void bl_audience_clear(bl_audience_t *audience);

int bl_audience_size(const bl_audience_t *audience);

#endif /* BL_AUDIENCE_H */
