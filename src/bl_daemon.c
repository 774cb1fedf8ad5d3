/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_daemon.c - the runner as httpd's parent sees it: begun, watched, kept
 *
 * What must outlive a restart hangs on the process pool and is found again
 * through httpd's retained data. It holds no pointer to code or to anything
 * in pconf, for both are new after a restart.
 *
 * DIAGNOSTICS   BL01xx
 */
#include "bl_daemon.h"

/* libc */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* APR */
#include <apr_portable.h>
#include <apr_strings.h>
/* httpd */
#include "ap_listen.h"
#include "ap_mpm.h"
#include "http_core.h"
#include "http_main.h"
#include "mod_buildlog.h"
#include "mpm_common.h"
#include "unixd.h"
/* layer 0 */
#include "bl_diag.h"
/* layer 1 */
#include "bl_inherit.h"
#include "bl_tick.h"
/* layer 2 */
#include "bl_runner.h"
/* layer 3 */
#include "bl_config.h"
#include "bl_peer.h"
#include "bl_statedir.h"

#define RETAINED_KEY "mod_buildlog"

/* Raised when retained_t or what it points to changes its layout: a module of
 * another version finds that it cannot go on with this one's. */
#define RETAINED_VERSION 5

/* Since then head_t stands first, and is the same in each version. */
#define HEAD_SINCE 4

/* A runner that lives so long has begun well: no back-off when it dies. */
#define GOOD_LIFE apr_time_from_sec(10)
#define BACKOFF_LEAST apr_time_from_sec(1)
#define BACKOFF_MOST apr_time_from_sec(60)

/* On stop the parent waits for the runner: a build's grace and some more. */
#define STOP_WAIT apr_time_from_sec(30)

/* What it takes to end the runner, which any version may have to: the module
 * may be replaced by another one while the runner lives (D4). */
typedef struct {
    int version;
    int lifeline[2]; /* [1] only in the parent */
    pid_t parent;
    apr_proc_t runner; /* pid 0: none */
} head_t;

typedef struct {
    head_t head;
    bl_table_t *table;
    bl_wake_t *wake;
    bl_statedir_t dir;
    const char *db_driver; /* of the history; NULL: there is none */
    const char *db_params;
    bl_cgroup_t cgroup; /* path NULL: builds have no groups */
    bl_seal_key_t seal; /* for secrets of builds that wait, in memory only */
    apr_time_t begun;
    apr_interval_time_t backoff;
    apr_time_t again_at; /* 0: nothing is due */
} retained_t;

/* This generation's view of it; NULL: the module could not begin. */
static retained_t *retained;
/* The same, or that of another version; NULL: there is no runner of ours. */
static head_t *head;
static apr_pool_t *config_pool;
static apr_uint32_t generation;

bl_table_t *bl_daemon_table(void)
{
    return retained != NULL ? retained->table : NULL;
}

bl_wake_t *bl_daemon_wake(void)
{
    return retained->wake;
}

apr_uint32_t bl_daemon_generation(void)
{
    return generation;
}

const char *bl_daemon_logs_dir(void)
{
    return retained->dir.logs;
}

const char *bl_daemon_database(const char **driver)
{
    *driver = retained->db_driver;
    return retained->db_params;
}

static bl_ask_door_t door(void)
{
    bl_ask_door_t door = {retained->dir.socket_path, retained->head.parent};

    return door;
}

void bl_daemon_ask(bl_asked_t *asked, const bl_order_t *order, request_rec *r)
{
    /* Without a runner the socket would take the message and wait. */
    asked->what = BL_ASKED_NO_RUNNER;
    if (bl_table_runner(retained->table) != 0)
        bl_ask_build(asked, door(), order, r);
}

void bl_daemon_cancel(bl_asked_t *asked, const bl_cancel_t *cancel,
                      request_rec *r)
{
    asked->what = BL_ASKED_NO_RUNNER;
    if (bl_table_runner(retained->table) != 0)
        bl_ask_cancel(asked, door(), cancel, r);
}

void bl_daemon_ready(bl_asked_t *asked, request_rec *r)
{
    asked->what = BL_ASKED_NO_RUNNER;
    if (bl_table_runner(retained->table) != 0)
        bl_ask_ready(asked, door(), r);
}

/* ---- diagnostics of the layers below -------------------------------- */

static void diag_to_log(bl_diag_level_e level, apr_status_t rv,
                        const char *message)
{
    static const int levels[] = {
        [BL_DIAG_ERROR] = APLOG_ERR,     [BL_DIAG_WARNING] = APLOG_WARNING,
        [BL_DIAG_NOTICE] = APLOG_NOTICE, [BL_DIAG_INFO] = APLOG_INFO,
        [BL_DIAG_DEBUG] = APLOG_DEBUG,
    };

    ap_log_error(APLOG_MARK, levels[level], rv, ap_server_conf, "%s", message);
}

