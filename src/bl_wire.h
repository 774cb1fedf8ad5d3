/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_wire.h - messages between httpd and the runner
 *
 * Layer:    0 (value). Pure.
 * Runs in:  anywhere.
 * Owns:     the frame, the fields of each message, their checks.
 * Not here: the socket (bl_daemon, bl_runner).
 *
 * A frame is a header of 12 bytes and a body:
 *
 *     magic "BLW1" | type, 4 bytes | body length, 4 bytes | body
 *
 * Numbers are little-endian. A body is a row of fields, each
 *
 *     key, 2 bytes | length, 4 bytes | value
 *
 * A number is a field of 8 bytes. A string has any bytes but NUL. Fields have
 * a fixed order, and those that are not known are refused: both sides are of
 * one version.
 *
 * W1  a message is taken whole or not at all
 * W2  nothing is trusted: each length is checked against what is there, each
 *     count and number against its limit
 */
#ifndef BL_WIRE_H
#define BL_WIRE_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_time.h>

#define BL_WIRE_HEADER_LEN 12

/* Longest body. An order is a few kilobytes; environments may be larger. */
#define BL_WIRE_BODY_MAX (512 * 1024)

#define BL_WIRE_ENV_MAX 1024 /* variables */

/* Of the delivery of a hook: how many, and hexadecimal digits of each. */
#define BL_WIRE_MARKS 2
#define BL_WIRE_MARK_LEN 32

/* Of a log's limit, in bytes. With less of it hardly one read of a pipe would
 * stay; the most keeps sums of sizes far from their ends. */
#define BL_WIRE_LOG_LEAST (APR_UINT64_C(64) << 10)
#define BL_WIRE_LOG_MOST (APR_UINT64_C(1) << 40)

typedef enum {
    BL_WIRE_ORDER = 1, /* request thread -> runner: build this */
    BL_WIRE_LIMITS,    /* parent -> runner: the new generation's limits */
    BL_WIRE_ACCEPTED,  /* runner -> request thread */
    BL_WIRE_REFUSED,   /* runner -> request thread */
    BL_WIRE_CANCEL,    /* request thread -> runner: end this build */
    BL_WIRE_PROBE,     /* request thread -> runner: could you take a build? */
    BL_WIRE_READY      /* runner -> request thread: yes; no is a refusal */
} bl_wire_type_e;

/* Who is told how builds ended: of the whole server, of a build. */
#define BL_WIRE_TARGETS_MAX 64

/* Hexadecimal digits of a target's key. */
#define BL_WIRE_KEY_LEN 32

typedef struct {
    const char *key;    /* by which an order names it */
    const char *url;    /* http or https; may hold what is secret */
    const char *secret; /* as bl_sign_key takes it; "": it is not signed */
} bl_target_t;

typedef struct {
    const char *name;
    const char *command; /* for /bin/sh -c */
} bl_wire_step_t;

/* One limit of the core's RLimit directives. */
typedef struct {
    int set;
    apr_uint64_t soft; /* APR_UINT64_MAX: no limit */
    apr_uint64_t hard;
} bl_wire_rlimit_t;

typedef enum {
    BL_WIRE_RLIMIT_CPU,
    BL_WIRE_RLIMIT_MEM,
    BL_WIRE_RLIMIT_NPROC,
    BL_WIRE_RLIMIT_COUNT
} bl_wire_rlimit_e;

/* What to build and how: made by a request thread from the configuration. */
typedef struct {
    const char *project; /* real path, absolute */
    const char *title;
    const char *user; /* NULL: nobody authenticated */
    int step_count;   /* 1 .. BL_BUILD_STEPS_MAX */
    bl_wire_step_t *steps;
    int env_count;                    /* 0 .. BL_WIRE_ENV_MAX */
    const char **env;                 /* "NAME=value" */
    int mask_count;                   /* 0 .. BL_WIRE_ENV_MAX */
    const char **masks;               /* names whose values are secret */
    apr_interval_time_t timeout;      /* of the build; > 0 */
    apr_interval_time_t idle_timeout; /* without output; > 0 */
    apr_interval_time_t kill_grace;   /* TERM to KILL; >= 0 */
    apr_int64_t max_log; /* bytes; BL_WIRE_LOG_LEAST .. BL_WIRE_LOG_MOST */
    bl_wire_rlimit_t rlimits[BL_WIRE_RLIMIT_COUNT];
    /* Of a hook's delivery, that it begins no second build; NULL: none. */
    const char *marks[BL_WIRE_MARKS];
    int notify_count;    /* 0 .. BL_WIRE_TARGETS_MAX */
    const char **notify; /* keys of bl_target_t */
    /* The last line by final state; index bl_build_state_e; NULL: default. */
    const char *messages[7];
} bl_order_t;

