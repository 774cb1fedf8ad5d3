/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_kept.c - what runs inside a keeper process
 *
 * INVARIANTS    K1 nothing of the build lives when the keeper has exited
 *               K2 no descriptor but 0, 1 and 2 reaches a step
 *               K3 a step has default signal dispositions and an empty mask
 *               K4 nothing that a step runs has more rights than it: set-uid
 *                  and the like are void below the keeper
 *               K5 all steps run in one directory: the one that the project's
 *                  path names without a link
 * DIAGNOSTICS   what goes wrong is told to the runner, which writes the log
 */
#include "bl_kept.h"

/* libc */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* APR */
#include <apr_portable.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>
/* layer 1 */
#include "bl_tick.h"
#include "bl_tree.h"

/* Where the descriptors stand in the keeper; all above are closed. */
enum {
    FD_CONTROL = 3,
    FD_OUT,
    FD_ERR,
    FD_NULL,
    FD_ENTER, /* these three are not there without BuildLogCgroup */
    FD_LEAVE,
    FD_KILL,
    FD_FIRST_UNUSED
};

/* Gives each step a session of its own: a step that kills its process group
 * does not kill its keeper. It becomes the shell without a fork, for a child
 * of ours leads no group. */
#define SETSID "/usr/bin/setsid"

/* Processes that a step left behind may end by themselves for so long: a
 * shell's last background job, a compiler server that was told to stop. */
#define LINGER_TIME apr_time_from_msec(300)

/* Between two looks while waiting for processes to go. */
#define LOOK_TIME apr_time_from_msec(10)

typedef struct {
    const bl_order_t *order;
    const char **env; /* NULL-terminated */
    apr_pool_t *pool;
    apr_pool_t *scratch; /* cleared for each use */
    pid_t step_pid;      /* 0: none runs */
    int step;
    int is_in_project;        /* this process is in its directory, */
    struct stat directory;    /* this one */
    int ending;               /* 0, BL_KEPT_END_CLEAN or BL_KEPT_END_NOW */
    int has[FD_FIRST_UNUSED]; /* is this place taken? */
} kept_t;

static void on_signal(int sig)
{
    /* Only so that poll() returns, and that a step starts with the default:
     * an ignored signal would stay ignored over exec (K3). */
}

/* The runner waits for what it is not told: then it is better off without this
 * keeper, which takes the build along. */
