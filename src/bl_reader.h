/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_reader.h - a place among the logs of several builds
 *
 * Layer:    2 (actor, pump side).
 * Runs in:  the thread of its feed.
 * Owns:     the open logs, their merging by id.
 * Not here: which logs (bl_feed says it, turn by turn), bytes for clients.
 *
 * A reader stands behind an id and moves forwards only. In each turn its owner
 * names the logs and how far each may be read; then the reader hands out their
 * records in the order of ids, each once.
 *
 * R1  open are the logs of which a part was handed out and more may come, and
 *     one more: however many were named
 * R2  a log that was named is read to the tail it had then, or
 *     bl_reader_status says that it was not
 * R3  what is missing in a log is known (bl_reader_missing) before anything is
 *     handed out that came after it
 */
#ifndef BL_READER_H
#define BL_READER_H

#include <apr_pools.h>

#include "bl_record.h"

typedef struct bl_reader_t bl_reader_t;

bl_reader_t *bl_reader_create(const char *logs_dir, bl_stamp_t at,
                              apr_pool_t *p);
void bl_reader_destroy(bl_reader_t **reader);

bl_stamp_t bl_reader_at(const bl_reader_t *reader);

/**
 * What went wrong with reading in this turn. A log that could not be read is
 * closed, there may be more in it than was handed out, and records of others
 * may be behind that: who takes them says gap. It is tried again when it is
 * named again. But when descriptors are lacking (EMFILE, ENFILE) nothing is
 * passed over: there is no next record until there are some.
 *
 * @param build  whose log it was last
 */
apr_status_t bl_reader_status(const bl_reader_t *reader, apr_uint64_t *build);

/** Nothing more comes up to this id. */
void bl_reader_move(bl_reader_t *reader, bl_stamp_t at);

/** What was read ahead is read again, from the files that are open: they have
 * changed. Between turns. */
void bl_reader_again(bl_reader_t *reader);

/* ---- a turn --------------------------------------------------------- */

/** Begin: no log is named yet. */
void bl_reader_turn(bl_reader_t *reader);

/** Is this log open? */
int bl_reader_has(const bl_reader_t *reader, apr_uint64_t build);

/**
 * Name a log.
 *
 * @param tail   read no further
 * @param final  it will not grow: close it when it is read to the tail
 * @return APR_SUCCESS; APR_ENOENT; an I/O status
 */
apr_status_t bl_reader_name(bl_reader_t *reader, apr_uint64_t build,
                            apr_off_t tail, int final);

/**
 * The next record without taking it. Logs that were not named are read to
 * where they could be read before, and closed.
 *
 * @param up_to  no record with a greater id
 * @return its build; 0: there is none. *rec is valid until the next call.
 */
apr_uint64_t bl_reader_peek(const bl_record_t **rec, bl_reader_t *reader,
                            bl_stamp_t up_to);

/** Was something of its log left out before the record that was peeked? Not
 * said when the note of that was taken last. */
int bl_reader_skipped(const bl_reader_t *reader);

/**
 * Is anything missing behind the place, in other logs than that of the record
 * that was peeked? For each chunk, and again when more is seen: viewers may
 * leave this reader for another one at any record, which has read what is gone
 * for this one; and what is missing is not missing there.
 *
 * @param from  what is missing came before this id; 0: it is not known
 * @return 1: yes, since the turn began or since it was asked last
 */
int bl_reader_missing(bl_reader_t *reader, bl_stamp_t *from);

/** Take the record that was peeked: the reader stands behind it. */
void bl_reader_take(bl_reader_t *reader);

#endif /* BL_READER_H */
