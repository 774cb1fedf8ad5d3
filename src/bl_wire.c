/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_wire.c - messages between httpd and the runner
 *
 * FORMAT        Frame as in bl_wire.h. For each message one function below
 *               (code_...) says which fields it has and what their values may
 *               be, for writing and reading alike (bl_codec.h).
 * INVARIANTS    W1, W2 in bl_wire.h; W3, W4 in bl_codec.h
 * DIAGNOSTICS   none
 */
#include "bl_wire.h"

/* system */
#include <string.h>
/* APR */
#include <apr_strings.h>
/* layer 0 */
#include "bl_build.h"
#include "bl_codec.h"
#include "bl_record.h"

#define MAGIC "BLW1"
#define MAGIC_LEN 4

/* What a line limit may be: less is no line to bl_lines, and a record must
 * hold the line also when every byte of it is bad and grows threefold. */
#define LINE_LIMIT_MIN 16
#define LINE_LIMIT_MAX ((BL_REC_MAX - BL_REC_OVERHEAD) / 3)

/* One space of keys for all messages. */
enum {
    KEY_PROJECT = 1,
    KEY_TITLE,
    KEY_USER,
    KEY_STEP_COUNT,
    KEY_STEP_NAME,
    KEY_STEP_COMMAND,
    KEY_ENV_COUNT,
    KEY_ENV,
    KEY_TIMEOUT,
    KEY_IDLE_TIMEOUT,
    KEY_KILL_GRACE,
    KEY_MAX_BUILDS,
    KEY_MAX_QUEUE,
    KEY_LINE_LIMIT,
    KEY_BUILD,
    KEY_JSON,
    KEY_WHY,
    KEY_TEXT,
    KEY_BY,
    KEY_KEEP_COUNT,
    KEY_KEEP_AGE,
    KEY_KEEP_SIZE,
    KEY_MAX_LOG,
    KEY_MASK_COUNT,
    KEY_MASK,
    KEY_MARK, /* + its index */
    KEY_MARK_LAST = KEY_MARK + BL_WIRE_MARKS - 1,
    KEY_NOTIFY_COUNT,
    KEY_NOTIFY,
    KEY_TARGET_COUNT,
    KEY_TARGET,
    KEY_TARGET_URL,
    KEY_TARGET_SECRET,
    KEY_RLIMIT_SOFT = 0x100, /* + bl_wire_rlimit_e */
    KEY_RLIMIT_HARD = 0x200, /* + bl_wire_rlimit_e */
    KEY_MESSAGE = 0x300      /* + bl_build_state_e */
};

_Static_assert(sizeof(((bl_order_t *)0)->messages) ==
                   BL_BUILD_STATE_COUNT * sizeof(const char *),
               "one message for each state");

/* ---- frames --------------------------------------------------------- */

apr_status_t bl_wire_frame_read(bl_wire_frame_t *out, apr_size_t *need,
                                const char *buf, apr_size_t len)
{
    apr_size_t known = len < MAGIC_LEN ? len : MAGIC_LEN;
    apr_uint64_t type;
    apr_uint64_t body;

    /* The first bytes tell: for the rest of a stranger nobody waits. */
    if (known > 0 && memcmp(buf, MAGIC, known) != 0)
        return APR_EGENERAL;
    if (len < BL_WIRE_HEADER_LEN) {
        *need = BL_WIRE_HEADER_LEN;
        return APR_INCOMPLETE;
    }
    type = bl_codec_number_get(buf + 4, 4);
    body = bl_codec_number_get(buf + 8, 4);
    if (type < BL_WIRE_ORDER || type > BL_WIRE_READY ||
        body > BL_WIRE_BODY_MAX)
        return APR_EGENERAL;
    *need = BL_WIRE_HEADER_LEN + (apr_size_t)body;
    if (len < *need)
        return APR_INCOMPLETE;
    out->type = (bl_wire_type_e)type;
    out->body = buf + BL_WIRE_HEADER_LEN;
    out->len = (apr_size_t)body;
    return APR_SUCCESS;
}

/* ---- whole messages ------------------------------------------------- */

static apr_status_t message_write(const char **frame, apr_size_t *len,
                                  bl_wire_type_e type, bl_codec_fn code,
                                  void *message, apr_pool_t *p)
{
    apr_size_t body;
    char *out;

    if (bl_codec_measure(&body, code, message, BL_WIRE_BODY_MAX) !=
        APR_SUCCESS)
        return APR_EINVAL;
    out = apr_palloc(p, BL_WIRE_HEADER_LEN + body);
    memcpy(out, MAGIC, MAGIC_LEN);
    bl_codec_number_put(out + 4, type, 4);
    bl_codec_number_put(out + 8, body, 4);
    bl_codec_write(out + BL_WIRE_HEADER_LEN, body, code, message);
    *frame = out;
    *len = BL_WIRE_HEADER_LEN + body;
    return APR_SUCCESS;
}

