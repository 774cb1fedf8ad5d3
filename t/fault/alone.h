/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alone.h - a runner without httpd: this test is its parent, and its clients
 *
 * A directory, a table, a socket, a lifeline: alone_begin() forks a runner,
 * alone_order() and alone_cancel() speak to it as httpd's children do. It ends
 * as with httpd, when the lifeline is closed or by SIGTERM; or is killed.
 */
#ifndef ALONE_H
#define ALONE_H

/* libc */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_shm.h>
#include <apr_strings.h>
/* ours */
#include "bl_build.h"
#include "bl_diag.h"
#include "bl_log.h"
#include "bl_runner.h"
#include "bl_tick.h"

#include "every.h"

#define RUNNER "buildlog-runner"
#define KEEPER "buildlog-keeper"
#define HISTORIAN "buildlog-histor"

/* Whatever is waited for comes sooner. */
#define PATIENCE apr_time_from_sec(30)

typedef struct {
    apr_pool_t *pool; /* of the test's whole life */
    char dir[64];
    const char *logs;
    const char *database; /* NULL: without a history */
    bl_table_t *table;
    bl_wake_t *wake;
    int listen_fd;
    int lifeline[2];
    pid_t runner; /* 0: none */
    int *said;    /* shared: messages by number */
} alone_t;

static alone_t alone;

/* ---- its life ---------------------------------------------------------- */

static void alone_hear(bl_diag_level_e level, apr_status_t rv,
                       const char *message)
{
    int number = atoi(message + 2);

    if (number > 0 && number < 500)
        __atomic_add_fetch(&alone.said[number], 1, __ATOMIC_SEQ_CST);
    if (getenv("TALK") != NULL)
        dprintf(2, "# %s%s%s\n", message, rv != 0 ? ": " : "",
                rv != 0 ? strerror(rv) : "");
}

static int alone_listen(const char *path)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    apr_cpystrn(address.sun_path, path, sizeof(address.sun_path));
    unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, 16) != 0)
        return -1;
    return fd;
}

static const char *alone_path(const char *name)
{
    return apr_pstrcat(alone.pool, alone.dir, "/", name, NULL);
}

static inline void alone_init(const char *name)
{
    apr_shm_t *shm;

    apr_initialize();
    apr_pool_create(&alone.pool, NULL);
    /* In memory, where a sync costs nothing. */
    apr_snprintf(alone.dir, sizeof(alone.dir), "%s/%s-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", name);
    if (mkdtemp(alone.dir) == NULL)
        alone.dir[0] = '\0';
    alone.logs = alone_path("logs");
    mkdir(alone.logs, 0700);
    alone.listen_fd = alone_listen(alone_path("socket"));
    if (alone.listen_fd < 0 || pipe(alone.lifeline) != 0 ||
        bl_table_create(&alone.table, 2, alone.pool) != APR_SUCCESS ||
        bl_wake_create(&alone.wake, 2, alone.pool) != APR_SUCCESS ||
        apr_shm_create(&shm, 500 * sizeof(int), NULL, alone.pool) !=
            APR_SUCCESS) {
        printf("Bail out! a runner cannot be made ready in %s\n", alone.dir);
        exit(1);
    }
    alone.said = apr_shm_baseaddr_get(shm);
    bl_diag_set(alone_hear);
    /* What a runner leaves behind comes to the test. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void alone_new_log(int fd)
{
    close(fd);
}

static inline void alone_main(void)
{
    static const bl_seal_key_t seal; /* all zero: nothing is secret */
    bl_runner_setup_t setup;
    apr_pool_t *p;

    close(alone.lifeline[1]);
    apr_pool_create(&p, NULL);
    bl_wake_keep_writers(alone.wake, apr_array_make(p, 8, sizeof(int)));
    memset(&setup, 0, sizeof(setup));
    setup.home = alone.dir;
    setup.state_dir = alone.dir;
    setup.table = alone.table;
    setup.wake = alone.wake;
    setup.listen_fd = alone.listen_fd;
    setup.lifeline_fd = alone.lifeline[0];
    setup.parent = getppid();
    setup.user = getuid();
    setup.limits.max_builds = 2;
    setup.limits.max_queue = 10;
    setup.limits.line_limit = 16384;
    setup.seal = &seal;
    setup.log_changed = alone_new_log;
    if (alone.database != NULL) {
        setup.db_driver = "sqlite3";
        setup.db_params = alone.database;
    }
    _exit(bl_runner_main(&setup, p));
}

