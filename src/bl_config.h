/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_config.h - what the directives said, and what holds where none did
 *
 * Layer:    3 (httpd glue).
 * Runs in:  created while the configuration is read; afterwards only read.
 * Owns:     their values, defaults and merging.
 * Not here: the directives themselves (bl_directive), what they do.
 */
#ifndef BL_CONFIG_H
#define BL_CONFIG_H

#include "httpd.h"
#include "http_config.h"

#include <apr_hash.h>
#include <apr_tables.h>

#include "bl_build.h"
#include "bl_cgroup.h"
#include "bl_wire.h"

/* Of the whole server. */
typedef struct {
    const char *state_dir; /* absolute; NULL: default */
    const char *user_name; /* NULL: httpd's User and Group */
    uid_t uid;
    gid_t gid;
    bl_limits_t limits;
    bl_cgroup_t cgroup;    /* path NULL: builds have no groups */
    const char *db_driver; /* of the history; NULL: there is none */
    const char *db_params; /* NULL: default */
    apr_uint32_t max_clients;
    int max_clients_is_set;
    apr_uint32_t max_parked; /* of a child; 0: by its threads */
} bl_server_conf_t;

/* Bytes of a title. */
#define BL_CONF_TITLE_MOST 200

/* Not set: inherited, and at last the default. */
#define BL_CONF_UNSET (-1)

/* Of a directory (a project) and of a location (an endpoint). Read through the
 * functions below: they know the defaults. */
typedef struct {
    /* directory */
    int on;
    apr_array_header_t *steps; /* bl_wire_step_t; NULL: inherited */
    const char *title;
    apr_interval_time_t timeout;
    apr_interval_time_t idle_timeout;
    apr_interval_time_t kill_grace;
    apr_int64_t max_log;          /* bytes */
    apr_hash_t *set_env;          /* by name; NULL: none */
    apr_array_header_t *pass_env; /* const char *; NULL: none */
    apr_array_header_t *masks;    /* const char *; NULL: none */
    apr_array_header_t *hooks;    /* bl_hook_t *; of this section alone */
    apr_array_header_t *notify;   /* const char *: keys; NULL: none */
    int notify_anew;              /* what outer sections say does not hold */
    const char *messages[BL_BUILD_STATE_COUNT]; /* by final state */
    /* location */
    const char *accepted; /* BuildLogMessage accepted */
    apr_interval_time_t ping;
    apr_interval_time_t retry;
    apr_interval_time_t flush;
    const char *time_format;
    apr_array_header_t *allow_origin; /* const char *; NULL: none */
    const char *stream_origin;        /* NULL: the page's own */
} bl_dir_conf_t;

void *bl_config_create_server(apr_pool_t *p, server_rec *s);
void *bl_config_create_dir(apr_pool_t *p, char *path);
void *bl_config_merge_dir(apr_pool_t *p, void *base, void *add);

/** The server's configuration, the same for all virtual hosts. */
const bl_server_conf_t *bl_config_server(void);

const bl_dir_conf_t *bl_config_dir(const request_rec *r);
/** NULL: the section has none of our directives. */
const bl_dir_conf_t *bl_config_of_section(ap_conf_vector_t *section);

/** The state directory; made in p if it is the default one. */
const char *bl_config_state_dir(apr_pool_t *p);

/** What the history's driver opens, made in p; NULL: there is no history. */
const char *bl_config_database(apr_pool_t *p);

/** What all sections of one configuration know together, by its key; empty at
 * first. Kept as long as the configuration, whose pool this is. */
apr_hash_t *bl_config_names(const char *key, apr_pool_t *p);

/* ---- values with their defaults ------------------------------------- */

const char *bl_config_title(const bl_dir_conf_t *conf, const char *project,
                            apr_pool_t *p);
apr_interval_time_t bl_config_timeout(const bl_dir_conf_t *conf);
apr_interval_time_t bl_config_idle_timeout(const bl_dir_conf_t *conf);
apr_interval_time_t bl_config_kill_grace(const bl_dir_conf_t *conf);
apr_int64_t bl_config_max_log(const bl_dir_conf_t *conf);
apr_interval_time_t bl_config_ping(const bl_dir_conf_t *conf);
apr_interval_time_t bl_config_retry(const bl_dir_conf_t *conf);
apr_interval_time_t bl_config_flush(const bl_dir_conf_t *conf);
const char *bl_config_time_format(const bl_dir_conf_t *conf);
const char *bl_config_accepted(const bl_dir_conf_t *conf);

/** The steps: those configured, or the default ones. */
const bl_wire_step_t *bl_config_steps(const bl_dir_conf_t *conf, int *count);

/** "NAME=value" of BuildLogSetEnv and BuildLogPassEnv. */
const char **bl_config_env(const bl_dir_conf_t *conf, int *count,
                           apr_pool_t *p);

/** The keys of BuildLogNotify's receivers, each once. */
const char **bl_config_notify(const bl_dir_conf_t *conf, int *count,
                              apr_pool_t *p);

/** The names of BuildLogMask; NULL: none. */
const char **bl_config_masks(const bl_dir_conf_t *conf, int *count);

#endif /* BL_CONFIG_H */