/* On failure message may be half filled: it is never the caller's own. */
static apr_status_t message_read(void *message, const bl_wire_frame_t *frame,
                                 bl_wire_type_e type, bl_codec_fn code,
                                 apr_pool_t *p)
{
    if (frame->type != type || frame->len > BL_WIRE_BODY_MAX)
        return APR_EGENERAL;
    return bl_codec_read(message, frame->body, frame->len, code, p);
}

/* ---- order ---------------------------------------------------------- */

static void code_steps(bl_codec_t *c, bl_order_t *order)
{
    int i;

    bl_codec_count(c, KEY_STEP_COUNT, &order->step_count, 1,
                   BL_BUILD_STEPS_MAX);
    if (c->broken)
        return;
    if (c->direction == BL_CODEC_READ)
        order->steps = apr_pcalloc(c->p, (apr_size_t)order->step_count *
                                             sizeof(*order->steps));
    for (i = 0; i < order->step_count && !c->broken; i++) {
        bl_codec_text(c, KEY_STEP_NAME, &order->steps[i].name);
        bl_codec_text(c, KEY_STEP_COMMAND, &order->steps[i].command);
    }
}

static int is_assignment(const char *text)
{
    return text[0] != '=' && strchr(text, '=') != NULL;
}

static void code_env(bl_codec_t *c, bl_order_t *order)
{
    int i;

    bl_codec_count(c, KEY_ENV_COUNT, &order->env_count, 0, BL_WIRE_ENV_MAX);
    if (c->broken)
        return;
    if (c->direction == BL_CODEC_READ)
        order->env = apr_pcalloc(c->p, (apr_size_t)order->env_count *
                                           sizeof(*order->env));
    for (i = 0; i < order->env_count && !c->broken; i++) {
        bl_codec_text(c, KEY_ENV, &order->env[i]);
        bl_codec_require(c, !c->broken && is_assignment(order->env[i]));
    }
}

/* Most orders have none. */
static void code_masks(bl_codec_t *c, bl_order_t *order)
{
    int i;

    if (!bl_codec_is_there(c, KEY_MASK_COUNT, order->mask_count > 0))
        return;
    bl_codec_count(c, KEY_MASK_COUNT, &order->mask_count, 1, BL_WIRE_ENV_MAX);
    if (c->broken)
        return;
    if (c->direction == BL_CODEC_READ)
        order->masks = apr_pcalloc(c->p, (apr_size_t)order->mask_count *
                                             sizeof(*order->masks));
    for (i = 0; i < order->mask_count && !c->broken; i++) {
        bl_codec_text(c, KEY_MASK, &order->masks[i]);
        bl_codec_require(c, !c->broken && order->masks[i][0] != '\0' &&
                                strchr(order->masks[i], '=') == NULL);
    }
}