/** Is this "NAME=value" one of those whose value is secret? */
int bl_wire_is_secret(const bl_order_t *order, const char *entry);

/* What the server allows, from the server configuration. */
typedef struct {
    apr_uint32_t max_builds; /* at once; >= 1 */
    apr_uint32_t max_queue;  /* waiting */
    apr_uint32_t line_limit; /* bytes; 16 .. a third of a record's most */
    /* Ended builds that are kept; 0: without this limit. */
    apr_uint32_t keep_count;
    apr_interval_time_t keep_age;
    apr_uint64_t keep_size; /* bytes on the disk, all logs */
    int target_count;       /* 0 .. BL_WIRE_TARGETS_MAX */
    bl_target_t *targets;
} bl_limits_t;

typedef enum {
    BL_REFUSED_QUEUE_FULL = 1,
    BL_REFUSED_STOPPING, /* the server is going down */
    BL_REFUSED_STORE,    /* the log cannot be created */
    BL_REFUSED_ORDER,    /* the message was not understood */
    BL_REFUSED_OVER,     /* cancel: no such build waits or runs */
    BL_REFUSED_AGAIN     /* the delivery has begun a build already */
} bl_refused_e;

typedef struct {
    apr_uint64_t build;
    const char *by; /* who asks, for people: a user or an address */
} bl_cancel_t;

typedef struct {
    apr_uint64_t build; /* its id */
    const char *json;   /* its record */
} bl_accepted_t;

typedef struct {
    bl_refused_e why;
    const char *text; /* for the client: what was wrong, what is allowed */
} bl_refusal_t;

/* ---- frames --------------------------------------------------------- */

typedef struct {
    bl_wire_type_e type;
    const char *body; /* into the buffer */
    apr_size_t len;
} bl_wire_frame_t;

/**
 * Find the frame at the start of buf.
 *
 * @param need  APR_INCOMPLETE: bytes that the whole frame (or its header, if
 *              that is not there yet) has. APR_SUCCESS: bytes of the frame
 * @return APR_SUCCESS; APR_INCOMPLETE; APR_EGENERAL: not a frame of ours or
 *         too long
 */
apr_status_t bl_wire_frame_read(bl_wire_frame_t *out, apr_size_t *need,
                                const char *buf, apr_size_t len);

/* ---- messages: each write makes a whole frame in p ------------------ */

/** @return APR_SUCCESS; APR_EINVAL: does not fit or breaks a limit */
apr_status_t bl_wire_order_write(const char **frame, apr_size_t *len,
                                 const bl_order_t *order, apr_pool_t *p);
apr_status_t bl_wire_limits_write(const char **frame, apr_size_t *len,
                                  const bl_limits_t *limits, apr_pool_t *p);
apr_status_t bl_wire_accepted_write(const char **frame, apr_size_t *len,
                                    const bl_accepted_t *accepted,
                                    apr_pool_t *p);
apr_status_t bl_wire_refused_write(const char **frame, apr_size_t *len,
                                   const bl_refusal_t *refusal, apr_pool_t *p);
apr_status_t bl_wire_cancel_write(const char **frame, apr_size_t *len,
                                  const bl_cancel_t *cancel, apr_pool_t *p);

/** One without fields: BL_WIRE_PROBE, BL_WIRE_READY. */
apr_status_t bl_wire_bare_write(const char **frame, apr_size_t *len,
                                bl_wire_type_e type, apr_pool_t *p);

/**
 * Read a frame's body; strings are copied into p.
 *
 * @return APR_SUCCESS; APR_EGENERAL, *out untouched
 */
apr_status_t bl_wire_order_read(bl_order_t **out, const bl_wire_frame_t *frame,
                                apr_pool_t *p);
apr_status_t bl_wire_limits_read(bl_limits_t *out,
                                 const bl_wire_frame_t *frame, apr_pool_t *p);
apr_status_t bl_wire_accepted_read(bl_accepted_t *out,
                                   const bl_wire_frame_t *frame,
                                   apr_pool_t *p);
apr_status_t bl_wire_refused_read(bl_refusal_t *out,
                                  const bl_wire_frame_t *frame, apr_pool_t *p);
apr_status_t bl_wire_cancel_read(bl_cancel_t *out,
                                 const bl_wire_frame_t *frame, apr_pool_t *p);
apr_status_t bl_wire_bare_read(const bl_wire_frame_t *frame,
                               bl_wire_type_e type);

#endif /* BL_WIRE_H */
