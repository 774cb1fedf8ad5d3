/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_group.c - the control group of one build (BuildLogCgroup)
 */
#include "bl_group.h"

/* layer 0 */
#include "bl_words.h"

struct bl_group_t {
    const bl_cgroup_t *cgroup;
    apr_uint64_t build;
    bl_cgroup_events_t seen;
};

apr_status_t bl_group_create(bl_group_t **out, const bl_host_t *host,
                             apr_uint64_t build, apr_pool_t *p)
{
    apr_status_t rv;

    *out = NULL;
    if (host->cgroup == NULL)
        return APR_SUCCESS;
    rv = bl_cgroup_make(host->cgroup, build, p);
    if (rv != APR_SUCCESS)
        return rv;
    *out = apr_pcalloc(p, sizeof(**out));
    (*out)->cgroup = host->cgroup;
    (*out)->build = build;
    return APR_SUCCESS;
}

apr_status_t bl_group_open(bl_cgroup_fds_t *out, const bl_group_t *group,
                           apr_pool_t *p)
{
    out->enter = out->leave = out->kill = -1;
    return group != NULL
               ? bl_cgroup_fds_open(out, group->cgroup, group->build, p)
               : APR_SUCCESS;
}

const char *bl_group_lack(bl_group_t *group, apr_pool_t *p)
{
    bl_cgroup_events_t now, before;

    if (group == NULL)
        return NULL;
    before = group->seen;
    bl_cgroup_events(&now, group->cgroup, group->build, p);
    group->seen = now;
    if (now.oom_kills > before.oom_kills)
        return bl_words_no_memory(now.oom_kills - before.oom_kills,
                                  group->cgroup->memory, p);
    if (now.refused > before.refused)
        return bl_words_no_process(now.refused - before.refused,
                                   group->cgroup->pids, p);
    return NULL;
}

void bl_group_end(bl_group_t *group, int killed, apr_pool_t *p)
{
    if (group == NULL)
        return;
    if (killed)
        bl_cgroup_kill(group->cgroup, group->build, p);
    /* What is not empty yet is removed later (bl_cgroup_sweep). */
    bl_cgroup_remove(group->cgroup, group->build, p);
}