static int is_hex(const char *text, apr_size_t len)
{
    return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

static void code_notify(bl_codec_t *c, bl_order_t *order)
{
    int i;

    if (!bl_codec_is_there(c, KEY_NOTIFY_COUNT, order->notify_count > 0))
        return;
    bl_codec_count(c, KEY_NOTIFY_COUNT, &order->notify_count, 1,
                   BL_WIRE_TARGETS_MAX);
    if (c->broken)
        return;
    if (c->direction == BL_CODEC_READ)
        order->notify = apr_pcalloc(c->p, (apr_size_t)order->notify_count *
                                              sizeof(*order->notify));
    for (i = 0; i < order->notify_count && !c->broken; i++) {
        bl_codec_text(c, KEY_NOTIFY, &order->notify[i]);
        bl_codec_require(c, !c->broken &&
                                is_hex(order->notify[i], BL_WIRE_KEY_LEN));
    }
}

/* Only an order that comes from a hook has any. */
static void code_marks(bl_codec_t *c, bl_order_t *order)
{
    int i;

    for (i = 0; i < BL_WIRE_MARKS; i++) {
        bl_codec_optional(c, KEY_MARK + i, &order->marks[i]);
        bl_codec_require(c, c->broken || order->marks[i] == NULL ||
                                is_hex(order->marks[i], BL_WIRE_MARK_LEN));
    }
}

static void code_rlimit(bl_codec_t *c, int which, bl_wire_rlimit_t *limit)
{
    limit->set = bl_codec_is_there(c, KEY_RLIMIT_SOFT + which, limit->set);
    if (!limit->set)
        return;
    bl_codec_number(c, KEY_RLIMIT_SOFT + which, &limit->soft, 0,
                    APR_UINT64_MAX);
    bl_codec_number(c, KEY_RLIMIT_HARD + which, &limit->hard, 0,
                    APR_UINT64_MAX);
}

static void code_order(bl_codec_t *c, void *message)
{
    bl_order_t *order = message;
    int i;

    bl_codec_text(c, KEY_PROJECT, &order->project);
    bl_codec_require(c, !c->broken && order->project[0] == '/');
    bl_codec_text(c, KEY_TITLE, &order->title);
    bl_codec_optional(c, KEY_USER, &order->user);
    code_steps(c, order);
    code_env(c, order);
    code_masks(c, order);
    code_marks(c, order);
    code_notify(c, order);
    bl_codec_time(c, KEY_TIMEOUT, &order->timeout, 1);
    bl_codec_time(c, KEY_IDLE_TIMEOUT, &order->idle_timeout, 1);
    bl_codec_time(c, KEY_KILL_GRACE, &order->kill_grace, 0);
    bl_codec_size(c, KEY_MAX_LOG, &order->max_log, BL_WIRE_LOG_LEAST,
                  BL_WIRE_LOG_MOST);
    for (i = 0; i < BL_WIRE_RLIMIT_COUNT; i++)
        code_rlimit(c, i, &order->rlimits[i]);
    for (i = 0; i < BL_BUILD_STATE_COUNT; i++)
        bl_codec_optional(c, KEY_MESSAGE + i, &order->messages[i]);
}

int bl_wire_is_secret(const bl_order_t *order, const char *entry)
{
    int i;

    for (i = 0; i < order->mask_count; i++) {
        apr_size_t len = strlen(order->masks[i]);

        if (strncmp(order->masks[i], entry, len) == 0 && entry[len] == '=')
            return 1;
    }
    return 0;
}

apr_status_t bl_wire_order_write(const char **frame, apr_size_t *len,
                                 const bl_order_t *order, apr_pool_t *p)
{
    bl_order_t copy = *order;

    return message_write(frame, len, BL_WIRE_ORDER, code_order, &copy, p);
}

apr_status_t bl_wire_order_read(bl_order_t **out, const bl_wire_frame_t *frame,
                                apr_pool_t *p)
{
    bl_order_t *order = apr_pcalloc(p, sizeof(*order));
    apr_status_t rv = message_read(order, frame, BL_WIRE_ORDER, code_order, p);

    if (rv == APR_SUCCESS)
        *out = order;
    return rv;
}

/* ---- limits --------------------------------------------------------- */

static void code_targets(bl_codec_t *c, bl_limits_t *limits)
{
    int i;

    bl_codec_count(c, KEY_TARGET_COUNT, &limits->target_count, 0,
                   BL_WIRE_TARGETS_MAX);
    if (c->broken)
        return;
    if (c->direction == BL_CODEC_READ)
        limits->targets = apr_pcalloc(c->p, (apr_size_t)limits->target_count *
                                                sizeof(*limits->targets));
    for (i = 0; i < limits->target_count && !c->broken; i++) {
        bl_target_t *target = &limits->targets[i];

        bl_codec_text(c, KEY_TARGET, &target->key);
        bl_codec_require(c,
                         !c->broken && is_hex(target->key, BL_WIRE_KEY_LEN));
        bl_codec_text(c, KEY_TARGET_URL, &target->url);
        bl_codec_text(c, KEY_TARGET_SECRET, &target->secret);
    }
}

static void code_limits(bl_codec_t *c, void *message)
{
    bl_limits_t *limits = message;

    bl_codec_uint32(c, KEY_MAX_BUILDS, &limits->max_builds, 1, APR_UINT32_MAX);
    bl_codec_uint32(c, KEY_MAX_QUEUE, &limits->max_queue, 0, APR_UINT32_MAX);
    bl_codec_uint32(c, KEY_LINE_LIMIT, &limits->line_limit, LINE_LIMIT_MIN,
                    LINE_LIMIT_MAX);
    bl_codec_uint32(c, KEY_KEEP_COUNT, &limits->keep_count, 0, APR_UINT32_MAX);
    bl_codec_time(c, KEY_KEEP_AGE, &limits->keep_age, 0);
    bl_codec_number(c, KEY_KEEP_SIZE, &limits->keep_size, 0, APR_UINT64_MAX);
    code_targets(c, limits);
}

apr_status_t bl_wire_limits_write(const char **frame, apr_size_t *len,
                                  const bl_limits_t *limits, apr_pool_t *p)
{
    bl_limits_t copy = *limits;

    return message_write(frame, len, BL_WIRE_LIMITS, code_limits, &copy, p);
}

apr_status_t bl_wire_limits_read(bl_limits_t *out,
                                 const bl_wire_frame_t *frame, apr_pool_t *p)
{
    bl_limits_t limits = {0};
    apr_status_t rv =
        message_read(&limits, frame, BL_WIRE_LIMITS, code_limits, p);

    if (rv == APR_SUCCESS)
        *out = limits;
    return rv;
}

/* ---- accepted ------------------------------------------------------- */

static void code_accepted(bl_codec_t *c, void *message)
{
    bl_accepted_t *accepted = message;

    bl_codec_number(c, KEY_BUILD, &accepted->build, 1, APR_UINT64_MAX);
    bl_codec_text(c, KEY_JSON, &accepted->json);
}

apr_status_t bl_wire_accepted_write(const char **frame, apr_size_t *len,
                                    const bl_accepted_t *accepted,
                                    apr_pool_t *p)
{
    bl_accepted_t copy = *accepted;

    return message_write(frame, len, BL_WIRE_ACCEPTED, code_accepted, &copy,
                         p);
}

apr_status_t bl_wire_accepted_read(bl_accepted_t *out,
                                   const bl_wire_frame_t *frame, apr_pool_t *p)
{
    bl_accepted_t accepted = {0, NULL};
    apr_status_t rv =
        message_read(&accepted, frame, BL_WIRE_ACCEPTED, code_accepted, p);

    if (rv == APR_SUCCESS)
        *out = accepted;
    return rv;
}

/* ---- refused -------------------------------------------------------- */

static void code_refused(bl_codec_t *c, void *message)
{
    bl_refusal_t *refusal = message;
    apr_uint32_t why = (apr_uint32_t)refusal->why;

    bl_codec_uint32(c, KEY_WHY, &why, BL_REFUSED_QUEUE_FULL, BL_REFUSED_AGAIN);
    refusal->why = (bl_refused_e)why;
    bl_codec_text(c, KEY_TEXT, &refusal->text);
}

apr_status_t bl_wire_refused_write(const char **frame, apr_size_t *len,
                                   const bl_refusal_t *refusal, apr_pool_t *p)
{
    bl_refusal_t copy = *refusal;

    return message_write(frame, len, BL_WIRE_REFUSED, code_refused, &copy, p);
}

apr_status_t bl_wire_refused_read(bl_refusal_t *out,
                                  const bl_wire_frame_t *frame, apr_pool_t *p)
{
    bl_refusal_t refusal = {(bl_refused_e)0, NULL};
    apr_status_t rv =
        message_read(&refusal, frame, BL_WIRE_REFUSED, code_refused, p);

    if (rv == APR_SUCCESS)
        *out = refusal;
    return rv;
}

/* ---- cancel --------------------------------------------------------- */

static void code_cancel(bl_codec_t *c, void *message)
{
    bl_cancel_t *cancel = message;

    bl_codec_number(c, KEY_BUILD, &cancel->build, 1, APR_UINT64_MAX);
    bl_codec_text(c, KEY_BY, &cancel->by);
}

apr_status_t bl_wire_cancel_write(const char **frame, apr_size_t *len,
                                  const bl_cancel_t *cancel, apr_pool_t *p)
{
    bl_cancel_t copy = *cancel;

    return message_write(frame, len, BL_WIRE_CANCEL, code_cancel, &copy, p);
}

apr_status_t bl_wire_cancel_read(bl_cancel_t *out,
                                 const bl_wire_frame_t *frame, apr_pool_t *p)
{
    bl_cancel_t cancel = {0, NULL};
    apr_status_t rv =
        message_read(&cancel, frame, BL_WIRE_CANCEL, code_cancel, p);

    if (rv == APR_SUCCESS)
        *out = cancel;
    return rv;
}

/* ---- without fields ------------------------------------------------- */

static void code_nothing(bl_codec_t *c, void *message)
{
}

apr_status_t bl_wire_bare_write(const char **frame, apr_size_t *len,
                                bl_wire_type_e type, apr_pool_t *p)
{
    return message_write(frame, len, type, code_nothing, NULL, p);
}

apr_status_t bl_wire_bare_read(const bl_wire_frame_t *frame,
                               bl_wire_type_e type)
{
    return message_read(NULL, frame, type, code_nothing, NULL);
}