/* Is there still a runner? */
static inline int alone_lives(void)
{
    int status;

    if (alone.runner != 0 &&
        waitpid(alone.runner, &status, WNOHANG) == alone.runner)
        alone.runner = 0;
    return alone.runner != 0;
}

/* @return 0: it ended instead, or never answers */
static inline int alone_begin(void)
{
    apr_time_t deadline = bl_tick_now() + PATIENCE;

    bl_table_set_runner(alone.table, 0);
    fflush(stdout);
    alone.runner = fork();
    if (alone.runner == 0) {
        prctl(PR_SET_NAME, RUNNER);
        alone_main();
    }
    while (bl_table_runner(alone.table) == 0 && alone_lives() &&
           bl_tick_now() < deadline)
        usleep(500);
    return bl_table_runner(alone.table) != 0;
}

/* The children of a process. What is orphaned comes to the next subreaper: so
 * whatever is below a runner, and no keeper has, is one of its children. */
static inline int alone_children(pid_t pid, pid_t *first)
{
    char path[64], text[4096] = "", *at = text;
    FILE *in;
    int n = 0;

    apr_snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid,
                 (int)pid);
    in = fopen(path, "r");
    if (in != NULL && fgets(text, sizeof(text), in) != NULL) {
        *first = (pid_t)strtol(text, NULL, 10);
        while (strtol(at, &at, 10) > 0)
            n++;
    }
    if (in != NULL)
        fclose(in);
    return n;
}

