/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_orphans.c - processes of builds whose runner was killed
 *
 * LIMITS        a process that hides its environment is found in the group of
 *               its build, if it has one (BuildLogCgroup). A keeper that lives
 *               finds it all the same: it is its subreaper.
 * DIAGNOSTICS   BL0205 processes of a lost build are ended
 */
#include "bl_orphans.h"

/* libc */
#include <signal.h>
#include <string.h>
/* APR */
#include <apr_strings.h>
#include <apr_tables.h>
/* layer 0 */
#include "bl_diag.h"
/* layer 1 */
#include "bl_tree.h"

/* Between two looks, while there is something to look for. */
#define LOOK_TIME apr_time_from_msec(200)

/* Keepers have so long to do it their way: the default grace and a little. */
#define PATIENCE apr_time_from_sec(8)

typedef struct {
    const char *project;
    const char *id_entry;      /* "BUILDLOG_ID=42" */
    const char *project_entry; /* "BUILDLOG_PROJECT=/srv/shop" */
    apr_uint64_t build;
    int told;
} orphan_t;

struct bl_orphans_t {
    apr_pool_t *pool;
    apr_pool_t *scratch;
    bl_host_t *host;
    apr_array_header_t *list; /* orphan_t */
    apr_time_t due;
    apr_time_t deadline; /* from then on they are killed */
};

bl_orphans_t *bl_orphans_create(bl_host_t *host, apr_pool_t *p)
{
    bl_orphans_t *o = apr_pcalloc(p, sizeof(*o));

    o->pool = p;
    apr_pool_create(&o->scratch, p);
    o->host = host;
    o->list = apr_array_make(p, 4, sizeof(orphan_t));
    return o;
}

void bl_orphans_add(bl_orphans_t *o, const bl_build_t *build)
{
    orphan_t *orphan = apr_array_push(o->list);

    orphan->project = apr_pstrdup(o->pool, build->project);
    orphan->id_entry =
        apr_psprintf(o->pool, "BUILDLOG_ID=%" APR_UINT64_T_FMT, build->id);
    orphan->project_entry =
        apr_pstrcat(o->pool, "BUILDLOG_PROJECT=", build->project, NULL);
    orphan->build = build->id;
    orphan->told = 0;
    o->deadline = o->host->tick + PATIENCE;
}

int bl_orphans_hold(const bl_orphans_t *o, const char *project)
{
    int i;

    for (i = 0; i < o->list->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(o->list, i, orphan_t).project, project) == 0)
            return 1;
    }
    return 0;
}

/* One that hides its environment is in its build's group all the same.
 * @return 1: there is one */
static int look_into_group(bl_orphans_t *o, const orphan_t *orphan, int sig)
{
    const bl_cgroup_t *cgroup = o->host->cgroup;

    if (cgroup == NULL)
        return 0;
    apr_pool_clear(o->scratch);
    if (!bl_cgroup_is_populated(cgroup, orphan->build, o->scratch))
        return 0;
    if (sig != 0)
        bl_cgroup_kill(cgroup, orphan->build, o->scratch);
    return 1;
}

/* @return how many there are, or a few more; -1: nobody can tell */
static int look(bl_orphans_t *o, orphan_t *orphan)
{
    const char *entries[] = {orphan->id_entry, orphan->project_entry,
                             o->host->server, NULL};
    int sig = o->host->tick >= o->deadline ? SIGKILL : 0;
    int found = bl_tree_signal_env(entries, sig);

    if (look_into_group(o, orphan, sig))
        found = found > 0 ? found + 1 : 1;
    if (found > 0 && sig != 0 && !orphan->told) {
        bl_diag(BL_DIAG_WARNING, 0,
                "BL0205 %d processes of build %" APR_UINT64_T_FMT
                " outlived its runner and are ended",
                found, orphan->build);
        orphan->told = 1;
    }
    return found;
}

apr_time_t bl_orphans_tick(bl_orphans_t *o)
{
    int i, left = 0;

    if (o->list->nelts == 0)
        return o->host->tick + apr_time_from_sec(60);
    if (o->host->tick < o->due)
        return o->due;
    for (i = 0; i < o->list->nelts; i++) {
        orphan_t *orphan = &APR_ARRAY_IDX(o->list, i, orphan_t);

        if (look(o, orphan) != 0)
            APR_ARRAY_IDX(o->list, left++, orphan_t) = *orphan;
    }
    o->list->nelts = left;
    o->due = o->host->tick + LOOK_TIME;
    return left > 0 ? o->due : o->host->tick;
}
