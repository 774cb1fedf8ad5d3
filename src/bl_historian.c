/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_historian.c - the runner's side of the historian
 *
 * DIAGNOSTICS   BL0253 it died, BL0254 it cannot begin; and what it says
 *               itself
 */
#include "bl_historian.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_strings.h>
/* this side of layer 2 */
#include "bl_helper.h"
#include "bl_scribe.h"

/* After this a resync that the socket had no room for is sent again. */
#define RESYNC_TIME apr_time_from_sec(1)

#define NEVER APR_INT64_MAX

struct bl_historian_t {
    bl_host_t *host;
    const char *driver; /* NULL: no history */
    const char *params;
    bl_helper_t *helper;
    int untold; /* the socket was full: it has to resync */
};

/* ---- its process ---------------------------------------------------- */

static void run(void *baton)
{
    bl_historian_t *h = baton;

    bl_scribe_main(h->host->logs_dir, h->driver, h->params);
}

/* One that begins looks at everything. */
static void begun(void *baton)
{
    bl_historian_t *h = baton;

    h->untold = 0;
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
                                   begun,
                                   h};

    h->host = host;
    h->driver = apr_pstrdup(p, driver);
    h->params = apr_pstrdup(p, params);
    *out = h;
    if (driver != NULL)
        h->helper = bl_helper_create(host, &kind, p);
}

/* ---- telling -------------------------------------------------------- */

static void tell(bl_historian_t *h, int what, apr_uint64_t id)
{
    bl_scribe_message_t message;

    memset(&message, 0, sizeof(message));
    message.what = what;
    message.id = id;
    h->untold = !bl_helper_tell(h->helper, &message, sizeof(message));
}

void bl_historian_ended(bl_historian_t *h, apr_uint64_t id)
{
    if (h->driver != NULL && !h->untold)
        tell(h, BL_SCRIBE_ENDED, id);
}

void bl_historian_removed(bl_historian_t *h, apr_uint64_t id)
{
    if (h->driver != NULL && !h->untold)
        tell(h, BL_SCRIBE_REMOVED, id);
}

apr_time_t bl_historian_tick(bl_historian_t *h)
{
    apr_time_t due;

    if (h->driver == NULL)
        return NEVER;
    due = bl_helper_tick(h->helper);
    if (h->untold)
        tell(h, BL_SCRIBE_RESYNC, 0);
    return h->untold ? h->host->tick + RESYNC_TIME : due;
}

void bl_historian_stop(bl_historian_t **historian, apr_interval_time_t time)
{
    bl_historian_t *h = *historian;

    *historian = NULL;
    if (h == NULL || h->driver == NULL)
        return;
    if (h->untold)
        tell(h, BL_SCRIBE_RESYNC, 0);
    bl_helper_stop(&h->helper, time);
}
