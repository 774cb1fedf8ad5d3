/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_historian.c - the runner's side of the historian: fork, tell, listen,
 * reap
 *
 * DIAGNOSTICS   BL0253 it died, BL0254 it cannot begin; and what it says
 * itself
 */
#include "bl_historian.h"

/* libc */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
/* APR */
#include <apr_portable.h>
#include <apr_strings.h>
/* layer 0 */
#include "bl_diag.h"
/* layer 1 */
#include "bl_tick.h"
/* this part */
#include "bl_scribe.h"

/* One that lives so long has begun well: the next begins soon. */
#define GOOD_LIFE apr_time_from_sec(10)
#define BACKOFF_LEAST apr_time_from_sec(1)
#define BACKOFF_MOST apr_time_from_sec(60)

/* After this a resync that the socket had no room for is sent again. */
#define RESYNC_TIME apr_time_from_sec(1)

/* Who was killed is gone in a moment, or hangs in the kernel. */
#define KILLED_TIME apr_time_from_sec(1)
#define KILLED_LOOK_TIME apr_time_from_msec(1)

#define NEVER APR_INT64_MAX

struct bl_historian_t {
    bl_host_t *host;
    apr_pool_t *life;   /* cleared for each process */
    const char *driver; /* NULL: no history */
    const char *params;
    pid_t pid; /* 0: none */
    int fd;
    bl_watch_t watch;
    int untold; /* the socket was full: it has to resync */
    int stopping;
    apr_time_t begun;
    apr_interval_time_t backoff; /* before the next one begins */
    apr_time_t again_at;         /* when pid is 0 */
};

/* ---- listening ------------------------------------------------------ */

/* @return 0: that was the end of it */
static int take_words(bl_historian_t *h)
{
    bl_scribe_word_t word;
    ssize_t n;

    for (;;) {
        n = recv(h->fd, &word, sizeof(word), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 1;
        if (n <= (ssize_t)offsetof(bl_scribe_word_t, text))
            return 0;
        word.text[n - (ssize_t)offsetof(bl_scribe_word_t, text) - 1] = '\0';
        bl_diag((bl_diag_level_e)word.level, word.rv, "%s", word.text);
    }
}

static void forget(bl_historian_t *h)
{
    bl_host_forget_keeper(h->host, h->pid);
    bl_watch_set(h->host, &h->watch, 0);
    close(h->fd);
    h->pid = 0;
}

/* It closed its end by exiting: this does not wait. bl_host_end_orphans may
 * have reaped it before, then nothing is known. */
static const char *reap(bl_historian_t *h, apr_pool_t *p)
{
    int status = 0;
    pid_t pid;

    do {
        pid = waitpid(h->pid, &status, 0);
    } while (pid < 0 && errno == EINTR);
    if (pid < 0)
        return "nobody knows of what";
    if (WIFSIGNALED(status))
        return apr_psprintf(p, "signal %d", WTERMSIG(status));
    return apr_psprintf(p, "status %d", WEXITSTATUS(status));
}

static void again_later(bl_historian_t *h)
{
    h->again_at = h->host->tick + h->backoff;
    h->backoff = h->backoff * 2 < BACKOFF_MOST ? h->backoff * 2 : BACKOFF_MOST;
}

static void died(bl_historian_t *h)
{
    const char *of = reap(h, h->life);

    forget(h);
    if (h->stopping)
        return;
    if (h->host->tick - h->begun >= GOOD_LIFE)
        h->backoff = BACKOFF_LEAST;
    bl_diag(BL_DIAG_WARNING, 0,
            "BL0253 the historian died (%s); no build is lost by that, "
            "another one begins in %d s",
            of, (int)apr_time_sec(h->backoff));
    again_later(h);
}

static void ready(void *baton, apr_int16_t events)
{
    bl_historian_t *h = baton;

    if (!take_words(h))
        died(h);
}

/* ---- its process ---------------------------------------------------- */

static void begin(bl_historian_t *h)
{
    int pair[2] = {-1, -1};
    apr_file_t *file = NULL;
    apr_status_t rv;

    h->begun = h->host->tick;
    /* Whole messages in both directions, and EOF when a side dies. */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   pair) == 0)
        h->pid = fork();
    if (pair[0] < 0 || h->pid < 0) {
        rv = APR_FROM_OS_ERROR(errno);
        if (pair[0] >= 0) {
            close(pair[0]);
            close(pair[1]);
        }
        h->pid = 0;
        bl_diag(BL_DIAG_ERROR, rv,
                "BL0254 no process for the history; no build is lost by that, "
                "it is tried again in %d s",
                (int)apr_time_sec(h->backoff));
        again_later(h);
        return;
    }
    if (h->pid == 0)
        bl_scribe_main(h->host->logs_dir, h->driver, h->params, pair[1]);
    close(pair[1]);
    h->fd = pair[0];
    h->untold = 0;
    apr_pool_clear(h->life);
    apr_os_file_put(&file, &h->fd, APR_FOPEN_READ, h->life);
    bl_watch_file(&h->watch, file, ready, h, h->life);
    bl_watch_set(h->host, &h->watch, 1);
    bl_host_add_keeper(h->host, h->pid);
}