/* ---- the first start ------------------------------------------------ */

static int slot_count(void)
{
    int n = 0;

    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &n);
    if (n < 1)
        n = 1;
    return n < BL_SLOTS_MAX ? n : BL_SLOTS_MAX;
}

static int open_cgroup(retained_t *keep, server_rec *s)
{
    const char *why;

    keep->cgroup = bl_config_server()->cgroup;
    if (keep->cgroup.path == NULL)
        return OK;
    keep->cgroup.path = apr_pstrdup(s->process->pool, keep->cgroup.path);
    why = bl_cgroup_open(&keep->cgroup, keep->dir.user, config_pool);
    if (why == NULL)
        return OK;
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                 "BL0116 BuildLogCgroup cannot be used: %s", why);
    return HTTP_INTERNAL_SERVER_ERROR;
}

/* Everything that lives as long as the parent. */
static int begin_all(retained_t *keep, server_rec *s)
{
    apr_pool_t *p = s->process->pool;
    apr_status_t rv;
    int result;

    keep->head.version = RETAINED_VERSION;
    keep->head.parent = getpid();
    result = bl_statedir_open(&keep->dir, bl_config_state_dir(config_pool), s,
                              p, config_pool);
    if (result != OK)
        return result;
    keep->db_driver = apr_pstrdup(p, bl_config_server()->db_driver);
    keep->db_params = apr_pstrdup(p, bl_config_database(config_pool));
    result = open_cgroup(keep, s);
    if (result != OK)
        return result;
    rv = bl_table_create(&keep->table, slot_count(), p);
    if (rv != APR_SUCCESS)
        return bl_statedir_fail(s, rv, "no shared memory");
    rv = bl_wake_create(&keep->wake, slot_count(), p);
    if (rv != APR_SUCCESS)
        return bl_statedir_fail(s, rv, "no pipes for waking children");
    rv = bl_seal_key_make(&keep->seal);
    if (rv != APR_SUCCESS)
        return bl_statedir_fail(s, rv, "no random bytes");
    if (pipe2(keep->head.lifeline, O_CLOEXEC) != 0)
        return bl_statedir_fail(s, errno, "no pipe for the runner");
    return OK;
}

/* ---- the runner's process ------------------------------------------- */

/* The error log of a new generation replaces that of the old one. */
static void take_error_log(int fd)
{
    apr_os_file_t log;

    dup2(fd, STDERR_FILENO);
    if (ap_server_conf->error_log != NULL &&
        apr_os_file_get(&log, ap_server_conf->error_log) == APR_SUCCESS &&
        log != STDERR_FILENO)
        dup3(fd, log, O_CLOEXEC);
    close(fd);
}

static const char *drop_privileges(server_rec *s, apr_pool_t *p)
{
    const bl_server_conf_t *conf = bl_config_server();
    const struct passwd *user;

    if (geteuid() == 0 && conf->user_name != NULL) {
        if (setgid(conf->gid) != 0 ||
            initgroups(conf->user_name, conf->gid) != 0 ||
            setuid(conf->uid) != 0)
            return NULL;
    }
    else if (ap_run_drop_privileges(p, s) != OK)
        return NULL;
    /* Whatever httpd made of its User and Group: builds never run as root. */
    if (geteuid() == 0 || getuid() == 0) {
        errno = EPERM;
        return NULL;
    }
    user = getpwuid(getuid());
    return user != NULL ? apr_pstrdup(p, user->pw_dir) : "/";
}

/* It outlives many generations of httpd: it must not hold their logs, which
 * are rotated, nor the pipes of programs that write logs, which wait for their
 * end. */
static void keep_ours(apr_pool_t *p)
{
    apr_array_header_t *fds = apr_array_make(p, 64, sizeof(int));
    apr_os_file_t log;

    APR_ARRAY_PUSH(fds, int) = STDERR_FILENO;
    APR_ARRAY_PUSH(fds, int) = retained->head.lifeline[0];
    APR_ARRAY_PUSH(fds, int) = retained->dir.listen_fd;
    APR_ARRAY_PUSH(fds, int) = retained->dir.lock_fd;
    bl_wake_keep_writers(retained->wake, fds);
    if (ap_server_conf->error_log != NULL &&
        apr_os_file_get(&log, ap_server_conf->error_log) == APR_SUCCESS)
        APR_ARRAY_PUSH(fds, int) = log;
    bl_inherit_only(fds);
}

