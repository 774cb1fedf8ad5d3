/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_config.c - what the directives said, and what holds where none did
 */
#include "bl_config.h"

/* libc */
#include <stdlib.h>
/* APR */
#include <apr_hash.h>
#include <apr_lib.h>
#include <apr_strings.h>
/* httpd */
#include "http_core.h"
#include "http_main.h"
#include "mod_buildlog.h"

#define DEFAULT_MAX_BUILDS 2
#define DEFAULT_MAX_QUEUE 64
#define DEFAULT_MAX_CLIENTS 10000
#define DEFAULT_LINE_LIMIT 16384
#define DEFAULT_BUILD_TIMEOUT apr_time_from_sec(3600)
#define DEFAULT_IDLE_TIMEOUT apr_time_from_sec(600)
#define DEFAULT_KILL_GRACE apr_time_from_sec(5)
#define DEFAULT_KEEP_COUNT 1000
#define DEFAULT_KEEP_AGE apr_time_from_sec(90 * 24 * 3600)
#define DEFAULT_KEEP_SIZE (APR_UINT64_C(10) << 30)
#define DEFAULT_MAX_LOG (APR_INT64_C(256) << 20)
#define DEFAULT_DB_DRIVER "sqlite3"
#define DEFAULT_DB_FILE "history.db"
#define DEFAULT_PING apr_time_from_sec(15)
#define DEFAULT_RETRY apr_time_from_sec(2)
#define DEFAULT_FLUSH apr_time_from_msec(10)
#define DEFAULT_TIME_FORMAT "%Y-%m-%d %H:%M:%S"
#define DEFAULT_ACCEPTED "The build was accepted. Its output follows below."

static const bl_wire_step_t default_steps[] = {
    {"install", "yarn install"},
    {"build", "yarn build"},
};

/* ---- creating and merging ------------------------------------------- */

void *bl_config_create_server(apr_pool_t *p, server_rec *s)
{
    bl_server_conf_t *conf = apr_pcalloc(p, sizeof(*conf));

    conf->limits.max_builds = DEFAULT_MAX_BUILDS;
    conf->limits.max_queue = DEFAULT_MAX_QUEUE;
    conf->limits.line_limit = DEFAULT_LINE_LIMIT;
    conf->limits.keep_count = DEFAULT_KEEP_COUNT;
    conf->limits.keep_age = DEFAULT_KEEP_AGE;
    conf->limits.keep_size = DEFAULT_KEEP_SIZE;
    conf->db_driver = DEFAULT_DB_DRIVER;
    conf->max_clients = DEFAULT_MAX_CLIENTS;
    return conf;
}

void *bl_config_create_dir(apr_pool_t *p, char *path)
{
    bl_dir_conf_t *conf = apr_pcalloc(p, sizeof(*conf));

    conf->on = BL_CONF_UNSET;
    conf->timeout = BL_CONF_UNSET;
    conf->idle_timeout = BL_CONF_UNSET;
    conf->kill_grace = BL_CONF_UNSET;
    conf->max_log = BL_CONF_UNSET;
    conf->ping = BL_CONF_UNSET;
    conf->retry = BL_CONF_UNSET;
    conf->flush = BL_CONF_UNSET;
    return conf;
}

#define MERGE_NUMBER(member)                                                  \
    conf->member = add->member != BL_CONF_UNSET ? add->member : base->member
#define MERGE_POINTER(member)                                                 \
    conf->member = add->member != NULL ? add->member : base->member

void *bl_config_merge_dir(apr_pool_t *p, void *base_conf, void *add_conf)
{
    const bl_dir_conf_t *base = base_conf, *add = add_conf;
    bl_dir_conf_t *conf = apr_pcalloc(p, sizeof(*conf));
    int i;

    MERGE_NUMBER(on);
    MERGE_NUMBER(timeout);
    MERGE_NUMBER(idle_timeout);
    MERGE_NUMBER(kill_grace);
    MERGE_NUMBER(max_log);
    MERGE_NUMBER(ping);
    MERGE_NUMBER(retry);
    MERGE_NUMBER(flush);
    /* Who is told of all builds is told of these, too. */
    conf->notify_anew = base->notify_anew || add->notify_anew;
    if (!add->notify_anew && base->notify != NULL && add->notify != NULL)
        conf->notify = apr_array_append(p, base->notify, add->notify);
    else if (add->notify_anew)
        conf->notify = add->notify;
    else
        MERGE_POINTER(notify);
    /* Hooks are those of their own section (bl_peer_hook). */
    conf->hooks = add->hooks;
    /* Lists are taken whole: a directory that says its steps says all. */
    MERGE_POINTER(steps);
    MERGE_POINTER(title);
    MERGE_POINTER(pass_env);
    MERGE_POINTER(accepted);
    MERGE_POINTER(time_format);
    MERGE_POINTER(allow_origin);
    MERGE_POINTER(stream_origin);
    for (i = 0; i < BL_BUILD_STATE_COUNT; i++)
        MERGE_POINTER(messages[i]);
    /* What is secret stays so. */
    if (base->masks != NULL && add->masks != NULL)
        conf->masks = apr_array_append(p, base->masks, add->masks);
    else
        MERGE_POINTER(masks);
    /* Variables one by one, as SetEnv does. */
    if (base->set_env != NULL && add->set_env != NULL)
        conf->set_env = apr_hash_overlay(p, add->set_env, base->set_env);
    else
        MERGE_POINTER(set_env);
    return conf;
}

