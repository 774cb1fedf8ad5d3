/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_directive.c - the module's directives: checked, and stored
 *
 * A directive is in five places, which t/lint/directives compares: the table
 * at the end of this file, its setter, the merge in bl_config.c, README.md and
 * conf/buildlog-full.conf.
 */
#include "bl_directive.h"

/* libc */
#include <grp.h>
#include <pwd.h>
/* APR */
#include <apr_lib.h>
#include <apr_strings.h>
/* httpd */
#include "http_core.h"
#include "http_main.h"
#include "mod_buildlog.h"
/* layer 1 */
#include "bl_table.h"
/* layer 3 */
#include "bl_check.h"
#include "bl_config.h"
#include "bl_peer.h"

/* Together they fit into the rows of the table. */
#define MAX_BUILDS_MOST 128
#define MAX_QUEUE_MOST (BL_TABLE_LIVE_MAX - MAX_BUILDS_MOST)
#define MAX_CLIENTS_MOST 1000000
#define MAX_PARKED_MOST 100000
#define KEEP_COUNT_MOST 10000000
#define KEEP_DAYS_MOST 36500
/* With less hardly a shell begins. */
#define CGROUP_MEMORY_LEAST (APR_UINT64_C(4) << 20)
#define CGROUP_MEMORY_MOST (APR_UINT64_C(1) << 40)
#define CGROUP_PIDS_LEAST 8
#define CGROUP_PIDS_MOST 4194304
#define CGROUP_PATH_MOST 1024
#define LINE_LIMIT_LEAST 256
#define LINE_LIMIT_MOST (1024 * 1024)

#define TIME_MOST apr_time_from_sec(30 * 24 * 3600)
#define STEP_NAME_MOST 64
#define MESSAGE_MOST 1000

/* ---- checks --------------------------------------------------------- */

static const char *wrong(cmd_parms *cmd, const char *value,
                         const char *allowed)
{
    return apr_psprintf(cmd->pool, "%s: \"%s\" is not allowed; it must be %s",
                        cmd->cmd->name, value, allowed);
}

static const char *check_global(cmd_parms *cmd)
{
    return ap_check_cmd_context(cmd, GLOBAL_ONLY);
}

/* A project's directives say nothing in <Location> or <Files>. */
static const char *check_directory(cmd_parms *cmd)
{
    return ap_check_cmd_context(cmd, NOT_IN_LOCATION | NOT_IN_FILES);
}

static const char *take_number(apr_uint32_t *out, cmd_parms *cmd,
                               const char *value, apr_uint32_t least,
                               apr_uint32_t most)
{
    const char *error = check_global(cmd);
    apr_int64_t n;
    char *end;

    if (error != NULL)
        return error;
    n = apr_strtoi64(value, &end, 10);
    if (!apr_isdigit(value[0]) || *end != '\0' || n < (apr_int64_t)least ||
        n > (apr_int64_t)most)
        return wrong(cmd, value,
                     apr_psprintf(cmd->pool, "a whole number from %u to %u",
                                  least, most));
    *out = (apr_uint32_t)n;
    return NULL;
}

static const char *take_time(apr_interval_time_t *out, cmd_parms *cmd,
                             const char *value, apr_interval_time_t least,
                             const char *least_text)
{
    apr_interval_time_t time;

    if (!apr_isdigit(value[0]) ||
        ap_timeout_parameter_parse(value, &time, "s") != APR_SUCCESS ||
        time < least || time > TIME_MOST)
        return wrong(cmd, value,
                     apr_pstrcat(cmd->pool, "a time from ", least_text,
                                 " to 720h, such as 500ms, 30s (or 30), 10min "
                                 "or 1h",
                                 NULL));
    *out = time;
    return NULL;
}

static int is_variable_name(const char *name)
{
    const char *s;

    if (!apr_isalpha(name[0]) && name[0] != '_')
        return 0;
    for (s = name; *s != '\0'; s++) {
        if (!apr_isalnum(*s) && *s != '_')
            return 0;
    }
    return 1;
}

static const char *check_variable(cmd_parms *cmd, const char *name)
{
    const char *error = check_directory(cmd);

    if (error == NULL && !is_variable_name(name))
        error = wrong(cmd, name, "a name of letters, digits and _");
    return error;
}

