/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_historian.c - the runner's side of the historian
 *
 * DIAGNOSTICS   BL0253 it died, BL0254 it cannot begin; and what it says
 *               itself
 */
#include "bl_historian.h"

/* APR */
#include <apr_strings.h>
/* this side of layer 2 */
#include "bl_helper.h"
#include "bl_scribe.h"

struct bl_historian_t {
    bl_host_t *host;
    const char *driver;
    const char *params;
    bl_helper_t *helper; /* NULL: no history */
};

/* ---- its process ---------------------------------------------------- */

static void run(void *baton)
{
    bl_historian_t *h = baton;

    bl_scribe_main(h->host->logs_dir, h->driver, h->params);
}

void bl_historian_create(bl_historian_t **out, bl_host_t *host,
                         const char *driver, const char *params, apr_pool_t *p)
{
    bl_historian_t *h = apr_pcalloc(p, sizeof(*h));
    const bl_helper_kind_t kind = {"buildlog-history",
                                   "BL0253 the historian died",
                                   "BL0254 no process for the history",
                                   "no build is lost by that",
                                   run,
                                   h};

    h->host = host;
    h->driver = apr_pstrdup(p, driver);
    h->params = apr_pstrdup(p, params);
    *out = h;
    if (driver != NULL)
        h->helper = bl_helper_create(host, &kind, p);
}

/* ---- telling -------------------------------------------------------- */

void bl_historian_ended(bl_historian_t *h, apr_uint64_t id)
{
    bl_helper_tell(h->helper, BL_HELPER_ENDED, id);
}

void bl_historian_removed(bl_historian_t *h, apr_uint64_t id)
{
    bl_helper_tell(h->helper, BL_HELPER_REMOVED, id);
}

apr_time_t bl_historian_tick(bl_historian_t *h)
{
    return bl_helper_tick(h->helper);
}

void bl_historian_stop(bl_historian_t **historian, apr_interval_time_t time)
{
    bl_historian_t *h = *historian;

    *historian = NULL;
    if (h == NULL)
        return;
    bl_helper_remind(h->helper);
    bl_helper_stop(&h->helper, time);
}