/* ---- reading -------------------------------------------------------- */

const bl_server_conf_t *bl_config_server(void)
{
    return ap_get_module_config(ap_server_conf->module_config,
                                &buildlog_module);
}

const bl_dir_conf_t *bl_config_dir(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &buildlog_module);
}

const bl_dir_conf_t *bl_config_of_section(ap_conf_vector_t *section)
{
    return ap_get_module_config(section, &buildlog_module);
}

const char *bl_config_state_dir(apr_pool_t *p)
{
    const char *dir = bl_config_server()->state_dir;

    return dir != NULL ? dir : ap_runtime_dir_relative(p, "buildlog");
}

const char *bl_config_database(apr_pool_t *p)
{
    const bl_server_conf_t *conf = bl_config_server();
    const char *file;
    char *path = NULL;

    if (conf->db_driver == NULL)
        return NULL;
    if (strcmp(conf->db_driver, DEFAULT_DB_DRIVER) != 0)
        return conf->db_params;
    file = conf->db_params != NULL ? conf->db_params : DEFAULT_DB_FILE;
    if (apr_filepath_merge(&path, bl_config_state_dir(p), file, 0, p) !=
        APR_SUCCESS)
        return file;
    return path;
}

apr_hash_t *bl_config_names(const char *key, apr_pool_t *p)
{
    void *names = NULL;

    apr_pool_userdata_get(&names, key, p);
    if (names == NULL) {
        names = apr_hash_make(p);
        apr_pool_userdata_setn(names, key, NULL, p);
    }
    return names;
}

const char *bl_config_title(const bl_dir_conf_t *conf, const char *project,
                            apr_pool_t *p)
{
    if (conf->title != NULL)
        return conf->title;
    /* A longer name is cut where it does not matter: it is only shown. */
    return apr_pstrndup(p, apr_filepath_name_get(project), BL_CONF_TITLE_MOST);
}

/* Times and sizes: both are 64 bits wide. */
#define VALUE(name, unset)                                                    \
    apr_int64_t bl_config_##name(const bl_dir_conf_t *conf)                   \
    {                                                                         \
        return conf->name != BL_CONF_UNSET ? conf->name : (unset);            \
    }

VALUE(timeout, DEFAULT_BUILD_TIMEOUT)
VALUE(idle_timeout, DEFAULT_IDLE_TIMEOUT)
VALUE(kill_grace, DEFAULT_KILL_GRACE)
VALUE(max_log, DEFAULT_MAX_LOG)
VALUE(ping, DEFAULT_PING)
VALUE(retry, DEFAULT_RETRY)
VALUE(flush, DEFAULT_FLUSH)

const char *bl_config_time_format(const bl_dir_conf_t *conf)
{
    return conf->time_format != NULL ? conf->time_format : DEFAULT_TIME_FORMAT;
}

const char *bl_config_accepted(const bl_dir_conf_t *conf)
{
    return conf->accepted != NULL ? conf->accepted : DEFAULT_ACCEPTED;
}

const bl_wire_step_t *bl_config_steps(const bl_dir_conf_t *conf, int *count)
{
    if (conf->steps == NULL) {
        *count = (int)(sizeof(default_steps) / sizeof(default_steps[0]));
        return default_steps;
    }
    *count = conf->steps->nelts;
    return (const bl_wire_step_t *)conf->steps->elts;
}

const char **bl_config_env(const bl_dir_conf_t *conf, int *count,
                           apr_pool_t *p)
{
    apr_array_header_t *env = apr_array_make(p, 8, sizeof(char *));
    int i;

    for (i = 0; conf->pass_env != NULL && i < conf->pass_env->nelts; i++) {
        const char *name = APR_ARRAY_IDX(conf->pass_env, i, const char *);
        const char *value = getenv(name);

        /* What BuildLogSetEnv says wins. */
        if (value != NULL &&
            (conf->set_env == NULL ||
             apr_hash_get(conf->set_env, name, APR_HASH_KEY_STRING) == NULL))
            APR_ARRAY_PUSH(env, const char *) =
                apr_pstrcat(p, name, "=", value, NULL);
    }
    if (conf->set_env != NULL) {
        apr_hash_index_t *at;

        for (at = apr_hash_first(p, conf->set_env); at != NULL;
             at = apr_hash_next(at))
            APR_ARRAY_PUSH(env, const char *) =
                apr_pstrcat(p, (const char *)apr_hash_this_key(at), "=",
                            (const char *)apr_hash_this_val(at), NULL);
    }
    *count = env->nelts;
    return (const char **)env->elts;
}

const char **bl_config_notify(const bl_dir_conf_t *conf, int *count,
                              apr_pool_t *p)
{
    apr_array_header_t *keys = apr_array_make(p, 4, sizeof(char *));
    int i, j;

    for (i = 0; conf->notify != NULL && i < conf->notify->nelts; i++) {
        const char *key = APR_ARRAY_IDX(conf->notify, i, const char *);

        for (j = 0; j < keys->nelts; j++) {
            if (strcmp(APR_ARRAY_IDX(keys, j, const char *), key) == 0)
                break;
        }
        if (j == keys->nelts)
            APR_ARRAY_PUSH(keys, const char *) = key;
    }
    *count = keys->nelts;
    return (const char **)keys->elts;
}

const char **bl_config_masks(const bl_dir_conf_t *conf, int *count)
{
    *count = conf->masks != NULL ? conf->masks->nelts : 0;
    return conf->masks != NULL ? (const char **)conf->masks->elts : NULL;
}
