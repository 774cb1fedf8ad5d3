/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_keeper.c - the runner's side of a keeper: fork, ask, listen, reap
 *
 * The process itself is in bl_kept.c.
 */
#include "bl_keeper.h"

/* libc */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
/* APR */
#include <apr_portable.h>
#include <apr_strings.h>
/* layer 0 */
#include "bl_build.h"
/* this part */
#include "bl_kept.h"

/* More than the default of 64 kB: fewer switches between a loud build and the
 * runner. Only a wish; a user's share of pipe memory may be used up. */
#define PIPE_BYTES (256 * 1024)

struct bl_keeper_t {
    apr_pool_t *pool;
    pid_t pid;
    apr_file_t *control;
    int control_fd;
    apr_file_t *out;
    apr_file_t *err;
    int gone;
};

typedef struct {
    apr_file_t *reader;
    apr_file_t *writer;
} pipe_t;

static apr_status_t make_pipe(pipe_t *pipe, apr_pool_t *p)
{
    apr_os_file_t fd;
    apr_status_t rv;

    rv = apr_file_pipe_create_ex(&pipe->reader, &pipe->writer, APR_WRITE_BLOCK,
                                 p);
    if (rv != APR_SUCCESS)
        return rv;
    apr_os_file_get(&fd, pipe->reader);
    fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
    return APR_SUCCESS;
}

static int fd_of(apr_file_t *file)
{
    apr_os_file_t fd;

    apr_os_file_get(&fd, file);
    return fd;
}

apr_status_t bl_keeper_start(bl_keeper_t **out, const bl_order_t *order,
                             bl_cgroup_fds_t *group, apr_pool_t *p)
{
    bl_keeper_t *k;
    apr_pool_t *pool;
    pipe_t o, e;
    int pair[2] = {-1, -1};
    apr_os_file_t fd;
    apr_status_t rv;

    apr_pool_create(&pool, p);
    k = apr_pcalloc(pool, sizeof(*k));
    k->pool = pool;
    rv = make_pipe(&o, pool);
    if (rv != APR_SUCCESS)
        goto failed;
    rv = make_pipe(&e, pool);
    if (rv != APR_SUCCESS)
        goto failed;
    /* Whole messages in both directions, and EOF when a side dies. */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   pair) != 0) {
        rv = APR_FROM_OS_ERROR(errno);
        goto failed;
    }
    k->pid = fork();
    if (k->pid < 0) {
        rv = APR_FROM_OS_ERROR(errno);
        close(pair[0]);
        close(pair[1]);
        goto failed;
    }
    if (k->pid == 0)
        bl_kept_main(order, pair[1], fd_of(o.writer), fd_of(e.writer), group);

    close(pair[1]);
    bl_cgroup_fds_close(group);
    apr_file_close(o.writer);
    apr_file_close(e.writer);
    k->out = o.reader;
    k->err = e.reader;
    k->control_fd = fd = pair[0];
    apr_os_file_put(&k->control, &fd, APR_FOPEN_READ, pool);
    *out = k;
    return APR_SUCCESS;

failed:
    bl_cgroup_fds_close(group);
    apr_pool_destroy(pool);
    return rv;
}

pid_t bl_keeper_pid(const bl_keeper_t *k)
{
    return k->pid;
}

apr_file_t *bl_keeper_control(const bl_keeper_t *k)
{
    return k->control;
}

apr_file_t *bl_keeper_stdout(const bl_keeper_t *k)
{
    return k->out;
}

apr_file_t *bl_keeper_stderr(const bl_keeper_t *k)
{
    return k->err;
}

/* A keeper that died is told by EOF. One that cannot be asked (the kernel has
 * no memory; a socket with a few messages is never full) would wait for ever:
 * it ends its build instead, as if the runner were gone. */
static void ask(bl_keeper_t *k, int what, int step)
{
    bl_kept_message_t message;
    ssize_t n;

    memset(&message, 0, sizeof(message));
    message.what = what;
    message.step = step;
    do {
        n = send(k->control_fd, &message, sizeof(message), MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        shutdown(k->control_fd, SHUT_RDWR);
}

void bl_keeper_run(bl_keeper_t *k, int step)
{
    ask(k, BL_KEPT_RUN, step);
}

void bl_keeper_end(bl_keeper_t *k, bl_keeper_end_e how)
{
    ask(k, how == BL_KEEPER_END_CLEAN ? BL_KEPT_END_CLEAN : BL_KEPT_END_NOW,
        0);
}

apr_status_t bl_keeper_next(bl_keeper_event_t *event, bl_keeper_t *k)
{
    bl_kept_message_t message;
    ssize_t n;

    if (k->gone)
        return APR_EAGAIN;
    do {
        n = recv(k->control_fd, &message, sizeof(message), 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return APR_EAGAIN;

    memset(event, 0, sizeof(*event));
    event->exit = BL_BUILD_NONE;
    event->signal = BL_BUILD_NONE;
    if (n != (ssize_t)sizeof(message)) {
        k->gone = 1;
        event->what = BL_KEEPER_GONE;
        return APR_SUCCESS;
    }
    event->step = message.step;
    switch (message.what) {
    case BL_KEPT_ENDED:
        event->what = BL_KEEPER_ENDED;
        if (WIFSIGNALED(message.value))
            event->signal = WTERMSIG(message.value);
        else
            event->exit = WEXITSTATUS(message.value);
        break;
    case BL_KEPT_NOT_STARTED:
        event->what = BL_KEEPER_NOT_STARTED;
        event->error = message.value;
        break;
    default:
        event->what = BL_KEEPER_LEFT_BEHIND;
        event->count = message.value;
        break;
    }
    return APR_SUCCESS;
}

int bl_keeper_close(bl_keeper_t **keeper)
{
    bl_keeper_t *k = *keeper;
    int status = 0;
    pid_t pid;

    *keeper = NULL;
    /* It closed its end of the socket by exiting, and this does not wait; or
     * it could not be heard, and ends its build now. */
    close(k->control_fd);
    do {
        pid = waitpid(k->pid, &status, 0);
    } while (pid < 0 && errno == EINTR);
    apr_pool_destroy(k->pool);
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
