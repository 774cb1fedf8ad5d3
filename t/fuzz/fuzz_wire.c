/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_wire.c - any bytes as messages to and from the runner (W1, W2; W3 and
 * W4 in bl_wire.c)
 *
 * INPUT  what came from a socket: frames, one behind the other
 *
 * A frame lies inside what came, or more is needed than is there. A body is
 * refused, or it is a message that would be written exactly so.
 */
#include "bl_wire.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "bl_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

static void check_order(const bl_order_t *order)
{
    int i;

    must(order->project[0] == '/' && order->title != NULL, "texts are there");
    must(order->step_count >= 1 && order->step_count <= BL_BUILD_STEPS_MAX,
         "steps are counted");
    for (i = 0; i < order->step_count; i++)
        must(order->steps[i].name != NULL && order->steps[i].command != NULL,
             "a step is whole");
    must(order->env_count >= 0 && order->env_count <= BL_WIRE_ENV_MAX,
         "variables are counted");
    for (i = 0; i < order->env_count; i++)
        must(strchr(order->env[i], '=') > order->env[i],
             "a variable has a name");
    must(order->timeout > 0 && order->idle_timeout > 0 &&
             order->kill_grace >= 0,
         "times are in range");
    must((apr_uint64_t)order->max_log >= BL_WIRE_LOG_LEAST &&
             (apr_uint64_t)order->max_log <= BL_WIRE_LOG_MOST,
         "the log's limit is in range");
}

/* @return did it come out: then *bytes and *len are the frame written again */
static int try_message(const char **bytes, apr_size_t *len,
                       const bl_wire_frame_t *frame, apr_pool_t *pool)
{
    bl_order_t *order = NULL;
    bl_limits_t limits;
    bl_accepted_t accepted;
    bl_refusal_t refusal;
    bl_cancel_t cancel;
    apr_status_t rv = APR_EGENERAL;

    switch (frame->type) {
    case BL_WIRE_ORDER:
        if (bl_wire_order_read(&order, frame, pool) != APR_SUCCESS)
            return 0;
        check_order(order);
        rv = bl_wire_order_write(bytes, len, order, pool);
        break;
    case BL_WIRE_LIMITS:
        if (bl_wire_limits_read(&limits, frame, pool) != APR_SUCCESS)
            return 0;
        must(limits.max_builds >= 1 && limits.line_limit >= 16,
             "limits are in range");
        rv = bl_wire_limits_write(bytes, len, &limits, pool);
        break;
    case BL_WIRE_ACCEPTED:
        if (bl_wire_accepted_read(&accepted, frame, pool) != APR_SUCCESS)
            return 0;
        must(accepted.build >= 1 && accepted.json != NULL,
             "accepted is whole");
        rv = bl_wire_accepted_write(bytes, len, &accepted, pool);
        break;
    case BL_WIRE_REFUSED:
        if (bl_wire_refused_read(&refusal, frame, pool) != APR_SUCCESS)
            return 0;
        must(refusal.why >= BL_REFUSED_QUEUE_FULL &&
                 refusal.why <= BL_REFUSED_OVER && refusal.text != NULL,
             "refused is whole");
        rv = bl_wire_refused_write(bytes, len, &refusal, pool);
        break;
    case BL_WIRE_CANCEL:
        if (bl_wire_cancel_read(&cancel, frame, pool) != APR_SUCCESS)
            return 0;
        must(cancel.build >= 1 && cancel.by != NULL, "cancel is whole");
        rv = bl_wire_cancel_write(bytes, len, &cancel, pool);
        break;
    case BL_WIRE_PROBE:
    case BL_WIRE_READY:
        if (bl_wire_bare_read(frame, frame->type) != APR_SUCCESS)
            return 0;
        rv = bl_wire_bare_write(bytes, len, frame->type, pool);
        break;
    }
    must(rv == APR_SUCCESS, "what was read can be written");
    return 1;
}

static void try_frame(const bl_wire_frame_t *frame, apr_pool_t *pool)
{
    const char *bytes = NULL;
    apr_size_t len = 0;

    if (try_message(&bytes, &len, frame, pool))
        must(len == BL_WIRE_HEADER_LEN + frame->len &&
                 memcmp(bytes + BL_WIRE_HEADER_LEN, frame->body, frame->len) ==
                     0,
             "what was read is what would be written");
}

static void try_stream(const char *buf, size_t len, apr_pool_t *pool)
{
    bl_wire_frame_t frame = {(bl_wire_type_e)0, NULL, 0};
    apr_size_t need = 0;
    apr_status_t rv = bl_wire_frame_read(&frame, &need, buf, len);

    while (rv == APR_SUCCESS) {
        must(need <= len && need >= BL_WIRE_HEADER_LEN, "a frame is there");
        must(frame.body + frame.len == buf + need, "its body is inside");
        must(frame.type >= BL_WIRE_ORDER && frame.type <= BL_WIRE_READY,
             "its type is one");
        try_frame(&frame, pool);
        buf += need;
        len -= need;
        rv = bl_wire_frame_read(&frame, &need, buf, len);
    }
    if (rv == APR_INCOMPLETE)
        must(need > len && need <= BL_WIRE_HEADER_LEN + BL_WIRE_BODY_MAX,
             "more is needed than is there");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;

    if (pool == NULL) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    try_stream((const char *)data, size, pool);
    apr_pool_clear(pool);
    return 0;
}