/* ---- server --------------------------------------------------------- */

static bl_server_conf_t *server_conf(cmd_parms *cmd)
{
    return ap_get_module_config(cmd->server->module_config, &buildlog_module);
}

static const char *set_state_dir(cmd_parms *cmd, void *dummy,
                                 const char *value)
{
    const char *error = check_global(cmd);
    const char *path;

    if (error != NULL)
        return error;
    path = ap_runtime_dir_relative(cmd->pool, value);
    if (path == NULL || value[0] == '\0')
        return wrong(cmd, value, "the path of a directory");
    server_conf(cmd)->state_dir = path;
    return NULL;
}

static const char *set_user(cmd_parms *cmd, void *dummy, const char *name,
                            const char *group)
{
    bl_server_conf_t *conf = server_conf(cmd);
    const char *error = check_global(cmd);
    const struct passwd *user;

    if (error != NULL)
        return error;
    user = getpwnam(name);
    if (user == NULL)
        return wrong(cmd, name, "the name of a user of this system");
    if (user->pw_uid == 0)
        return wrong(cmd, name, "a user other than the superuser");
    conf->user_name = apr_pstrdup(cmd->pool, name);
    conf->uid = user->pw_uid;
    conf->gid = user->pw_gid;
    if (group != NULL) {
        const struct group *g = getgrnam(group);

        if (g == NULL)
            return wrong(cmd, group, "the name of a group of this system");
        conf->gid = g->gr_gid;
    }
    return NULL;
}

static const char *set_max_builds(cmd_parms *cmd, void *dummy,
                                  const char *value)
{
    return take_number(&server_conf(cmd)->limits.max_builds, cmd, value, 1,
                       MAX_BUILDS_MOST);
}

static const char *set_max_queue(cmd_parms *cmd, void *dummy,
                                 const char *value)
{
    return take_number(&server_conf(cmd)->limits.max_queue, cmd, value, 0,
                       MAX_QUEUE_MOST);
}

static const char *set_max_clients(cmd_parms *cmd, void *dummy,
                                   const char *value)
{
    server_conf(cmd)->max_clients_is_set = 1;
    return take_number(&server_conf(cmd)->max_clients, cmd, value, 0,
                       MAX_CLIENTS_MOST);
}

static const char *set_max_parked(cmd_parms *cmd, void *dummy,
                                  const char *value)
{
    return take_number(&server_conf(cmd)->max_parked, cmd, value, 1,
                       MAX_PARKED_MOST);
}

static const char *set_line_limit(cmd_parms *cmd, void *dummy,
                                  const char *value)
{
    return take_number(&server_conf(cmd)->limits.line_limit, cmd, value,
                       LINE_LIMIT_LEAST, LINE_LIMIT_MOST);
}

static const char *set_database(cmd_parms *cmd, void *dummy,
                                const char *driver, const char *params)
{
    bl_server_conf_t *conf = server_conf(cmd);
    const char *error = check_global(cmd);

    if (error != NULL)
        return error;
    if (ap_cstr_casecmp(driver, "none") == 0 && params == NULL) {
        conf->db_driver = NULL;
        return NULL;
    }
    if (strcmp(driver, "sqlite3") != 0 && strcmp(driver, "pgsql") != 0)
        return wrong(cmd, driver,
                     "sqlite3 and a file, pgsql and its parameters, or none");
    if (params == NULL || params[0] == '\0')
        return wrong(cmd, driver,
                     strcmp(driver, "pgsql") == 0
                         ? "followed by the parameters of the connection, "
                           "such as \"host=/run/postgresql dbname=buildlog\""
                         : "followed by the path of a file");
    conf->db_driver = driver;
    conf->db_params = params;
    return NULL;
}

/* "10G", "512M", "64k", "1000". */
static int read_size(apr_uint64_t *out, const char *text)
{
    static const char units[] = "KMGT";
    apr_int64_t n;
    char *end;
    const char *unit;

    n = apr_strtoi64(text, &end, 10);
    if (!apr_isdigit(text[0]))
        return 0;
    *out = (apr_uint64_t)n;
    if (*end == '\0')
        return 1;
    unit = strchr(units, apr_toupper(*end));
    if (unit == NULL || end[1] != '\0' || n > (APR_INT64_C(1) << 20))
        return 0;
    *out <<= 10 * (unit - units + 1);
    return 1;
}

