/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_replay.h - GET .../builds/42/log?format=asciicast: a log as a recording
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     when a recording begins, what its markers are called; sending it
 *           event by event.
 * Not here: the form of an event (bl_cast); the head of the answer
 *           (bl_download).
 */
#ifndef BL_REPLAY_H
#define BL_REPLAY_H

#include "httpd.h"

#include "bl_build.h"
#include "bl_log.h"
#include "bl_table.h"

/**
 * Send the recording of what there is of a log.
 *
 * @param end  the record at its end; NULL: it has none
 * @return APR_SUCCESS; APR_ECONNABORTED: the client has gone; an I/O status
 */
apr_status_t bl_replay_send(request_rec *r, bl_cursor_t *cursor,
                            const bl_table_row_t *row, const bl_build_t *end);

#endif /* BL_REPLAY_H */
