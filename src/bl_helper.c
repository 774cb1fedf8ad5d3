/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_helper.c - a process beside the runner, for what may block
 *
 * INVARIANTS    E1 of the runner's descriptors none is open in a helper: no
 *                  pipe of a keeper, no socket, no error log
 * DIAGNOSTICS   as bl_helper_kind_t says
 */
#include "bl_helper.h"

/* libc */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
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

/* One that lives so long has begun well: the next begins soon. */
#define GOOD_LIFE apr_time_from_sec(10)
#define BACKOFF_LEAST apr_time_from_sec(1)
#define BACKOFF_MOST apr_time_from_sec(60)

/* Who was killed is gone in a moment, or hangs in the kernel. */
#define KILLED_TIME apr_time_from_sec(1)
#define KILLED_LOOK_TIME apr_time_from_msec(1)

/* After this what the socket had no room for is told again. */
#define UNTOLD_TIME apr_time_from_sec(1)

#define NEVER APR_INT64_MAX

/* What bl_diag takes at most, with its end. */
#define WORD_BYTES 1025

/* From the helper: for the runner's bl_diag; cut off behind the text's end.
 * Both ends are the same program: a struct is message enough. */
typedef struct {
    int level; /* bl_diag_level_e */
    apr_status_t rv;
    char text[WORD_BYTES];
} word_t;

struct bl_helper_t {
    bl_host_t *host;
    bl_helper_kind_t kind;
    apr_pool_t *life; /* cleared for each process */
    pid_t pid;        /* 0: none */
    int fd;
    bl_watch_t watch;
    int stopping;
    int untold; /* the socket was full: it has to look at all (E2) */
    apr_time_t began;
    apr_interval_time_t backoff; /* before the next one begins */
    apr_time_t again_at;         /* when pid is 0 */
};

/* ---- inside --------------------------------------------------------- */