/* "90d", or what other times are. */
static int read_age(apr_interval_time_t *out, const char *text, apr_pool_t *p)
{
    apr_size_t len = strlen(text);
    apr_int64_t days;
    char *end;

    if (!apr_isdigit(text[0]))
        return 0;
    if (text[len - 1] != 'd')
        return ap_timeout_parameter_parse(text, out, "s") == APR_SUCCESS;
    days = apr_strtoi64(text, &end, 10);
    *out = days * apr_time_from_sec(24 * 3600);
    return end == text + len - 1 && days <= KEEP_DAYS_MOST;
}

static const char *add_keep(cmd_parms *cmd, void *dummy, const char *value)
{
    bl_limits_t *limits = &server_conf(cmd)->limits;
    const char *error = check_global(cmd);
    apr_uint64_t count;

    if (error != NULL)
        return error;
    if (strncmp(value, "count=", 6) == 0 && read_size(&count, value + 6) &&
        count <= KEEP_COUNT_MOST) {
        limits->keep_count = (apr_uint32_t)count;
        return NULL;
    }
    if (strncmp(value, "age=", 4) == 0 &&
        read_age(&limits->keep_age, value + 4, cmd->pool))
        return NULL;
    if (strncmp(value, "size=", 5) == 0 &&
        read_size(&limits->keep_size, value + 5))
        return NULL;
    return wrong(cmd, value,
                 "count=N (up to 10000000), age=TIME such as 90d or 12h (up "
                 "to 36500d) or size=BYTES such as 10G; 0 is no limit");
}

static const char *add_to_cgroup(cmd_parms *cmd, const char *value)
{
    bl_cgroup_t *cgroup = &server_conf(cmd)->cgroup;
    apr_uint64_t n;

    if (strncmp(value, "memory=", 7) == 0 && read_size(&n, value + 7) &&
        n >= CGROUP_MEMORY_LEAST && n <= CGROUP_MEMORY_MOST) {
        cgroup->memory = n;
        return NULL;
    }
    if (strncmp(value, "pids=", 5) == 0 && read_size(&n, value + 5) &&
        n >= CGROUP_PIDS_LEAST && n <= CGROUP_PIDS_MOST) {
        cgroup->pids = (apr_uint32_t)n;
        return NULL;
    }
    return wrong(cmd, value,
                 "memory=BYTES from 4M to 1T, such as 512M or 2G, or pids=N "
                 "from 8 to 4194304");
}

static const char *set_cgroup(cmd_parms *cmd, void *dummy, const char *path,
                              const char *first, const char *second)
{
    bl_cgroup_t *cgroup = &server_conf(cmd)->cgroup;
    const char *error = check_global(cmd);
    apr_size_t len = strlen(path);

    if (error != NULL)
        return error;
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (path[0] != '/' || len == 1 || len > CGROUP_PATH_MOST)
        return wrong(cmd, path,
                     "the absolute path of a directory of a cgroup2 file "
                     "system, such as /sys/fs/cgroup/buildlog");
    memset(cgroup, 0, sizeof(*cgroup));
    cgroup->path = apr_pstrmemdup(cmd->pool, path, len);
    if (first != NULL)
        error = add_to_cgroup(cmd, first);
    if (error == NULL && second != NULL)
        error = add_to_cgroup(cmd, second);
    return error;
}

/* ---- directory ------------------------------------------------------ */

static const char *set_on(cmd_parms *cmd, void *dir, const char *value)
{
    const char *error = check_directory(cmd);
    int on = ap_cstr_casecmp(value, "on") == 0;

    if (error != NULL)
        return error;
    if (!on && ap_cstr_casecmp(value, "off") != 0)
        return wrong(cmd, value, "On or Off");
    if (cmd->path == NULL && on)
        return apr_pstrcat(cmd->pool, cmd->cmd->name,
                           " On: only inside <Directory>, so that nothing "
                           "else may be built",
                           NULL);
    ((bl_dir_conf_t *)dir)->on = on;
    return NULL;
}