/* What is below the test goes. @return how many processes do not */
static inline int alone_reap(void)
{
    apr_time_t deadline = bl_tick_now() + PATIENCE;
    pid_t pid = 0;
    int left;

    do {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        left = alone_children(getpid(), &pid);
        if (left > 0)
            usleep(1000);
    } while (left > 0 && bl_tick_now() < deadline);
    while (alone_children(getpid(), &pid) > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return left;
}

/* @return how many processes it left; sig is SIGTERM or SIGKILL */
static inline int alone_end(int sig)
{
    if (alone_lives()) {
        kill(alone.runner, sig);
        waitpid(alone.runner, NULL, 0);
    }
    alone.runner = 0;
    return alone_reap();
}

static inline void alone_remove_logs(void)
{
    const char *command =
        apr_pstrcat(alone.pool, "rm -f '", alone.logs, "'/*", NULL);

    if (system(command) != 0)
        printf("# %s: not emptied\n", alone.logs);
}

static inline void alone_remove_all(void)
{
    const char *command =
        apr_pstrcat(alone.pool, "rm -rf '", alone.dir, "'", NULL);

    if (alone.dir[0] == '/' && system(command) != 0)
        printf("# %s: not removed\n", alone.dir);
}

/* ---- speaking to it ---------------------------------------------------- */

static inline int alone_connect(void)
{
    struct timeval time = {5, 0};
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    apr_cpystrn(address.sun_path, alone_path("socket"),
                sizeof(address.sun_path));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* @return number of the build; 0: refused, with why; -1: no answer */
static inline apr_int64_t alone_ask(const char *message, apr_size_t len,
                                    const char **why, apr_pool_t *p)
{
    apr_size_t got = 0, need = 0;
    bl_accepted_t accepted;
    bl_refusal_t refusal;
    bl_wire_frame_t frame;
    char answer[4096];
    int fd = alone_connect();
    ssize_t n = 0;

    *why = "";
    if (fd >= 0 && send(fd, message, len, MSG_NOSIGNAL) == (ssize_t)len) {
        while (got < sizeof(answer) &&
               (n = recv(fd, answer + got, sizeof(answer) - got, 0)) > 0)
            got += (apr_size_t)n;
    }
    close(fd);
    if (bl_wire_frame_read(&frame, &need, answer, got) != APR_SUCCESS)
        return -1;
    if (frame.type == BL_WIRE_ACCEPTED &&
        bl_wire_accepted_read(&accepted, &frame, p) == APR_SUCCESS)
        return (apr_int64_t)accepted.build;
    if (frame.type == BL_WIRE_REFUSED &&
        bl_wire_refused_read(&refusal, &frame, p) == APR_SUCCESS) {
        *why = refusal.text;
        return 0;
    }
    return -1;
}

/* @param commands  of its steps, NULL at the end */
static inline apr_int64_t alone_order(const char *const *commands,
                                      const char **why, apr_pool_t *p)
{
    const char *message;
    bl_order_t order;
    apr_size_t len;
    int n = 0;

    memset(&order, 0, sizeof(order));
    order.project = alone.dir;
    order.title = "alone";
    order.steps = apr_pcalloc(p, 8 * sizeof(bl_wire_step_t));
    for (; commands[n] != NULL; n++) {
        order.steps[n].name = "step";
        order.steps[n].command = commands[n];
    }
    order.step_count = n;
    order.timeout = order.idle_timeout = apr_time_from_sec(60);
    order.kill_grace = apr_time_from_msec(200);
    order.max_log = APR_INT64_C(1) << 20;
    if (bl_wire_order_write(&message, &len, &order, p) != APR_SUCCESS)
        return -1;
    return alone_ask(message, len, why, p);
}

static inline apr_int64_t alone_cancel(apr_uint64_t build, const char **why,
                                       apr_pool_t *p)
{
    bl_cancel_t cancel = {build, "a test"};
    const char *message;
    apr_size_t len;

    if (bl_wire_cancel_write(&message, &len, &cancel, p) != APR_SUCCESS)
        return -1;
    return alone_ask(message, len, why, p);
}

/* ---- what became of a build -------------------------------------------- */

/* What its row says: NULL: there is none. */
static inline bl_build_t *alone_build(apr_uint64_t id, int *final,
                                      apr_pool_t *p)
{
    bl_build_t *build = NULL;
    bl_table_row_t row;
    const char *json;

    *final = 0;
    if (bl_table_find(&row, alone.table, id, -1) != APR_SUCCESS ||
        bl_table_row_text(NULL, &json, alone.table, row.row, id, p) !=
            APR_SUCCESS)
        return NULL;
    *final = row.final;
    bl_build_from_json(&build, json, strlen(json), p);
    return build;
}

/* @return its row when it has ended; NULL: not in time, or the runner died */
static inline bl_build_t *alone_wait(apr_uint64_t id, apr_interval_time_t time,
                                     apr_pool_t *p)
{
    apr_time_t deadline = bl_tick_now() + time;
    bl_build_t *build;
    int final;

    while (alone_lives() && bl_tick_now() < deadline) {
        apr_pool_clear(p);
        build = alone_build(id, &final, p);
        if (build != NULL && final)
            return build;
        usleep(1000);
    }
    return NULL;
}

/* A log as it lies there. */
typedef struct {
    int ends;        /* of these there is one, at the end */
    int behind;      /* bytes that are no record, or records behind the end */
    int order;       /* ids that do not grow */
    char text[4096]; /* its lines, joined by "|" */
    bl_build_state_e state; /* that its end tells */
    bl_stamp_t first, last;
} alone_log_t;

/* @return APR_SUCCESS, an I/O status */
static inline apr_status_t alone_read(alone_log_t *log, apr_uint64_t id,
                                      apr_pool_t *p)
{
    apr_off_t size = 0, read = 0;
    bl_build_t *build = NULL;
    apr_size_t len = 0;
    bl_cursor_t *c;
    bl_record_t rec;
    apr_status_t rv = bl_cursor_open(&c, alone.logs, id, p);

    memset(log, 0, sizeof(*log));
    if (rv != APR_SUCCESS)
        return rv;
    rv = bl_cursor_size(&size, c);
    while (rv == APR_SUCCESS && (rv = bl_cursor_next(&rec, c, size)) == 0) {
        log->behind += log->ends;
        log->order += rec.id <= log->last;
        if (log->first == 0)
            log->first = rec.id;
        log->last = rec.id;
        read +=
            (apr_off_t)bl_record_encode(apr_palloc(p, rec.len + 256), &rec);
        if ((rec.flags & BL_REC_END) != 0) {
            log->ends++;
            if (bl_build_from_json(&build, rec.text, rec.len, p) ==
                APR_SUCCESS)
                log->state = build->state;
        }
        else if (BL_REC_IS_LINE(&rec) &&
                 len + rec.len + 2 < sizeof(log->text)) {
            memcpy(log->text + len, rec.text, rec.len);
            len += rec.len;
            log->text[len++] = '|';
        }
    }
    bl_cursor_close(&c);
    log->behind += read != size;
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

/* Keepers, and what was orphaned below the runner; not the historian. */
static inline int alone_processes(void)
{
    pid_t pid;

    return alone_children(alone.runner, &pid) - (alone.database != NULL);
}

/* How many descriptors the runner has. */
static inline int alone_descriptors(void)
{
    char path[64];
    DIR *dir;
    int n = 0;

    apr_snprintf(path, sizeof(path), "/proc/%d/fd", (int)alone.runner);
    dir = opendir(path);
    while (dir != NULL && readdir(dir) != NULL)
        n++;
    if (dir != NULL)
        closedir(dir);
    return n;
}

#endif /* ALONE_H */