/* What is in its memory, and in that of what it forks, is nobody's: neither a
 * core file's nor that of a build, which is the same user. Who wants core
 * files says so to httpd. */
static void be_opaque(void)
{
    prctl(PR_SET_DUMPABLE, ap_coredumpdir_configured ? 1 : 0);
}

static void enter_cgroup(bl_runner_setup_t *setup, server_rec *s,
                         apr_pool_t *p)
{
    apr_status_t rv;

    if (retained->cgroup.path == NULL)
        return;
    rv = bl_cgroup_enter(&retained->cgroup, p);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s,
                     "BL0116 BuildLogCgroup cannot be used: the runner cannot "
                     "go into %s/runner",
                     retained->cgroup.path);
        _exit(1);
    }
    setup->cgroup = &retained->cgroup;
}

/* What this generation's configuration says. */
static bl_limits_t limits_now(void)
{
    bl_limits_t limits = bl_config_server()->limits;

    limits.targets = bl_peer_targets(&limits.target_count, config_pool);
    return limits;
}

static void runner_main(server_rec *s)
{
    bl_runner_setup_t setup;
    apr_pool_t *p;

    apr_pool_create(&p, NULL);
    close(retained->head.lifeline[1]);
    ap_close_listeners();
    keep_ours(p);
    setsid();
    umask(027);
    memset(&setup, 0, sizeof(setup));
    enter_cgroup(&setup, s, p);
    setup.home = drop_privileges(s, p);
    if (setup.home == NULL || chdir("/") != 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, errno, s,
                     "BL0102 the runner cannot become its user; see User, "
                     "Group and BuildLogUser");
        _exit(1);
    }
    be_opaque(); /* a change of user has said otherwise */
    if (bl_statedir_wait(&retained->dir, retained->head.lifeline[0], s) != OK)
        _exit(0);
    setup.state_dir = retained->dir.path;
    setup.table = retained->table;
    setup.wake = retained->wake;
    setup.listen_fd = retained->dir.listen_fd;
    setup.lifeline_fd = retained->head.lifeline[0];
    setup.parent = retained->head.parent;
    setup.user = geteuid();
    if (ap_unixd_config.user_id != (uid_t)-1)
        setup.user = ap_unixd_config.user_id;
    setup.limits = limits_now();
    setup.seal = &retained->seal;
    setup.db_driver = retained->db_driver;
    setup.db_params = retained->db_params;
    setup.log_changed = take_error_log;
    _exit(bl_runner_main(&setup, p));
}

static void watch_runner(server_rec *s);

static void begin_runner(server_rec *s)
{
    pid_t pid;

    retained->again_at = 0;
    retained->begun = bl_tick_now();
    pid = fork();
    if (pid < 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, s,
                     "BL0103 no process for the runner; trying again");
        retained->again_at = bl_tick_now() + BACKOFF_LEAST;
        return;
    }
    if (pid == 0)
        runner_main(s);
    retained->head.runner.pid = pid;
    watch_runner(s);
}

/* ---- watching it ---------------------------------------------------- */

static void runner_died(server_rec *s, int status)
{
    apr_time_t now = bl_tick_now();
    int state = 0;

    bl_table_set_runner(retained->table, 0);
    retained->head.runner.pid = 0;
    ap_mpm_query(AP_MPMQ_MPM_STATE, &state);
    if (state == AP_MPMQ_STOPPING)
        return;
    if (now - retained->begun >= GOOD_LIFE)
        retained->backoff = 0;
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                 "BL0104 the runner died (%s %d); its builds are lost, "
                 "another one begins in %d s",
                 WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                 (int)apr_time_sec(retained->backoff));
    if (retained->backoff == 0)
        begin_runner(s);
    else
        retained->again_at = now + retained->backoff;
    retained->backoff = retained->backoff == 0 ? BACKOFF_LEAST
                        : retained->backoff * 2 < BACKOFF_MOST
                            ? retained->backoff * 2
                            : BACKOFF_MOST;
}

static void runner_event(int reason, void *data, apr_wait_t status)
{
    apr_proc_t *proc = data;

    switch (reason) {
    case APR_OC_REASON_DEATH:
    case APR_OC_REASON_LOST:
        apr_proc_other_child_unregister(proc);
        runner_died(ap_server_conf, status);
        break;
    case APR_OC_REASON_RESTART:
        /* D1: the parent goes on watching after the restart. */
        apr_proc_other_child_unregister(proc);
        break;
    default:
        break;
    }
}

static void watch_runner(server_rec *s)
{
    apr_proc_other_child_register(&retained->head.runner, runner_event,
                                  &retained->head.runner, NULL, config_pool);
}