static const char *add_step(cmd_parms *cmd, void *dir, const char *name,
                            const char *command)
{
    bl_dir_conf_t *conf = dir;
    const char *error = check_directory(cmd);
    bl_wire_step_t *step;

    if (error != NULL)
        return error;
    if (name[0] == '\0' || strlen(name) > STEP_NAME_MOST)
        return wrong(cmd, name,
                     apr_psprintf(cmd->pool, "a name of 1 to %d bytes",
                                  STEP_NAME_MOST));
    if (command[0] == '\0')
        return wrong(cmd, command, "a command for /bin/sh, in quotes");
    if (conf->steps == NULL)
        conf->steps = apr_array_make(cmd->pool, 4, sizeof(bl_wire_step_t));
    if (conf->steps->nelts >= BL_BUILD_STEPS_MAX)
        return wrong(cmd, name,
                     apr_psprintf(cmd->pool, "one of at most %d steps",
                                  BL_BUILD_STEPS_MAX));
    step = apr_array_push(conf->steps);
    step->name = name;
    step->command = command;
    return NULL;
}

static const char *set_title(cmd_parms *cmd, void *dir, const char *value)
{
    const char *error = check_directory(cmd);

    if (error != NULL)
        return error;
    if (value[0] == '\0' || strlen(value) > BL_CONF_TITLE_MOST)
        return wrong(cmd, value,
                     apr_psprintf(cmd->pool, "a text of 1 to %d bytes",
                                  BL_CONF_TITLE_MOST));
    ((bl_dir_conf_t *)dir)->title = value;
    return NULL;
}

static const char *set_timeout(cmd_parms *cmd, void *dir, const char *value)
{
    const char *error = check_directory(cmd);

    return error != NULL ? error
                         : take_time(&((bl_dir_conf_t *)dir)->timeout, cmd,
                                     value, apr_time_from_msec(100), "100ms");
}

static const char *set_idle_timeout(cmd_parms *cmd, void *dir,
                                    const char *value)
{
    const char *error = check_directory(cmd);

    return error != NULL
               ? error
               : take_time(&((bl_dir_conf_t *)dir)->idle_timeout, cmd, value,
                           apr_time_from_msec(100), "100ms");
}

static const char *set_kill_grace(cmd_parms *cmd, void *dir, const char *value)
{
    const char *error = check_directory(cmd);

    return error != NULL ? error
                         : take_time(&((bl_dir_conf_t *)dir)->kill_grace, cmd,
                                     value, 0, "0s");
}

static const char *set_max_log(cmd_parms *cmd, void *dir, const char *value)
{
    const char *error = check_directory(cmd);
    apr_uint64_t size;

    if (error != NULL)
        return error;
    if (!read_size(&size, value) || size < BL_WIRE_LOG_LEAST ||
        size > BL_WIRE_LOG_MOST)
        return wrong(cmd, value,
                     "a number of bytes from 64K to 1T, such as 1000000, "
                     "512K, 256M or 1G");
    ((bl_dir_conf_t *)dir)->max_log = (apr_int64_t)size;
    return NULL;
}

static const char *add_set_env(cmd_parms *cmd, void *dir, const char *name,
                               const char *value)
{
    bl_dir_conf_t *conf = dir;
    const char *error = check_variable(cmd, name);

    if (error != NULL)
        return error;
    if (conf->set_env == NULL)
        conf->set_env = apr_hash_make(cmd->pool);
    apr_hash_set(conf->set_env, name, APR_HASH_KEY_STRING, value);
    bl_check_given(cmd, name);
    return NULL;
}

static const char *add_pass_env(cmd_parms *cmd, void *dir, const char *name)
{
    bl_dir_conf_t *conf = dir;
    const char *error = check_variable(cmd, name);

    if (error != NULL)
        return error;
    if (conf->pass_env == NULL)
        conf->pass_env = apr_array_make(cmd->pool, 8, sizeof(char *));
    APR_ARRAY_PUSH(conf->pass_env, const char *) = name;
    bl_check_given(cmd, name);
    return NULL;
}

static const char *add_mask(cmd_parms *cmd, void *dir, const char *name)
{
    bl_dir_conf_t *conf = dir;
    const char *error = check_variable(cmd, name);

    if (error != NULL)
        return error;
    if (conf->masks == NULL)
        conf->masks = apr_array_make(cmd->pool, 8, sizeof(char *));
    APR_ARRAY_PUSH(conf->masks, const char *) = name;
    bl_check_masked(cmd, name);
    return NULL;
}

