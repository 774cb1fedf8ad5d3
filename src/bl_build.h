/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_build.h - a build: its record, its states, its JSON
 *
 * Layer:    0 (value). Pure.
 * Runs in:  anywhere; the runner is the only one that changes a build.
 * Owns:     the states and which may follow which, the fields and their names.
 * Not here: processes (bl_job), the queue (bl_runner).
 *
 *     queued -> running -> succeeded | failed | cancelled | timed-out | lost
 *     queued -> cancelled | lost
 */
#ifndef BL_BUILD_H
#define BL_BUILD_H

#include <apr_errno.h>
#include <apr_pools.h>

#include "bl_stamp.h"

typedef enum {
    BL_BUILD_QUEUED,
    BL_BUILD_RUNNING,
    BL_BUILD_SUCCEEDED,
    BL_BUILD_FAILED,
    BL_BUILD_CANCELLED,
    BL_BUILD_TIMED_OUT,
    BL_BUILD_LOST,
    BL_BUILD_STATE_COUNT
} bl_build_state_e;

/* exit and signal before there is one. */
#define BL_BUILD_NONE (-1)

/* Most steps of a build. */
#define BL_BUILD_STEPS_MAX 32

/* Of a build's number: so far JavaScript counts exactly. */
#define BL_BUILD_NUMBER_MAX APR_UINT64_C(9007199254740991)

/* A step. "pending" in JSON: not started. A step is succeeded when exit is
 * 0, failed when it ended otherwise, running in between. */
typedef struct {
    const char *name;
    bl_stamp_t started; /* 0: not yet */
    bl_stamp_t ended;   /* 0: not yet */
    int exit;           /* exit code or BL_BUILD_NONE */
    int signal;         /* signal number or BL_BUILD_NONE */
} bl_build_step_t;

typedef struct {
    apr_uint64_t id;
    const char *project; /* real path */
    const char *title;
    const char *user; /* who asked; NULL: nobody authenticated */
    bl_build_state_e state;
    const char *reason; /* why it ended as it did, or what it waits for */
    int step;           /* index of the step in progress; -1: none */
    int step_count;
    bl_build_step_t *steps;
    bl_stamp_t created;
    bl_stamp_t started; /* 0: not yet */
    bl_stamp_t ended;   /* 0: not yet */
    int exit;           /* of the step that ended the build */
    int signal;
    apr_uint32_t position; /* in the queue from 1; 0: not queued */
    apr_uint64_t lines;    /* whole lines in the log as text */
    apr_uint64_t bytes;    /* of the log as text */
    const char *sha256;    /* of the log as text; NULL: not ended */
} bl_build_t;

/** "queued", "running", ..., "timed-out"; static. */
const char *bl_build_state_name(bl_build_state_e state);

/** @return APR_SUCCESS; APR_EGENERAL: no such state, *out untouched */
apr_status_t bl_build_state_read(bl_build_state_e *out, const char *name);

int bl_build_state_is_final(bl_build_state_e state);

/**
 * The only writer of build->state.
 *
 * @return APR_SUCCESS; APR_EINVAL: not from here, state unchanged
 */
apr_status_t bl_build_move(bl_build_t *build, bl_build_state_e to);

/**
 * The record as clients see it, one line:
 * {"id":42,"project":"/srv/demo","title":"demo","state":"running",
 *  "reason":null,"step":"install","steps":[{"name":"install",
 *  "state":"running","started":"...","ended":null,"exit":null,
 *  "signal":null}],"created":"...","started":"...","ended":null,
 *  "exit":null,"signal":null,"user":"alice","position":null,
 *  "lines":0,"bytes":0}
 * and, when the build has ended, "sha256":"...".
 * A signal is its name without SIG ("TERM"); unknown ones "SIG%d".
 */
const char *bl_build_to_json(const bl_build_t *build, apr_pool_t *p);

/**
 * Read what bl_build_to_json wrote. Fields beyond that are passed over. step
 * is the last begun of the steps that have its name.
 *
 * @return APR_SUCCESS; APR_EGENERAL: not such a record, *out untouched
 */
apr_status_t bl_build_from_json(bl_build_t **out, const char *text,
                                apr_size_t len, apr_pool_t *p);

/** A copy of a record and all in it. */
bl_build_t *bl_build_copy(const bl_build_t *build, apr_pool_t *p);

/** "TERM" for 15; made in p if it is not a known one. */
const char *bl_build_signal_name(int signal, apr_pool_t *p);

#endif /* BL_BUILD_H */
