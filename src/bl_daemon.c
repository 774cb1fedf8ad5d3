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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
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
/* layer 2 */
#include "bl_runner.h"
/* layer 3 */
#include "bl_config.h"

#define RETAINED_KEY "mod_buildlog"

/* Raised when retained_t or what it points to changes its layout: a module of
 * another version finds that it cannot go on with this one's. */
#define RETAINED_VERSION 1

/* A runner that lives so long has begun well: no back-off when it dies. */
#define GOOD_LIFE apr_time_from_sec(10)
#define BACKOFF_LEAST apr_time_from_sec(1)
#define BACKOFF_MOST apr_time_from_sec(60)

/* On stop the parent waits for the runner: a build's grace and some more. */
#define STOP_WAIT apr_time_from_sec(30)

/* A request waits so long for the runner. */
#define ASK_TIME apr_time_from_sec(5)

/* sun_path of a unix socket. */
#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

typedef struct {
    int version;
    bl_table_t *table;
    bl_wake_t *wake;
    const char *state_dir;
    const char *socket_path;
    int listen_fd;
    int lock_fd;
    int lifeline[2]; /* [1] only in the parent */
    pid_t parent;
    apr_proc_t runner; /* pid 0: none */
    apr_time_t begun;
    apr_interval_time_t backoff;
    apr_time_t again_at; /* 0: nothing is due */
} retained_t;

/* This generation's view of it; NULL: the module could not begin. */
static retained_t *retained;
static apr_pool_t *config_pool;

bl_table_t *bl_daemon_table(void)
{
    return retained != NULL ? retained->table : NULL;
}

bl_wake_t *bl_daemon_wake(void)
{
    return retained->wake;
}

const char *bl_daemon_logs_dir(void)
{
    static const char *dir;

    if (dir == NULL)
        dir = apr_pstrcat(config_pool, retained->state_dir, "/logs", NULL);
    return dir;
}

/* ---- diagnostics of the layers below ---------------------------------------
 */

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

/* ---- the state directory
 * ---------------------------------------------------- */

static int fail(server_rec *s, apr_status_t rv, const char *what)
{
    ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, "BL0101 %s", what);
    return HTTP_INTERNAL_SERVER_ERROR;
}

/* Whom the runner and the builds are, and who may read: httpd's group. */
static void owners(uid_t *user, gid_t *group)
{
    const bl_server_conf_t *conf = bl_config_server();

    *user = geteuid();
    *group = getegid();
    if (geteuid() == 0) {
        *user = conf->user_name != NULL ? conf->uid : ap_unixd_config.user_id;
        *group = ap_unixd_config.group_id;
    }
}

/* Make a directory, or see that the one there is ours. */
static int make_directory(const char *path, server_rec *s, apr_pool_t *p)
{
    struct stat info;
    uid_t user;
    gid_t group;

    owners(&user, &group);
    if (mkdir(path, 0750) == 0) {
        /* The group is inherited by what the runner makes in it, so that
         * httpd's children can read logs whoever BuildLogUser is. */
        if (chown(path, user, group) != 0 || chmod(path, 02750) != 0)
            return fail(s, errno,
                        apr_psprintf(p, "cannot give %s to its owner", path));
        return OK;
    }
    if (errno != EEXIST)
        return fail(
            s, errno,
            apr_psprintf(p, "cannot make %s; see BuildLogStateDir", path));
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return fail(s, errno, apr_psprintf(p, "%s is no directory", path));
    if (info.st_uid != user)
        return fail(s, 0,
                    apr_psprintf(p,
                                 "%s belongs to user %ld, but the runner is "
                                 "user %ld; see BuildLogStateDir and "
                                 "BuildLogUser",
                                 path, (long)info.st_uid, (long)user));
    return OK;
}