static const char *add_notify(cmd_parms *cmd, void *dir, const char *url,
                              const char *secret)
{
    const char *error = check_directory(cmd);

    return error != NULL ? error : bl_peer_add_target(cmd, dir, url, secret);
}

static const char *set_message(cmd_parms *cmd, void *dir, const char *event,
                               const char *text)
{
    bl_dir_conf_t *conf = dir;
    bl_build_state_e state;

    if (strlen(text) > MESSAGE_MOST)
        return wrong(cmd, text,
                     apr_psprintf(cmd->pool, "a text of at most %d bytes",
                                  MESSAGE_MOST));
    if (strcmp(event, "accepted") == 0)
        conf->accepted = text;
    else if (bl_build_state_read(&state, event) == APR_SUCCESS &&
             bl_build_state_is_final(state))
        conf->messages[state] = text;
    else
        return wrong(cmd, event,
                     "accepted, succeeded, failed, cancelled, timed-out or "
                     "lost");
    return NULL;
}

/* ---- location ------------------------------------------------------- */

static const char *set_ping(cmd_parms *cmd, void *dir, const char *value)
{
    return take_time(&((bl_dir_conf_t *)dir)->ping, cmd, value,
                     apr_time_from_msec(100), "100ms");
}

static const char *set_retry(cmd_parms *cmd, void *dir, const char *value)
{
    return take_time(&((bl_dir_conf_t *)dir)->retry, cmd, value,
                     apr_time_from_msec(1), "1ms");
}

static const char *set_flush(cmd_parms *cmd, void *dir, const char *value)
{
    return take_time(&((bl_dir_conf_t *)dir)->flush, cmd, value, 0, "0s");
}

static const char *set_time_format(cmd_parms *cmd, void *dir,
                                   const char *value)
{
    bl_stamp_local_t local;

    memset(&local, 0, sizeof(local));
    bl_stamp_local(&local, value, (bl_stamp_t)apr_time_now());
    if (local.len == 0)
        return wrong(cmd, value,
                     apr_psprintf(cmd->pool,
                                  "a format for strftime whose result has 1 "
                                  "to %d bytes",
                                  BL_STAMP_LOCAL_MAX));
    ((bl_dir_conf_t *)dir)->time_format = value;
    return NULL;
}

static const char *check_origin(cmd_parms *cmd, const char *value)
{
    apr_uri_t uri;

    if (apr_uri_parse(cmd->pool, value, &uri) != APR_SUCCESS ||
        uri.scheme == NULL || uri.hostname == NULL ||
        uri.hostname[0] == '\0' || uri.path != NULL || uri.query != NULL ||
        uri.fragment != NULL || uri.user != NULL)
        return wrong(cmd, value,
                     "an origin such as https://ci.example.org (no path, no "
                     "wildcard)");
    return NULL;
}

static const char *add_allow_origin(cmd_parms *cmd, void *dir,
                                    const char *value)
{
    bl_dir_conf_t *conf = dir;
    const char *error = check_origin(cmd, value);

    if (error != NULL)
        return error;
    if (conf->allow_origin == NULL)
        conf->allow_origin = apr_array_make(cmd->pool, 4, sizeof(char *));
    APR_ARRAY_PUSH(conf->allow_origin, const char *) = value;
    return NULL;
}

static const char *set_stream_origin(cmd_parms *cmd, void *dir,
                                     const char *value)
{
    const char *error = check_origin(cmd, value);

    if (error == NULL)
        ((bl_dir_conf_t *)dir)->stream_origin = value;
    return error;
}

/* ---- the table ------------------------------------------------------ */

/* C2: neither of these allows .htaccess. */
#define SERVER RSRC_CONF
#define ANYWHERE (RSRC_CONF | ACCESS_CONF)