static int look_after_runner(apr_pool_t *p, server_rec *s)
{
    if (retained != NULL && retained->again_at != 0 &&
        bl_tick_now() >= retained->again_at)
        begin_runner(s);
    return DECLINED;
}

/* A runner may have died while the configuration was read anew, when nobody
 * was told. */
static int runner_lives(void)
{
    int status;

    return retained->head.runner.pid > 0 &&
           waitpid(retained->head.runner.pid, &status, WNOHANG) == 0;
}

/* ---- hooks ---------------------------------------------------------- */

/* D3: on an orderly stop. On a restart the lifeline stays as it is. */
static apr_status_t end_of_config(void *dummy)
{
    apr_time_t deadline = bl_tick_now() + STOP_WAIT;
    int status;

    if (head == NULL || getpid() != head->parent ||
        ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_EXITING)
        return APR_SUCCESS;
    close(head->lifeline[1]);
    while (head->runner.pid > 0 &&
           waitpid(head->runner.pid, &status, WNOHANG) == 0 &&
           bl_tick_now() < deadline)
        apr_sleep(apr_time_from_msec(10));
    if (retained != NULL)
        unlink(retained->dir.socket_path);
    return APR_SUCCESS;
}

static int is_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static int go_on(retained_t *keep, server_rec *s)
{
    if (keep->head.version != RETAINED_VERSION ||
        !bl_table_is_current(keep->table)) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     "BL0107 the module was replaced by another version: "
                     "builds are refused until httpd is stopped and started");
        return DECLINED;
    }
    if (strcmp(keep->dir.path, bl_config_state_dir(config_pool)) != 0)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "BL0108 BuildLogStateDir stays %s until httpd is stopped "
                     "and started",
                     keep->dir.path);
    if (bl_statedir_user() != keep->dir.user)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "BL0110 builds run as user %ld until httpd is stopped "
                     "and started",
                     (long)keep->dir.user);
    if (!is_same(keep->cgroup.path, bl_config_server()->cgroup.path) ||
        keep->cgroup.memory != bl_config_server()->cgroup.memory ||
        keep->cgroup.pids != bl_config_server()->cgroup.pids)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "BL0117 BuildLogCgroup stays as it was until httpd is "
                     "stopped and started");
    /* What it is may hold a password. */
    if (!is_same(keep->db_driver, bl_config_server()->db_driver) ||
        !is_same(keep->db_params, bl_config_database(config_pool)))
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "BL0114 the history stays in the database it is in until "
                     "httpd is stopped and started; see BuildLogDatabase");
    return OK;
}

/* Children that cannot end yet have viewers whom the old configuration let in.
 */
static void begin_generation(void)
{
    int slot, slots = bl_slots_count(bl_table_slots(retained->table));

    generation = bl_table_new_generation(retained->table);
    for (slot = 0; slot < slots; slot++) {
        if (bl_slots_pid(bl_table_slots(retained->table), slot) != 0)
            bl_wake_send(retained->wake, slot);
    }
}

static int post_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp,
                       server_rec *s)
{
    retained_t *keep = ap_retained_data_get(RETAINED_KEY);
    int is_new = keep == NULL, result;

    /* httpd reads its configuration twice at start; only the second counts. */
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return OK;
    config_pool = p;
    bl_diag_set(diag_to_log);
    if (is_new) {
        keep = ap_retained_data_create(RETAINED_KEY, sizeof(*keep));
        result = begin_all(keep, s);
        if (result != OK)
            return result;
    }
    if (keep->head.version >= HEAD_SINCE)
        head = &keep->head;
    apr_pool_cleanup_register(p, NULL, end_of_config, apr_pool_cleanup_null);
    if (!is_new && go_on(keep, s) != OK)
        return OK;
    retained = keep;
    begin_generation();
    if (runner_lives()) {
        bl_limits_t limits = limits_now();

        watch_runner(s);
        bl_ask_set_limits(door(), &limits, s, p);
    }
    else {
        bl_table_set_runner(keep->table, 0);
        begin_runner(s);
    }
    return OK;
}

/* Only the parent may hold the lifeline's writing end. */
static void child_init(apr_pool_t *p, server_rec *s)
{
    /* With -X the parent is its own child. */
    if (head == NULL || getpid() == head->parent)
        return;
    close(head->lifeline[0]);
    close(head->lifeline[1]);
    if (retained == NULL)
        return;
    close(retained->dir.listen_fd);
    close(retained->dir.lock_fd);
}

void bl_daemon_register_hooks(apr_pool_t *p)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_monitor(look_after_runner, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_REALLY_FIRST);
}
