/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_check.c - what no directive can know by itself
 *
 * DIAGNOSTICS   BL0115, BL0116
 */
#include "bl_check.h"

/* APR */
#include <apr_hash.h>
/* httpd */
#include "http_core.h"
#include "http_main.h"
#include "mod_buildlog.h"
/* layer 1 */
#include "bl_cgroup.h"
/* layer 3 */
#include "bl_config.h"

/* Names of variables, wherever they stand: it is enough that one section gives
 * what any section masks. Both hang on the configuration's pool. */
#define GIVEN_KEY "buildlog-given"
#define MASKED_KEY "buildlog-masked"

void bl_check_given(cmd_parms *cmd, const char *name)
{
    apr_hash_set(bl_config_names(GIVEN_KEY, cmd->pool), name,
                 APR_HASH_KEY_STRING, name);
}

void bl_check_masked(cmd_parms *cmd, const char *name)
{
    apr_hash_set(bl_config_names(MASKED_KEY, cmd->pool), name,
                 APR_HASH_KEY_STRING, name);
}

/* A name with a mistake in it masks nothing, and nobody would see it before
 * the secret is on a screen. */
static void check_masks(apr_pool_t *p, server_rec *s)
{
    apr_hash_t *given = bl_config_names(GIVEN_KEY, p);
    apr_hash_index_t *at;

    for (at = apr_hash_first(p, bl_config_names(MASKED_KEY, p)); at != NULL;
         at = apr_hash_next(at)) {
        const char *name = apr_hash_this_key(at);

        if (apr_hash_get(given, name, APR_HASH_KEY_STRING) == NULL)
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                         "BL0115 BuildLogMask %s masks nothing: no "
                         "BuildLogSetEnv or BuildLogPassEnv names %s",
                         name, name);
    }
}

/* At a start the parent says it, when it tries; at a reload nothing changes.
 */
static int check_cgroup(apr_pool_t *p, server_rec *s)
{
    const bl_server_conf_t *conf =
        ap_get_module_config(s->module_config, &buildlog_module);
    const char *why;

    if (conf->cgroup.path == NULL ||
        ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_CONFIG_TEST)
        return OK;
    why = bl_cgroup_check(&conf->cgroup, p);
    if (why == NULL)
        return OK;
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                 "BL0116 BuildLogCgroup cannot be used: %s", why);
    return HTTP_INTERNAL_SERVER_ERROR;
}

static int check_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp,
                        server_rec *s)
{
    /* httpd reads its configuration twice at start, and once for -t. */
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG &&
        ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_CONFIG_TEST)
        return OK;
    check_masks(p, s);
    return check_cgroup(ptemp, s);
}

void bl_check_register_hooks(apr_pool_t *p)
{
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
}