static void tell(kept_t *kept, int what, int value)
{
    bl_kept_message_t message;
    ssize_t n;

    memset(&message, 0, sizeof(message));
    message.what = what;
    message.step = kept->step;
    message.value = value;
    do {
        n = send(FD_CONTROL, &message, sizeof(message), MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        kept->ending = BL_KEPT_END_NOW;
}

/* ---- the directory -------------------------------------------------- */

/* The directory below another, or ELOOP: a link has taken its place. */
static int open_below(int at, const char *name, size_t len)
{
    char one[NAME_MAX + 1];
    struct stat info;
    int fd;

    if (len > NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(one, name, len);
    one[len] = '\0';
    fd = openat(at, one, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOTDIR &&
        fstatat(at, one, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(info.st_mode))
        errno = ELOOP;
    return fd;
}

/* httpd decided about this very path, in which no link was left, when the
 * build was asked for. A link that stands in it by now, and leads elsewhere,
 * is not followed. */
static int open_without_links(const char *path)
{
    int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    while (at >= 0 && *path != '\0') {
        size_t len = strcspn(path, "/");

        if (len > 0) {
            int above = at, why;

            at = open_below(above, path, len);
            why = errno;
            close(above);
            errno = why;
        }
        path += len + (path[len] == '/' ? 1 : 0);
    }
    return at;
}

/* Be where the next step runs (K5). This process stays in the directory of the
 * first one, so that no other one can pass for it. */
static apr_status_t enter_project(kept_t *kept)
{
    int fd = open_without_links(kept->order->project);
    apr_status_t rv = APR_SUCCESS;
    struct stat info;

    if (fd < 0)
        return APR_FROM_OS_ERROR(errno);
    if (fstat(fd, &info) != 0)
        rv = APR_FROM_OS_ERROR(errno);
    else if (kept->is_in_project && (info.st_dev != kept->directory.st_dev ||
                                     info.st_ino != kept->directory.st_ino))
        rv = APR_FROM_OS_ERROR(ESTALE);
    else if (fchdir(fd) != 0)
        rv = APR_FROM_OS_ERROR(errno);
    else {
        kept->is_in_project = 1;
        kept->directory = info;
    }
    close(fd);
    return rv;
}

/* ---- beginning ------------------------------------------------------ */

static void child_failed(apr_pool_t *p, apr_status_t rv, const char *what)
{
    /* In the child, between fork and exec: stderr is the build's by now, or
     * still the server's; either is the right place. */
    char text[256], reason[128];
    int n = apr_snprintf(text, sizeof(text), "%s: %s\n", what,
                         apr_strerror(rv, reason, sizeof(reason)));

    if (write(2, text, (size_t)n) < 0)
        return;
}

static apr_file_t *file_of(int fd, apr_int32_t flags, apr_pool_t *p)
{
    apr_file_t *file = NULL;
    apr_os_file_t os = fd;

    apr_os_file_put(&file, &os, flags, p);
    return file;
}

static void set_limit(apr_procattr_t *attr, apr_int32_t what,
                      const bl_wire_rlimit_t *limit, apr_pool_t *p)
{
    struct rlimit *r;

    if (!limit->set)
        return;
    r = apr_palloc(p, sizeof(*r)); /* attr keeps the pointer */
    r->rlim_cur = limit->soft == APR_UINT64_MAX ? RLIM_INFINITY : limit->soft;
    r->rlim_max = limit->hard == APR_UINT64_MAX ? RLIM_INFINITY : limit->hard;
    apr_procattr_limit_set(attr, what, r);
}

/* ---- groups (G2 in bl_cgroup.h) ------------------------------------- */

/* place: FD_ENTER, FD_LEAVE or FD_KILL; when it is not there nothing happens.
 */
static apr_status_t group_write(const kept_t *kept, int place,
                                const char *text)
{
    if (!kept->has[place] || write(place, text, strlen(text)) >= 0)
        return APR_SUCCESS;
    return APR_FROM_OS_ERROR(errno);
}

/* A process is born where its parent is: the keeper goes into the group for a
 * moment. */
static apr_status_t create_inside(const kept_t *kept, apr_proc_t *proc,
                                  const char *const *argv,
                                  apr_procattr_t *attr)
{
    apr_status_t rv = group_write(kept, FD_ENTER, "0");

    if (rv == APR_SUCCESS)
        rv = apr_proc_create(proc, argv[0], argv, kept->env, attr,
                             kept->scratch);
    group_write(kept, FD_LEAVE, "0");
    return rv;
}

/* ---- steps ---------------------------------------------------------- */

static apr_status_t start_step(kept_t *kept)
{
    const bl_wire_step_t *step = &kept->order->steps[kept->step];
    const char *args[] = {SETSID, "/bin/sh", "-c", step->command, NULL};
    /* Without the program a step is in the keeper's own session. */
    const char *const *argv = access(SETSID, X_OK) == 0 ? args : args + 1;
    apr_pool_t *p = kept->scratch;
    apr_procattr_t *attr;
    apr_proc_t proc;
    apr_status_t rv;

    apr_pool_clear(p);
    rv = apr_procattr_create(&attr, p);
    if (rv == APR_SUCCESS)
        rv = apr_procattr_child_in_set(
            attr, file_of(FD_NULL, APR_FOPEN_READ, p), NULL);
    if (rv == APR_SUCCESS)
        rv = apr_procattr_child_out_set(
            attr, file_of(FD_OUT, APR_FOPEN_WRITE, p), NULL);
    if (rv == APR_SUCCESS)
        rv = apr_procattr_child_err_set(
            attr, file_of(FD_ERR, APR_FOPEN_WRITE, p), NULL);
    if (rv == APR_SUCCESS)
        rv = apr_procattr_cmdtype_set(attr, APR_PROGRAM);
    if (rv == APR_SUCCESS)
        rv = apr_procattr_error_check_set(attr, 1);
    if (rv == APR_SUCCESS)
        rv = apr_procattr_child_errfn_set(attr, child_failed);
    if (rv != APR_SUCCESS)
        return rv;
    set_limit(attr, APR_LIMIT_CPU, &kept->order->rlimits[BL_WIRE_RLIMIT_CPU],
              p);
    set_limit(attr, APR_LIMIT_MEM, &kept->order->rlimits[BL_WIRE_RLIMIT_MEM],
              p);
    set_limit(attr, APR_LIMIT_NPROC,
              &kept->order->rlimits[BL_WIRE_RLIMIT_NPROC], p);
    rv = create_inside(kept, &proc, argv, attr);
    if (rv == APR_SUCCESS)
        kept->step_pid = proc.pid;
    return rv;
}

static void run_step(kept_t *kept, int step)
{
    apr_status_t rv;

    kept->step = step;
    rv = enter_project(kept);
    if (rv == APR_SUCCESS)
        rv = start_step(kept);
    if (rv != APR_SUCCESS)
        tell(kept, BL_KEPT_NOT_STARTED, rv);
}

/* As subreaper the keeper is the parent of everything that was orphaned below
 * it: all are reaped here, in one place, so that no wait steals a status.
 *
 * @return 0: nothing is left below the keeper. wait(2) knows; a look at /proc
 *         may miss one that forks and goes, again and again (K1) */
static int reap(kept_t *kept)
{
    pid_t pid;
    int status;

    do {
        pid = waitpid(-1, &status, WNOHANG);
        if (pid > 0 && pid == kept->step_pid) {
            kept->step_pid = 0;
            tell(kept, BL_KEPT_ENDED, status);
        }
    } while (pid > 0 || (pid < 0 && errno == EINTR));
    return pid == 0;
}

/* ---- the end -------------------------------------------------------- */

static int signal_all(kept_t *kept, int sig)
{
    apr_pool_clear(kept->scratch);
    return bl_tree_signal(getpid(), sig, NULL, NULL, kept->scratch);
}

/* Wait until nothing is left, at most so long. @return 0: nothing is */
static int wait_for_all(kept_t *kept, apr_interval_time_t time)
{
    apr_time_t deadline = bl_tick_now() + time;

    while (reap(kept)) {
        if (bl_tick_now() >= deadline)
            return 1;
        apr_sleep(LOOK_TIME);
    }
    return 0;
}

static void end_all(kept_t *kept)
{
    if (kept->ending == BL_KEPT_END_CLEAN) {
        if (!wait_for_all(kept, LINGER_TIME))
            return;
        tell(kept, BL_KEPT_LEFT_BEHIND, signal_all(kept, 0));
    }
    signal_all(kept, SIGTERM);
    /* A stopped process takes TERM only when it goes on. */
    signal_all(kept, SIGCONT);
    if (!wait_for_all(kept, kept->order->kill_grace))
        return;
    /* Stop all first: what is stopped forks no more while the others are
     * killed. A group goes at once. */
    do {
        group_write(kept, FD_KILL, "1");
        signal_all(kept, SIGSTOP);
        signal_all(kept, SIGKILL);
    } while (wait_for_all(kept, LOOK_TIME));
}

/* ---- the process ---------------------------------------------------- */

static void take_message(kept_t *kept)
{
    bl_kept_message_t message;
    ssize_t n = recv(FD_CONTROL, &message, sizeof(message), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n != (ssize_t)sizeof(message)) {
        kept->ending = BL_KEPT_END_NOW; /* the runner is gone */
        return;
    }
    if (message.what != BL_KEPT_RUN)
        kept->ending = message.what;
    else if (kept->step_pid == 0)
        run_step(kept, message.step);
}

static void keep(kept_t *kept)
{
    struct pollfd control = {FD_CONTROL, POLLIN, 0};
    sigset_t none, child;

    sigemptyset(&none);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    while (kept->ending == 0) {
        /* SIGCHLD may come only inside ppoll, so that none is missed between
         * reaping and sleeping. */
        sigprocmask(SIG_BLOCK, &child, NULL);
        reap(kept);
        if (kept->ending == 0)
            ppoll(&control, 1, NULL, &none);
        sigprocmask(SIG_SETMASK, &none, NULL); /* K3: inherited by steps */
        if (kept->ending == 0 && control.revents != 0)
            take_message(kept);
    }
    end_all(kept);
}

/* Bring the descriptors to their places and close all others (K2).
 *
 * APR closes, in every child that it forks for a program, what all its pools
 * have open, by number. Here these are the runner's files, and their numbers
 * would hit ours. So they are closed the same way first, and are gone from the
 * pools when a step begins.
 *
 * The runner may have all that it may have: until something is closed there is
 * no other room than what the first two are. */
static void settle_descriptors(kept_t *kept, int control, int out, int err,
                               const bl_cgroup_fds_t *group)
{
    int fds[FD_FIRST_UNUSED], place;

    dup2(out, STDIN_FILENO);
    dup2(err, STDOUT_FILENO);
    apr_pool_cleanup_for_exec();
    fds[FD_CONTROL] = control;
    fds[FD_OUT] = STDIN_FILENO;
    fds[FD_ERR] = STDOUT_FILENO;
    fds[FD_NULL] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    fds[FD_ENTER] = group->enter;
    fds[FD_LEAVE] = group->leave;
    fds[FD_KILL] = group->kill;
    if (fds[FD_NULL] < 0)
        _exit(1);
    /* First out of the way of the places, then down to them. */
    for (place = FD_CONTROL; place < FD_FIRST_UNUSED; place++) {
        if (fds[place] < 0)
            continue;
        fds[place] = fcntl(fds[place], F_DUPFD_CLOEXEC, FD_FIRST_UNUSED);
        if (fds[place] < 0)
            _exit(1);
    }
    dup2(fds[FD_NULL], STDIN_FILENO);
    dup2(fds[FD_NULL], STDOUT_FILENO);
    for (place = FD_CONTROL; place < FD_FIRST_UNUSED; place++) {
        kept->has[place] = fds[place] >= 0;
        if (kept->has[place])
            dup3(fds[place], place, O_CLOEXEC);
        else
            close(place); /* the number may become another's */
    }
    close_range(FD_FIRST_UNUSED, ~0U, 0);
}

static void settle_signals(void)
{
    struct sigaction action;
    sigset_t none;
    int sig;

    memset(&action, 0, sizeof(action));
    action.sa_handler = SIG_DFL;
    for (sig = 1; sig < NSIG; sig++)
        sigaction(sig, &action, NULL);
    action.sa_handler = on_signal;
    sigaction(SIGCHLD, &action, NULL);
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void bl_kept_main(const bl_order_t *order, int control, int out, int err,
                  const bl_cgroup_fds_t *group)
{
    kept_t kept;
    int i;

    memset(&kept, 0, sizeof(kept));
    prctl(PR_SET_NAME, "buildlog-keeper");
    settle_signals();
    settle_descriptors(&kept, control, out, err, group);
    setsid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* K4 */
    umask(022);

    kept.order = order;
    /* A pool of its own: those of the runner have cleanups that are not the
     * keeper's to run. */
    apr_pool_create(&kept.pool, NULL);
    apr_pool_create(&kept.scratch, kept.pool);
    kept.env = apr_pcalloc(kept.pool, sizeof(char *) *
                                          ((apr_size_t)order->env_count + 1));
    for (i = 0; i < order->env_count; i++)
        kept.env[i] = order->env[i];
    keep(&kept);
    _exit(0);
}