const command_rec bl_directives[] = {
    AP_INIT_TAKE1("BuildLogStateDir", set_state_dir, NULL, SERVER,
                  "directory of logs, history and the runner's socket"),
    AP_INIT_TAKE12("BuildLogUser", set_user, NULL, SERVER,
                   "user, and perhaps group, that builds run as"),
    AP_INIT_TAKE123("BuildLogCgroup", set_cgroup, NULL, SERVER,
                    "control group below which each build has one, and "
                    "limits: memory=bytes pids=n"),
    AP_INIT_TAKE1("BuildLogMaxBuilds", set_max_builds, NULL, SERVER,
                  "builds at once"),
    AP_INIT_TAKE1("BuildLogMaxQueue", set_max_queue, NULL, SERVER,
                  "builds that may wait"),
    AP_INIT_TAKE1("BuildLogMaxClients", set_max_clients, NULL, SERVER,
                  "viewers at once, over all children"),
    AP_INIT_TAKE1("BuildLogMaxParked", set_max_parked, NULL, SERVER,
                  "viewers over TLS at once, in each child (event MPM)"),
    AP_INIT_TAKE12("BuildLogDatabase", set_database, NULL, SERVER,
                   "driver and parameters of the history, or none"),
    AP_INIT_ITERATE("BuildLogKeep", add_keep, NULL, SERVER,
                    "ended builds that are kept: count=n age=time size=bytes"),
    AP_INIT_TAKE1("BuildLogLineLimit", set_line_limit, NULL, SERVER,
                  "bytes; longer lines are stored in pieces"),
    AP_INIT_TAKE1("BuildLog", set_on, NULL, ANYWHERE,
                  "On: this directory and those below it may be built"),
    AP_INIT_TAKE2("BuildLogStep", add_step, NULL, ANYWHERE,
                  "name and command of the next step"),
    AP_INIT_TAKE1("BuildLogTitle", set_title, NULL, ANYWHERE,
                  "name of the project on the page"),
    AP_INIT_TAKE1("BuildLogTimeout", set_timeout, NULL, ANYWHERE,
                  "longest time of a build"),
    AP_INIT_TAKE1("BuildLogIdleTimeout", set_idle_timeout, NULL, ANYWHERE,
                  "longest time of a build without output"),
    AP_INIT_TAKE1("BuildLogKillGrace", set_kill_grace, NULL, ANYWHERE,
                  "time from TERM to KILL"),
    AP_INIT_TAKE1("BuildLogMaxLog", set_max_log, NULL, ANYWHERE,
                  "bytes; of a longer log the middle is left out"),
    AP_INIT_TAKE2("BuildLogSetEnv", add_set_env, NULL, ANYWHERE,
                  "variable of a build's environment and its value"),
    AP_INIT_ITERATE("BuildLogPassEnv", add_pass_env, NULL, ANYWHERE,
                    "variables that a build gets from httpd's environment"),
    AP_INIT_ITERATE("BuildLogMask", add_mask, NULL, ANYWHERE,
                    "variables whose values are shown as ***"),
    AP_INIT_TAKE_ARGV("BuildLogHook", bl_peer_add_hook, NULL, ACCESS_CONF,
                      "name, forge and secret's file of a webhook, and "
                      "perhaps branch=pattern path=pattern"),
    AP_INIT_TAKE12("BuildLogNotify", add_notify, NULL, ANYWHERE,
                   "URL that is told how builds ended, and perhaps "
                   "secret=file; or none"),
    AP_INIT_TAKE2("BuildLogMessage", set_message, NULL, ANYWHERE,
                  "an event and the text that is said then"),
    AP_INIT_TAKE1("BuildLogPing", set_ping, NULL, ANYWHERE,
                  "time between two pings to a viewer"),
    AP_INIT_TAKE1("BuildLogRetry", set_retry, NULL, ANYWHERE,
                  "how long a viewer waits before it reconnects"),
    AP_INIT_TAKE1("BuildLogFlush", set_flush, NULL, ANYWHERE,
                  "shortest time between two writes to a viewer"),
    AP_INIT_TAKE1("BuildLogTimeFormat", set_time_format, NULL, ANYWHERE,
                  "the stamp of text lines, for strftime"),
    AP_INIT_ITERATE("BuildLogAllowOrigin", add_allow_origin, NULL, ANYWHERE,
                    "origins of other sites whose pages may use this one"),
    AP_INIT_TAKE1("BuildLogStreamOrigin", set_stream_origin, NULL, ANYWHERE,
                  "origin of this site that the page takes its stream from"),
    {NULL, {NULL}, NULL, 0, RAW_ARGS, NULL},
};