static void say(bl_diag_level_e level, apr_status_t rv, const char *message)
{
    word_t word;

    memset(&word, 0, sizeof(word));
    word.level = level;
    word.rv = rv;
    apr_cpystrn(word.text, message, sizeof(word.text));
    send(BL_HELPER_CONTROL, &word,
         offsetof(word_t, text) + strlen(word.text) + 1,
         MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* E1. The error log may be a pipe whose reader waits for its end. */
static void settle_descriptors(int control)
{
    int null;

    /* The runner may have all that it may have: there is room only now. */
    dup3(control, BL_HELPER_CONTROL, O_CLOEXEC);
    close_range(BL_HELPER_CONTROL + 1, ~0U, 0);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        _exit(1);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    close(null);
}

static void settle_signals(void)
{
    /* It ends when the runner says so, which goes by EOF, and then what it has
     * begun is finished. XFSZ: a limit of files is a file that cannot be
     * written. */
    static const int ignored[] = {SIGHUP,  SIGINT,  SIGTERM,  SIGPIPE,
                                  SIGUSR1, SIGUSR2, SIGWINCH, SIGXFSZ};
    struct sigaction action;
    sigset_t none;
    apr_size_t i;
    int sig;

    memset(&action, 0, sizeof(action));
    action.sa_handler = SIG_DFL;
    for (sig = 1; sig < NSIG; sig++)
        sigaction(sig, &action, NULL);
    action.sa_handler = SIG_IGN;
    for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        sigaction(ignored[i], &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void be_helper(const bl_helper_t *h, int control)
    __attribute__((noreturn));
static void be_helper(const bl_helper_t *h, int control)
{
    settle_signals();
    settle_descriptors(control);
    /* In addition to EOF: no matter what it is just waiting for. Its runner is
     * gone already? Then EOF is there. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, h->kind.process);
    bl_diag_set(say);
    h->kind.run(h->kind.baton);
    _exit(1); /* it does not come to this */
}

apr_status_t bl_helper_hear(bl_helper_message_t *message)
{
    ssize_t n =
        recv(BL_HELPER_CONTROL, message, sizeof(*message), MSG_DONTWAIT);

    if (n == (ssize_t)sizeof(*message))
        return APR_SUCCESS;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? APR_EAGAIN : APR_EOF;
}

/* ---- listening ------------------------------------------------------ */

/* @return 0: that was the end of it */
static int take_words(bl_helper_t *h)
{
    word_t word;
    ssize_t n;

    for (;;) {
        n = recv(h->fd, &word, sizeof(word), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 1;
        if (n <= (ssize_t)offsetof(word_t, text))
            return 0;
        word.text[n - (ssize_t)offsetof(word_t, text) - 1] = '\0';
        bl_diag((bl_diag_level_e)word.level, word.rv, "%s", word.text);
    }
}

static void forget(bl_helper_t *h)
{
    bl_host_forget_keeper(h->host, h->pid);
    bl_watch_set(h->host, &h->watch, 0);
    close(h->fd);
    h->pid = 0;
}

/* It closed its end by exiting: this does not wait. bl_host_end_orphans may
 * have reaped it before, then nothing is known. */
static const char *reap(bl_helper_t *h, apr_pool_t *p)
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

static void again_later(bl_helper_t *h)
{
    h->again_at = h->host->tick + h->backoff;
    h->backoff = h->backoff * 2 < BACKOFF_MOST ? h->backoff * 2 : BACKOFF_MOST;
}

static void died(bl_helper_t *h)
{
    const char *of = reap(h, h->life);

    forget(h);
    if (h->stopping)
        return;
    if (h->host->tick - h->began >= GOOD_LIFE)
        h->backoff = BACKOFF_LEAST;
    bl_diag(BL_DIAG_WARNING, 0, "%s (%s); %s, another one begins in %d s",
            h->kind.died, of, h->kind.harm, (int)apr_time_sec(h->backoff));
    again_later(h);
}

static void ready(void *baton, apr_int16_t events)
{
    bl_helper_t *h = baton;

    if (!take_words(h))
        died(h);
}

/* ---- its process ---------------------------------------------------- */

static void begin(bl_helper_t *h)
{
    int pair[2] = {-1, -1};
    apr_file_t *file = NULL;
    apr_status_t rv;

    h->began = h->host->tick;
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
        bl_diag(BL_DIAG_ERROR, rv, "%s; %s, it is tried again in %d s",
                h->kind.none, h->kind.harm, (int)apr_time_sec(h->backoff));
        again_later(h);
        return;
    }
    if (h->pid == 0)
        be_helper(h, pair[1]);
    close(pair[1]);
    h->fd = pair[0];
    apr_pool_clear(h->life);
    apr_os_file_put(&file, &h->fd, APR_FOPEN_READ, h->life);
    bl_watch_file(&h->watch, file, ready, h, h->life);
    bl_watch_set(h->host, &h->watch, 1);
    bl_host_add_keeper(h->host, h->pid);
    h->untold = 0;
}

bl_helper_t *bl_helper_create(bl_host_t *host, const bl_helper_kind_t *kind,
                              apr_pool_t *p)
{
    bl_helper_t *h = apr_pcalloc(p, sizeof(*h));

    h->host = host;
    h->kind = *kind;
    h->backoff = BACKOFF_LEAST;
    apr_pool_create(&h->life, p);
    begin(h);
    return h;
}

/* ---- telling -------------------------------------------------------- */

/* One that is just dying was told: the next one looks at all. */
static void send_message(bl_helper_t *h, bl_helper_what_e what,
                         apr_uint64_t build)
{
    bl_helper_message_t message;

    memset(&message, 0, sizeof(message));
    message.what = what;
    message.build = build;
    h->untold = h->pid != 0 &&
                send(h->fd, &message, sizeof(message), MSG_NOSIGNAL) < 0 &&
                errno != EPIPE;
}

void bl_helper_tell(bl_helper_t *h, bl_helper_what_e what, apr_uint64_t build)
{
    if (h != NULL && !h->untold)
        send_message(h, what, build);
}

void bl_helper_remind(bl_helper_t *h)
{
    if (h != NULL && h->untold)
        send_message(h, BL_HELPER_LOOK, 0);
}

apr_time_t bl_helper_tick(bl_helper_t *h)
{
    if (h == NULL)
        return NEVER;
    if (h->pid == 0 && h->host->tick >= h->again_at)
        begin(h);
    bl_helper_remind(h);
    if (h->untold)
        return h->host->tick + UNTOLD_TIME;
    return h->pid == 0 ? h->again_at : NEVER;
}

/* ---- the end -------------------------------------------------------- */

/* @return 0: it has ended by itself */
static int wait_for_end(bl_helper_t *h, apr_time_t deadline)
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

static void kill_it(bl_helper_t *h)
{
    apr_time_t deadline = bl_tick_now() + KILLED_TIME;

    kill(h->pid, SIGKILL);
    while (waitpid(h->pid, NULL, WNOHANG) == 0 && bl_tick_now() < deadline)
        apr_sleep(KILLED_LOOK_TIME);
    forget(h);
}

void bl_helper_renew(bl_helper_t *h)
{
    if (h->pid != 0)
        kill_it(h);
    begin(h);
}

void bl_helper_stop(bl_helper_t **helper, apr_interval_time_t time)
{
    bl_helper_t *h = *helper;

    *helper = NULL;
    if (h == NULL || h->pid == 0)
        return;
    h->stopping = 1;
    shutdown(h->fd, SHUT_WR);
    if (wait_for_end(h, bl_tick_now() + time) == 0)
        died(h);
    else
        kill_it(h);
}