/* One server per state directory: the lock lives as long as the parent. */
static int take_lock(retained_t *keep, server_rec *s, apr_pool_t *p)
{
    const char *path = apr_pstrcat(p, keep->state_dir, "/lock", NULL);
    struct flock lock;

    memset(&lock, 0, sizeof(lock));
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    keep->lock_fd =
        open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (keep->lock_fd < 0)
        return fail(s, errno, apr_psprintf(p, "cannot open %s", path));
    if (fcntl(keep->lock_fd, F_SETLK, &lock) != 0)
        return fail(s, errno,
                    apr_psprintf(p,
                                 "%s is in use by another server; each needs "
                                 "a BuildLogStateDir of its own",
                                 keep->state_dir));
    return OK;
}

static int open_socket(retained_t *keep, server_rec *s, apr_pool_t *p)
{
    struct sockaddr_un address;
    uid_t user;
    gid_t group;
    int fd;

    owners(&user, &group);
    if (strlen(keep->socket_path) > SOCKET_PATH_MAX)
        return fail(s, 0,
                    apr_psprintf(p,
                                 "BuildLogStateDir: %s is too long for the "
                                 "name of a socket (%d bytes at most)",
                                 keep->socket_path, (int)SOCKET_PATH_MAX));
    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    apr_cpystrn(address.sun_path, keep->socket_path, sizeof(address.sun_path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* A name that an earlier server left; the lock says that it is gone. */
    unlink(keep->socket_path);
    if (fd < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        chmod(keep->socket_path, 0660) != 0 ||
        chown(keep->socket_path, user, group) != 0 || listen(fd, 511) != 0)
        return fail(s, errno,
                    apr_psprintf(p, "cannot listen on %s", keep->socket_path));
    keep->listen_fd = fd;
    return OK;
}

/* ---- the first start
 * --------------------------------------------------------- */

static int slot_count(void)
{
    int n = 0;

    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &n);
    if (n < 1)
        n = 1;
    return n < BL_TABLE_SLOTS_MAX ? n : BL_TABLE_SLOTS_MAX;
}

/* Everything that lives as long as the parent. */
static int begin_all(retained_t *keep, server_rec *s)
{
    apr_pool_t *p = s->process->pool;
    const char *logs;
    apr_status_t rv;
    int result;

    keep->version = RETAINED_VERSION;
    keep->parent = getpid();
    keep->state_dir = apr_pstrdup(p, bl_config_state_dir(config_pool));
    keep->socket_path = apr_pstrcat(p, keep->state_dir, "/runner.sock", NULL);
    logs = apr_pstrcat(p, keep->state_dir, "/logs", NULL);
    result = make_directory(keep->state_dir, s, config_pool);
    if (result == OK)
        result = make_directory(logs, s, config_pool);
    if (result == OK)
        result = take_lock(keep, s, config_pool);
    if (result == OK)
        result = open_socket(keep, s, config_pool);
    if (result != OK)
        return result;
    rv = bl_table_create(&keep->table, slot_count(), p);
    if (rv != APR_SUCCESS)
        return fail(s, rv, "no shared memory");
    rv = bl_wake_create(&keep->wake, slot_count(), p);
    if (rv != APR_SUCCESS)
        return fail(s, rv, "no pipes for waking children");
    if (pipe2(keep->lifeline, O_CLOEXEC) != 0)
        return fail(s, errno, "no pipe for the runner");
    return OK;
}

/* ---- the runner's process
 * ------------------------------------------------------ */

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
    user = getpwuid(getuid());
    return user != NULL ? apr_pstrdup(p, user->pw_dir) : "/";
}

static void runner_main(server_rec *s)
{
    bl_runner_setup_t setup;
    apr_pool_t *p;

    close(retained->lifeline[1]);
    close(retained->lock_fd);
    bl_wake_keep_writers(retained->wake);
    ap_close_listeners();
    setsid();
    umask(027);
    apr_pool_create(&p, NULL);
    memset(&setup, 0, sizeof(setup));
    setup.home = drop_privileges(s, p);
    if (setup.home == NULL || chdir("/") != 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, errno, s,
                     "BL0102 the runner cannot become its user");
        _exit(1);
    }
    setup.state_dir = retained->state_dir;
    setup.table = retained->table;
    setup.wake = retained->wake;
    setup.listen_fd = retained->listen_fd;
    setup.lifeline_fd = retained->lifeline[0];
    setup.parent = retained->parent;
    setup.user = geteuid();
    if (ap_unixd_config.user_id != (uid_t)-1)
        setup.user = ap_unixd_config.user_id;
    setup.limits = bl_config_server()->limits;
    setup.log_changed = take_error_log;
    _exit(bl_runner_main(&setup, p));
}