void bl_historian_create(bl_historian_t **out, bl_host_t *host,
                         const char *driver, const char *params, apr_pool_t *p)
{
    bl_historian_t *h = apr_pcalloc(p, sizeof(*h));

    h->host = host;
    h->driver = apr_pstrdup(p, driver);
    h->params = apr_pstrdup(p, params);
    h->backoff = BACKOFF_LEAST;
    *out = h;
    if (driver == NULL)
        return;
    apr_pool_create(&h->life, p);
    begin(h);
}

/* ---- telling -------------------------------------------------------- */

/* One that died learns everything when it begins again. */
static void tell(bl_historian_t *h, int what, apr_uint64_t id)
{
    bl_scribe_message_t message;

    if (h->pid == 0)
        return;
    memset(&message, 0, sizeof(message));
    message.what = what;
    message.id = id;
    h->untold = send(h->fd, &message, sizeof(message), MSG_NOSIGNAL) < 0 &&
                errno != EPIPE;
}

void bl_historian_ended(bl_historian_t *h, apr_uint64_t id)
{
    if (!h->untold)
        tell(h, BL_SCRIBE_ENDED, id);
}

void bl_historian_removed(bl_historian_t *h, apr_uint64_t id)
{
    if (!h->untold)
        tell(h, BL_SCRIBE_REMOVED, id);
}

apr_time_t bl_historian_tick(bl_historian_t *h)
{
    if (h->driver == NULL)
        return NEVER;
    if (h->pid == 0 && h->host->tick >= h->again_at)
        begin(h);
    if (h->pid == 0)
        return h->again_at;
    if (h->untold)
        tell(h, BL_SCRIBE_RESYNC, 0);
    return h->untold ? h->host->tick + RESYNC_TIME : NEVER;
}

/* ---- the end -------------------------------------------------------- */

/* @return 0: it has ended by itself */
static int wait_for_end(bl_historian_t *h, apr_time_t deadline)
{
    struct pollfd control = {h->fd, POLLIN, 0};
    apr_time_t left;

    while (take_words(h)) {
        left = deadline - bl_tick_now();
        if (left <= 0)
            return 1;
        poll(&control, 1, (int)apr_time_as_msec(left) + 1);
    }
    return 0;
}

static void kill_it(bl_historian_t *h)
{
    apr_time_t deadline = bl_tick_now() + KILLED_TIME;

    kill(h->pid, SIGKILL);
    while (waitpid(h->pid, NULL, WNOHANG) == 0 && bl_tick_now() < deadline)
        apr_sleep(KILLED_LOOK_TIME);
    forget(h);
}

void bl_historian_stop(bl_historian_t **historian, apr_interval_time_t time)
{
    bl_historian_t *h = *historian;

    *historian = NULL;
    if (h == NULL || h->pid == 0)
        return;
    h->stopping = 1;
    if (h->untold)
        tell(h, BL_SCRIBE_RESYNC, 0);
    shutdown(h->fd, SHUT_WR);
    if (wait_for_end(h, bl_tick_now() + time) == 0)
        died(h);
    else
        kill_it(h);
}
