/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_notifier.c - other servers are told how builds ended: BuildLogNotify
 *
 * DIAGNOSTICS   BL0260 the courier died, BL0261 it cannot begin; BL0265 nobody
 *               is to be told any more; BL0266 a notice cannot be stored; and
 *               what the courier says itself
 */
#include "bl_notifier.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_strings.h>
/* layer 0 */
#include "bl_diag.h"
/* layer 1 */
#include "bl_notice.h"
/* this side of layer 2 */
#include "bl_courier.h"
#include "bl_helper.h"

struct bl_notifier_t {
    bl_host_t *host;
    apr_pool_t *pool;
    apr_pool_t *targets_pool; /* cleared when they change */
    bl_courier_setup_t setup;
    bl_helper_t *helper; /* NULL: nobody is to be told */
};

/* ---- its process ---------------------------------------------------- */

static void run(void *baton)
{
    bl_notifier_t *n = baton;

    bl_courier_main(&n->setup);
}

static void begin(bl_notifier_t *n)
{
    const bl_helper_kind_t kind = {"buildlog-notify",
                                   "BL0260 the courier died",
                                   "BL0261 no process for notifications",
                                   "they are not lost by that",
                                   run,
                                   n};

    n->helper = bl_helper_create(n->host, &kind, n->pool);
}

/* ---- receivers ------------------------------------------------------ */

static int same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static int same_targets(const bl_notifier_t *n, const bl_limits_t *limits)
{
    int i;

    if (n->setup.target_count != limits->target_count)
        return 0;
    for (i = 0; i < limits->target_count; i++) {
        const bl_target_t *a = &n->setup.targets[i];
        const bl_target_t *b = &limits->targets[i];

        if (!same_text(a->key, b->key) || !same_text(a->url, b->url) ||
            !same_text(a->secret, b->secret))
            return 0;
    }
    return 1;
}

static void copy_targets(bl_notifier_t *n, const bl_limits_t *limits)
{
    apr_pool_t *p = n->targets_pool;
    bl_target_t *targets;
    int i;

    apr_pool_clear(p);
    targets = apr_palloc(p, sizeof(*targets) *
                                (apr_size_t)(limits->target_count + 1));
    for (i = 0; i < limits->target_count; i++) {
        targets[i].key = apr_pstrdup(p, limits->targets[i].key);
        targets[i].url = apr_pstrdup(p, limits->targets[i].url);
        targets[i].secret = apr_pstrdup(p, limits->targets[i].secret);
    }
    n->setup.targets = targets;
    n->setup.target_count = limits->target_count;
}

/* What waits for receivers that are none any more. */
static void drop_all(bl_notifier_t *n)
{
    apr_array_header_t *list;
    apr_pool_t *scratch;
    int i;

    apr_pool_create(&scratch, n->pool);
    if (bl_notice_list(&list, n->setup.dir, scratch) == APR_SUCCESS &&
        list->nelts > 0) {
        bl_diag(BL_DIAG_INFO, 0,
                "BL0265 %d notifications are dropped: there is no "
                "BuildLogNotify any more",
                list->nelts);
        for (i = 0; i < list->nelts; i++)
            bl_notice_remove(
                n->setup.dir, APR_ARRAY_IDX(list, i, bl_notice_t).build,
                APR_ARRAY_IDX(list, i, bl_notice_t).index, scratch);
    }
    apr_pool_destroy(scratch);
}

/* The one that goes may be in the middle of a POST: it is made again, and the
 * receiver knows it by its id. */
static void begin_with_targets(bl_notifier_t *n)
{
    if (n->setup.target_count > 0 && n->helper != NULL)
        bl_helper_renew(n->helper);
    else if (n->setup.target_count > 0)
        begin(n);
    else {
        bl_helper_stop(&n->helper, 0);
        drop_all(n);
    }
}

void bl_notifier_set_targets(bl_notifier_t *n, const bl_limits_t *limits)
{
    if (same_targets(n, limits))
        return;
    copy_targets(n, limits);
    begin_with_targets(n);
}

void bl_notifier_create(bl_notifier_t **out, bl_host_t *host,
                        const char *state_dir, const bl_limits_t *limits,
                        apr_pool_t *p)
{
    bl_notifier_t *n = apr_pcalloc(p, sizeof(*n));
    apr_status_t rv;

    n->host = host;
    n->pool = p;
    apr_pool_create(&n->targets_pool, p);
    n->setup.logs_dir = host->logs_dir;
    n->setup.dir = bl_notice_dir(state_dir, p);
    rv = bl_notice_make(n->setup.dir, p);
    if (rv != APR_SUCCESS)
        bl_diag(BL_DIAG_WARNING, rv, "BL0266 cannot make %s", n->setup.dir);
    copy_targets(n, limits);
    begin_with_targets(n);
    *out = n;
}

/* ---- builds --------------------------------------------------------- */

void bl_notifier_expect(bl_notifier_t *n, apr_uint64_t build,
                        const bl_order_t *order)
{
    apr_pool_t *scratch;
    int i;

    if (order->notify_count == 0)
        return;
    apr_pool_create(&scratch, n->pool);
    for (i = 0; i < order->notify_count; i++) {
        bl_notice_t notice = {build, i, order->notify[i], NULL, NULL, 0, 0};
        apr_status_t rv = bl_notice_save(n->setup.dir, &notice, scratch);

        if (rv != APR_SUCCESS)
            bl_diag(BL_DIAG_WARNING, rv,
                    "BL0266 a notice of build %" APR_UINT64_T_FMT
                    " cannot be stored in %s: how it ends will not be told",
                    build, n->setup.dir);
    }
    apr_pool_destroy(scratch);
}

void bl_notifier_ended(bl_notifier_t *n, apr_uint64_t build)
{
    bl_helper_tell(n->helper, BL_HELPER_ENDED, build);
}

apr_time_t bl_notifier_tick(bl_notifier_t *n)
{
    return bl_helper_tick(n->helper);
}

void bl_notifier_stop(bl_notifier_t **notifier, apr_interval_time_t time)
{
    bl_notifier_t *n = *notifier;

    *notifier = NULL;
    if (n != NULL)
        bl_helper_stop(&n->helper, time);
}