static void watch_runner(server_rec *s);

static void begin_runner(server_rec *s)
{
    pid_t pid;

    retained->again_at = 0;
    retained->begun = apr_time_now();
    pid = fork();
    if (pid < 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, s,
                     "BL0103 no process for the runner; trying again");
        retained->again_at = apr_time_now() + BACKOFF_LEAST;
        return;
    }
    if (pid == 0)
        runner_main(s);
    retained->runner.pid = pid;
    watch_runner(s);
}

/* ---- watching it
 * ----------------------------------------------------------------- */

static void runner_died(server_rec *s, int status)
{
    apr_time_t now = apr_time_now();
    int state = 0;

    bl_table_set_runner(retained->table, 0);
    retained->runner.pid = 0;
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
    apr_proc_other_child_register(&retained->runner, runner_event,
                                  &retained->runner, NULL, config_pool);
}

static int look_after_runner(apr_pool_t *p, server_rec *s)
{
    if (retained != NULL && retained->again_at != 0 &&
        apr_time_now() >= retained->again_at)
        begin_runner(s);
    return DECLINED;
}

/* A runner may have died while the configuration was read anew, when nobody
 * was told. */
static int runner_lives(void)
{
    int status;

    return retained->runner.pid > 0 &&
           waitpid(retained->runner.pid, &status, WNOHANG) == 0;
}

/* ---- talking to it
 * ----------------------------------------------------------------- */

static int connect_runner(const char *path)
{
    struct timeval time = {ASK_TIME / APR_USEC_PER_SEC, 0};
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    apr_cpystrn(address.sun_path, path, sizeof(address.sun_path));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The new generation's limits, and its error log. */
static void tell_limits(server_rec *s)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    int log = STDERR_FILENO, fd;
    struct msghdr message;
    struct cmsghdr *c;
    const char *frame;
    struct iovec part;
    apr_size_t len;

    if (bl_wire_limits_write(&frame, &len, &bl_config_server()->limits,
                             config_pool) != APR_SUCCESS)
        return;
    part.iov_base = (void *)frame;
    part.iov_len = len;
    memset(&message, 0, sizeof(message));
    memset(&control, 0, sizeof(control));
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.room;
    message.msg_controllen = sizeof(control.room);
    c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &log, sizeof(log));
    fd = connect_runner(retained->socket_path);
    if (fd < 0 || sendmsg(fd, &message, MSG_NOSIGNAL) != (ssize_t)len)
        ap_log_error(APLOG_MARK, APLOG_WARNING, errno, s,
                     "BL0105 the runner could not be told its new limits");
    if (fd >= 0)
        close(fd);
}

static apr_status_t send_all(int fd, const char *buf, apr_size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return APR_FROM_OS_ERROR(errno);
        buf += n;
        len -= (apr_size_t)n;
    }
    return APR_SUCCESS;
}

static apr_status_t receive_frame(bl_wire_frame_t *frame, int fd,
                                  apr_pool_t *p)
{
    apr_size_t len = 0, need = BL_WIRE_HEADER_LEN;
    char *buf = apr_palloc(p, need);

    for (;;) {
        apr_size_t have = need;
        ssize_t n = recv(fd, buf + len, need - len, 0);
        apr_status_t rv;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return APR_FROM_OS_ERROR(errno);
        if (n == 0)
            return APR_EOF;
        len += (apr_size_t)n;
        rv = bl_wire_frame_read(frame, &need, buf, len);
        if (rv != APR_INCOMPLETE)
            return rv;
        if (need > have) {
            char *more = apr_palloc(p, need);

            memcpy(more, buf, len);
            buf = more;
        }
    }
}

void bl_daemon_ask(bl_asked_t *asked, const bl_order_t *order, request_rec *r)
{
    bl_wire_frame_t frame;
    const char *text;
    apr_size_t len;
    apr_status_t rv;
    int fd = -1;

    memset(asked, 0, sizeof(*asked));
    asked->what = BL_ASKED_NO_RUNNER;
    rv = bl_wire_order_write(&text, &len, order, r->pool);
    if (rv != APR_SUCCESS) {
        asked->what = BL_ASKED_REFUSED;
        asked->refused.why = BL_REFUSED_ORDER;
        asked->refused.text =
            "The configuration of the project is too large for a build.";
        return;
    }
    if (bl_table_runner(retained->table) != 0)
        fd = connect_runner(retained->socket_path);
    if (fd < 0)
        return;
    rv = send_all(fd, text, len);
    if (rv == APR_SUCCESS)
        rv = receive_frame(&frame, fd, r->pool);
    close(fd);
    if (rv == APR_SUCCESS && bl_wire_accepted_read(&asked->accepted, &frame,
                                                   r->pool) == APR_SUCCESS)
        asked->what = BL_ASKED_ACCEPTED;
    else if (rv == APR_SUCCESS && bl_wire_refused_read(&asked->refused, &frame,
                                                       r->pool) == APR_SUCCESS)
        asked->what = BL_ASKED_REFUSED;
    else
        ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r,
                      "BL0106 the runner did not answer");
}

/* ---- hooks
 * --------------------------------------------------------------------------
 */

/* D3: on an orderly stop. On a restart the lifeline stays as it is. */
static apr_status_t end_of_config(void *dummy)
{
    apr_time_t deadline = apr_time_now() + STOP_WAIT;
    int status;

    if (retained == NULL || getpid() != retained->parent ||
        ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_EXITING)
        return APR_SUCCESS;
    close(retained->lifeline[1]);
    while (retained->runner.pid > 0 &&
           waitpid(retained->runner.pid, &status, WNOHANG) == 0 &&
           apr_time_now() < deadline)
        apr_sleep(apr_time_from_msec(10));
    unlink(retained->socket_path);
    return APR_SUCCESS;
}

static int go_on(retained_t *keep, server_rec *s)
{
    if (keep->version != RETAINED_VERSION ||
        !bl_table_is_current(keep->table)) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     "BL0107 the module was replaced by another version: "
                     "builds are refused until httpd is stopped and started");
        return DECLINED;
    }
    if (strcmp(keep->state_dir, bl_config_state_dir(config_pool)) != 0)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "BL0108 BuildLogStateDir stays %s until httpd is stopped "
                     "and started",
                     keep->state_dir);
    return OK;
}

static int post_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp,
                       server_rec *s)
{
    retained_t *keep = ap_retained_data_get(RETAINED_KEY);
    int result;

    /* httpd reads its configuration twice at start; only the second counts. */
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return OK;
    config_pool = p;
    bl_diag_set(diag_to_log);
    if (keep == NULL) {
        keep = ap_retained_data_create(RETAINED_KEY, sizeof(*keep));
        result = begin_all(keep, s);
        if (result != OK)
            return result;
    }
    else if (go_on(keep, s) != OK)
        return OK;
    retained = keep;
    apr_pool_cleanup_register(p, NULL, end_of_config, apr_pool_cleanup_null);
    if (runner_lives()) {
        watch_runner(s);
        tell_limits(s);
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
    if (retained == NULL)
        return;
    close(retained->lifeline[0]);
    close(retained->lifeline[1]);
    close(retained->listen_fd);
    close(retained->lock_fd);
}

void bl_daemon_register_hooks(apr_pool_t *p)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_monitor(look_after_runner, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_REALLY_FIRST);
}
