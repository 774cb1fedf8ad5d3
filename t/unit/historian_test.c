/* SPDX-License-Identifier: Apache-2.0 */
/*
 * historian_test.c - a row for each log that has its end, and no other,
 * whatever happens to the database, the historian or the runner; and nothing
 * of it holds up the runner (promise 7; N1 and N2 in bl_scribe.c, E1 in
 * bl_helper.c)
 *
 * The test is the runner: it has a pollset and turns its loop. How long a turn
 * takes at most is measured from the first to the last.
 */
#include "bl_historian.h"

/* libc */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* APR */
#include <apr_dbd.h>
#include <apr_general.h>
#include <apr_strings.h>
/* ours */
#include "bl_build.h"
#include "bl_diag.h"
#include "bl_history.h"
#include "bl_log.h"
#include "bl_tick.h"

#include "tap.h"

/* Whatever is waited for comes sooner. */
#define PATIENCE apr_time_from_sec(30)

/* One turn of the loop; slow machines and sanitizers included. Who is waited
 * for would take for ever. */
#define TURN_MAX apr_time_from_sec(5)

static apr_pool_t *pool;
static apr_pool_t *scratch;
static char dir[128];
static const char *logs_dir;
static const char *params;
static bl_host_t host;
static bl_historian_t *historian;
static apr_time_t longest_turn;
static bl_stamp_t stamp = APR_UINT64_C(1795341600000000);

/* ---- what it said --------------------------------------------------- */

static int said[260]; /* by number */

static void hear(bl_diag_level_e level, apr_status_t rv, const char *message)
{
    int number = atoi(message + 2);

    printf("# %s\n", message);
    if (number > 0 && number < 260)
        said[number]++;
}

static void forget_words(void)
{
    memset(said, 0, sizeof(said));
}

/* ---- the logs ------------------------------------------------------- */

static bl_record_t record(const char *text, unsigned flags)
{
    bl_record_t rec;

    memset(&rec, 0, sizeof(rec));
    rec.id = ++stamp;
    rec.flags = flags;
    rec.text = text;
    rec.len = strlen(text);
    return rec;
}

static const char *json_of(apr_uint64_t id, const char *title)
{
    bl_build_t build;

    memset(&build, 0, sizeof(build));
    build.id = id;
    build.project = "/srv/demo";
    build.title = title;
    build.state = BL_BUILD_SUCCEEDED;
    build.step = -1;
    build.created = stamp;
    build.started = stamp + 1;
    build.ended = stamp + 2;
    build.signal = BL_BUILD_NONE;
    return bl_build_to_json(&build, scratch);
}

/* end NULL: it runs. */
static void write_log(apr_uint64_t id, const char *end)
{
    bl_record_t rec;
    bl_log_t *log;

    if (bl_log_create(&log, logs_dir, id, scratch) != APR_SUCCESS) {
        printf("Bail out! no log %d\n", (int)id);
        exit(1);
    }
    rec = record("hello", 0);
    bl_log_add(log, &rec);
    if (end != NULL) {
        rec = record(end, BL_REC_NOTE | BL_REC_END);
        bl_log_add(log, &rec);
    }
    bl_log_commit(log);
    bl_log_close(&log);
}

static void end_build(apr_uint64_t id)
{
    write_log(id, json_of(id, "demo"));
    bl_historian_ended(historian, id);
}

static void remove_log(apr_uint64_t id)
{
    unlink(bl_log_path(logs_dir, id, scratch));
}

/* ---- the runner ----------------------------------------------------- */

static void turn(void)
{
    const apr_pollfd_t *polled;
    apr_int32_t n = 0, i;
    apr_time_t begun;

    apr_pollset_poll(host.pollset, apr_time_from_msec(10), &n, &polled);
    begun = bl_tick_now();
    bl_host_set_now(&host);
    for (i = 0; i < n; i++) {
        bl_watch_t *watch = polled[i].client_data;

        if (watch->added)
            watch->ready(watch->baton, polled[i].rtnevents);
    }
    bl_historian_tick(historian);
    if (bl_tick_now() - begun > longest_turn)
        longest_turn = bl_tick_now() - begun;
}

/* Turn until it holds. */
static int wait_until(int (*holds)(apr_uint64_t n), apr_uint64_t n)
{
    apr_time_t deadline = bl_tick_now() + PATIENCE;

    while (!holds(n)) {
        if (bl_tick_now() > deadline)
            return 0;
        turn();
        apr_pool_clear(scratch);
    }
    return 1;
}

static pid_t historian_pid(void)
{
    return host.keepers->nelts == 1 ? APR_ARRAY_IDX(host.keepers, 0, pid_t)
                                    : 0;
}

/* Never to 0, which would be the test and whoever started it. */
static void send_it(int sig)
{
    pid_t pid = historian_pid();

    if (pid <= 0) {
        printf("Bail out! no historian to be signalled\n");
        exit(1);
    }
    kill(pid, sig);
}

/* -1 is no process to be signalled: it would be all of them. */
static pid_t must_fork(void)
{
    pid_t pid = fork();

    if (pid < 0) {
        printf("Bail out! no process\n");
        exit(1);
    }
    return pid;
}

static int has_said(apr_uint64_t number)
{
    return said[number] > 0;
}

static int is_another(apr_uint64_t pid)
{
    return historian_pid() != 0 && historian_pid() != (pid_t)pid;
}

/* -1: cannot be asked now. */
static int ask_row(apr_uint64_t id)
{
    bl_history_t *h = NULL;
    const char *why, *json;
    apr_status_t rv;

    rv =
        bl_history_open(&h, &why, "sqlite3", params, BL_HISTORY_READ, scratch);
    if (rv == APR_SUCCESS)
        rv = bl_history_find(&json, h, id, scratch);
    bl_history_close(&h);
    return rv == APR_SUCCESS ? 1 : rv == APR_NOTFOUND ? 0 : -1;
}

static int has_row(apr_uint64_t id)
{
    return ask_row(id) == 1;
}

static int has_no_row(apr_uint64_t id)
{
    return ask_row(id) == 0;
}

static int has_rows(apr_uint64_t count)
{
    bl_history_t *h = NULL;
    apr_array_header_t *keys = NULL;
    const char *why;
    apr_status_t rv;

    rv =
        bl_history_open(&h, &why, "sqlite3", params, BL_HISTORY_READ, scratch);
    if (rv == APR_SUCCESS)
        rv = bl_history_keys(&keys, h, scratch);
    bl_history_close(&h);
    return rv == APR_SUCCESS && keys->nelts == (int)count;
}

static void begin(void)
{
    bl_host_set_now(&host);
    bl_historian_create(&historian, &host, "sqlite3", params, pool);
}

/* All logs and rows go. */
static void clear(void)
{
    apr_array_header_t *list;
    int i;

    bl_log_list(&list, logs_dir, scratch);
    for (i = 0; i < list->nelts; i++)
        remove_log(APR_ARRAY_IDX(list, i, apr_uint64_t));
    unlink(params);
    forget_words();
}

static void stop(void)
{
    bl_historian_stop(&historian, PATIENCE);
    clear();
}

/* Its child is a process and no zombie, or there is none. */
static int no_zombie(void)
{
    return waitpid(-1, NULL, WNOHANG) <= 0;
}

static void *lock(void)
{
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
    int rows;

    apr_dbd_init(pool);
    apr_dbd_get_driver(pool, "sqlite3", &driver);
    apr_dbd_open(driver, pool, params, &handle);
    ok(apr_dbd_query(driver, handle, &rows, "BEGIN EXCLUSIVE") == 0,
       "  somebody locks the database");
    return handle;
}

static void unlock(void *handle)
{
    const apr_dbd_driver_t *driver;

    apr_dbd_get_driver(pool, "sqlite3", &driver);
    apr_dbd_close(driver, handle);
}

/* ---- tests ---------------------------------------------------------- */

static void test_off(void)
{
    bl_historian_create(&historian, &host, NULL, NULL, pool);
    end_build(1);
    bl_historian_removed(historian, 1);
    ok(bl_historian_tick(historian) > bl_tick_now() + apr_time_from_sec(3600),
       "off: nothing is ever due");
    ok(waitpid(-1, NULL, WNOHANG) < 0, "off: no process");
    bl_historian_stop(&historian, PATIENCE);
    ok(historian == NULL, "off: stopped");
    bl_historian_stop(&historian, PATIENCE);
    clear();
}

static void test_begin(void)
{
    write_log(1, json_of(1, "demo"));
    write_log(2, json_of(2, "demo"));
    write_log(3, NULL);
    write_log(4, "{\"id\":4}");
    write_log(5, json_of(5, "demo"));
    begin();
    ok(wait_until(has_rows, 3) && has_row(1) && has_row(2) && has_row(5),
       "it begins with the logs that are there and have an end");
    ok(wait_until(has_said, 252), "and says so");
    end_build(6);
    ok(wait_until(has_row, 6), "a build ended: its row");
    remove_log(1);
    bl_historian_removed(historian, 1);
    ok(wait_until(has_no_row, 1), "a log was removed: no row");
    /* Told, but gone in between. */
    write_log(7, json_of(7, "demo"));
    remove_log(7);
    bl_historian_ended(historian, 7);
    bl_historian_ended(historian, 3);
    bl_historian_ended(historian, 4);
    end_build(8);
    ok(wait_until(has_row, 8) && has_no_row(7) && has_no_row(3) &&
           has_no_row(4),
       "what is gone, or has no end, has no row");
    ok(said[250] == 0, "none of that is a failure");
}

static void test_process(void)
{
    pid_t pid = historian_pid();
    char text[300] = "", target[300];
    int strange = 0, fd;
    struct dirent *entry;
    struct stat info;
    DIR *fds;

    fd = open(apr_psprintf(scratch, "/proc/%d/comm", (int)pid), O_RDONLY);
    ok(read(fd, text, sizeof(text)) > 0 &&
           strcmp(text, "buildlog-histor\n") == 0,
       "its name, as much as Linux keeps");
    close(fd);
    fds = opendir(apr_psprintf(scratch, "/proc/%d/fd", (int)pid));
    for (entry = readdir(fds); entry != NULL; entry = readdir(fds)) {
        ssize_t n;

        if (entry->d_name[0] == '.')
            continue;
        n = readlinkat(dirfd(fds), entry->d_name, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        if (strcmp(target, "/dev/null") != 0 && strcmp(target, params) != 0 &&
            !(atoi(entry->d_name) == 3 && strncmp(target, "socket:", 7) == 0))
            strange += printf("# %s is %s\n", entry->d_name, target) > 0;
    }
    closedir(fds);
    is_u64((uint64_t)strange, 0, "E1: it has no descriptor but its own");
    ok(stat(params, &info) == 0 && (info.st_mode & 0777) == 0640,
       "the file has the mode that the umask leaves");
    send_it(SIGTERM);
    send_it(SIGINT);
    send_it(SIGHUP);
    send_it(SIGPIPE);
    end_build(10);
    ok(wait_until(has_row, 10) && historian_pid() == pid,
       "signals of others do not end it");
}

static void sleep_well(void)
{
    for (;;)
        pause();
}

static void test_orphans(void)
{
    pid_t pid = historian_pid(), orphan = must_fork();

    if (orphan == 0)
        sleep_well();
    bl_host_end_orphans(&host);
    ok(kill(orphan, 0) != 0, "orphans are ended");
    end_build(11);
    ok(wait_until(has_row, 11) && historian_pid() == pid,
       "and the historian is not");
}

static void test_many(void)
{
    apr_time_t begun;
    apr_uint64_t id;

    for (id = 1000; id < 3000; id++)
        write_log(id, json_of(id, "demo"));
    send_it(SIGSTOP);
    begun = bl_tick_now();
    for (id = 1000; id < 3000; id++)
        bl_historian_ended(historian, id);
    ok(bl_tick_now() - begun < TURN_MAX, "telling does not block");
    turn();
    send_it(SIGCONT);
    ok(wait_until(has_row, 2999) && wait_until(has_rows, 2000 + 6),
       "what there was no room to tell is there, too");
    for (id = 1000; id < 3000; id++) {
        remove_log(id);
        bl_historian_removed(historian, id);
    }
    ok(wait_until(has_rows, 6), "the same with those that go");
    is_u64((uint64_t)said[250], 0, "none of that is a failure");
}

static void test_killed(void)
{
    pid_t pid = historian_pid();
    apr_time_t begun = bl_tick_now();

    forget_words();
    end_build(20);
    send_it(SIGKILL);
    end_build(21);
    ok(wait_until(has_said, 253), "killed: it is noticed");
    ok(no_zombie(), "and it is reaped");
    end_build(22);
    remove_log(6);
    bl_historian_removed(historian, 6);
    ok(wait_until(is_another, (apr_uint64_t)pid) &&
           bl_tick_now() - begun >= apr_time_from_msec(900),
       "after a second there is another");
    ok(wait_until(has_row, 20) && wait_until(has_row, 21) &&
           wait_until(has_row, 22) && wait_until(has_no_row, 6),
       "nothing is lost");
    begun = bl_tick_now();
    send_it(SIGKILL);
    ok(wait_until(is_another, (apr_uint64_t)historian_pid()) &&
           bl_tick_now() - begun >= apr_time_from_msec(1900),
       "killed again: after two");
    /* Reaped by somebody else. */
    pid = historian_pid();
    send_it(SIGKILL);
    waitpid(pid, NULL, 0);
    ok(wait_until(is_another, (apr_uint64_t)pid),
       "killed, its status lost: there is another");
    end_build(23);
    ok(wait_until(has_row, 23), "which works");
}

static void test_locked(void)
{
    void *other = lock();
    apr_time_t begun = bl_tick_now();

    forget_words();
    end_build(30);
    end_build(31);
    remove_log(20);
    bl_historian_removed(historian, 20);
    ok(wait_until(has_said, 250), "locked: it says so");
    end_build(32);
    while (bl_tick_now() - begun < apr_time_from_sec(5))
        turn();
    ok(said[250] == 1 && said[251] == 0, "once, however often it tries");
    unlock(other);
    ok(wait_until(has_said, 251), "unlocked: it says so");
    ok(has_row(30) && has_row(31) && has_row(32) && has_no_row(20),
       "and all is there");
    is_u64((uint64_t)said[250], 1, "with one message");
}

static void test_file(void)
{
    int fd;

    forget_words();
    unlink(params);
    end_build(40);
    ok(wait_until(has_row, 40) && has_row(30),
       "the file was removed: it is made anew, with all rows");
    ok(said[250] == 0 && said[251] == 0, "nothing to complain of");
    unlink(params);
    fd = open(params, O_WRONLY | O_CREAT, 0600);
    ok(write(fd, "this is no database, but long enough to be read as one",
             54) == 54,
       "  somebody writes another file there");
    close(fd);
    end_build(41);
    ok(wait_until(has_said, 250), "it says so");
    unlink(params);
    ok(wait_until(has_said, 251) && has_row(41) && has_row(30),
       "removed: all rows are there without a word to it");
}

/* A row stands for an end, not for a number. */
static void test_other(void)
{
    bl_history_t *h = NULL;
    const char *why, *json = "";

    forget_words();
    write_log(45, json_of(45, "of another server"));
    bl_historian_ended(historian, 45);
    end_build(46);
    ok(wait_until(has_row, 45) && wait_until(has_row, 46), "two rows");
    bl_historian_stop(&historian, PATIENCE);
    remove_log(45);
    write_log(45, json_of(45, "of this one"));
    remove_log(46);
    write_log(46, NULL);
    begin();
    ok(wait_until(has_said, 252) && has_no_row(46),
       "a row whose log has no end goes");
    bl_history_open(&h, &why, "sqlite3", params, BL_HISTORY_READ, scratch);
    ok(bl_history_find(&json, h, 45, scratch) == APR_SUCCESS &&
           strstr(json, "of this one") != NULL,
       "and one of another build becomes that of the log");
    bl_history_close(&h);
    is_u64((uint64_t)said[250], 0, "none of that is a failure");
}

static void test_logs(void)
{
    const char *away = apr_pstrcat(pool, dir, "/away", NULL);

    forget_words();
    rename(logs_dir, away);
    send_it(SIGKILL);
    ok(wait_until(has_said, 250), "no directory of logs: it says so");
    ok(has_row(40) && has_row(41), "and no row is removed");
    rename(away, logs_dir);
    ok(wait_until(has_said, 251), "it is back: it says so");
}

static void test_stop(void)
{
    apr_time_t begun;
    void *other;
    pid_t pid;

    end_build(50);
    bl_historian_stop(&historian, PATIENCE);
    ok(historian == NULL && has_row(50), "stopped: the last row is written");
    ok(waitpid(-1, NULL, WNOHANG) < 0 && host.keepers->nelts == 0,
       "and nothing is left");
    begin();
    end_build(51);
    wait_until(has_row, 51);
    pid = historian_pid();
    other = lock();
    end_build(52);
    begun = bl_tick_now();
    bl_historian_stop(&historian, apr_time_from_sec(1));
    ok(bl_tick_now() - begun < apr_time_from_sec(2),
       "stopped while it is locked: after a bounded time");
    ok(kill(pid, 0) != 0 && waitpid(-1, NULL, WNOHANG) < 0, "nothing is left");
    unlock(other);
    begin();
    ok(wait_until(has_row, 52), "the next one writes the row");
    stop();
}

/* A row that the database will not take, among others. */
static void test_refused(void)
{
    static const char *const picky_step[] = {
        "CREATE TABLE buildlog_schema (version INTEGER NOT NULL)",
        "INSERT INTO buildlog_schema (version) VALUES (1)",
        "CREATE TABLE buildlog_builds ("
        "id BIGINT NOT NULL PRIMARY KEY, project TEXT NOT NULL, "
        "title TEXT NOT NULL CHECK (title <> 'refused'), "
        "state TEXT NOT NULL, username TEXT, created BIGINT NOT NULL, "
        "started BIGINT, ended BIGINT NOT NULL, lines BIGINT NOT NULL, "
        "bytes BIGINT NOT NULL, record TEXT NOT NULL)",
        NULL,
    };
    static const bl_history_step_t picky[] = {picky_step};

    bl_history_set_steps(picky, 1);
    write_log(1, json_of(1, "demo"));
    write_log(2, json_of(2, "refused"));
    write_log(3, json_of(3, "demo"));
    begin();
    bl_history_set_steps(NULL, 0);
    ok(wait_until(has_row, 1) && wait_until(has_row, 3) && has_no_row(2),
       "a row is refused: the others are written");
    ok(wait_until(has_said, 250), "it says so");
    end_build(4);
    ok(wait_until(has_row, 4), "later ones are written, too");
    remove_log(2);
    bl_historian_removed(historian, 2);
    ok(wait_until(has_said, 251) && said[250] == 1,
       "its log is removed: all is well");
    stop();
}

static void test_no_driver(void)
{
    bl_historian_create(&historian, &host, "oracle", "x", pool);
    ok(wait_until(has_said, 250), "no such driver: it says so");
    end_build(1);
    ok(no_zombie() && historian_pid() != 0, "and nothing else happens");
    stop();
}

/* A runner of its own, which is killed. */
static void test_runner_killed(void)
{
    pid_t pid = -1, runner, reaped = 0;
    apr_time_t deadline;
    int ends[2];

    if (pipe(ends) != 0)
        return;
    runner = must_fork();
    if (runner == 0) {
        apr_pollset_create(&host.pollset, 16, pool, APR_POLLSET_NOCOPY);
        begin();
        wait_until(has_said, 252);
        pid = historian_pid();
        if (write(ends[1], &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
            _exit(1);
        sleep_well();
    }
    alarm(120);
    ok(read(ends[0], &pid, sizeof(pid)) == (ssize_t)sizeof(pid) && pid > 0 &&
           kill(pid, 0) == 0,
       "a runner has a historian");
    alarm(0);
    kill(runner, SIGKILL);
    waitpid(runner, NULL, 0);
    deadline = bl_tick_now() + PATIENCE;
    /* The test is a subreaper: it inherits it. */
    while (reaped != pid && bl_tick_now() < deadline) {
        reaped = waitpid(pid, NULL, WNOHANG);
        usleep(1000);
    }
    ok(reaped == pid, "the runner is killed: the historian goes");
    close(ends[0]);
    close(ends[1]);
    clear();
}

static void set_up_host(void)
{
    bl_host_set_now(&host);
    host.logs_dir = logs_dir;
    host.keepers = apr_array_make(pool, 4, sizeof(pid_t));
    apr_pollset_create(&host.pollset, 16, pool, APR_POLLSET_NOCOPY);
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");

    apr_initialize();
    apr_pool_create(&pool, NULL);
    apr_pool_create(&scratch, pool);
    if (tmp == NULL || strlen(tmp) > 60)
        tmp = "/tmp";
    apr_snprintf(dir, sizeof(dir), "%s/historian_test-XXXXXX", tmp);
    if (mkdtemp(dir) == NULL || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
        printf("Bail out! no directory below %s, or no subreaper\n", tmp);
        return 1;
    }
    umask(027);
    logs_dir = apr_pstrcat(pool, dir, "/logs", NULL);
    params = apr_pstrcat(pool, dir, "/history.db", NULL);
    mkdir(logs_dir, 0750);
    set_up_host();
    bl_diag_set(hear);
    /* What a runner has open: not to be found in the historian. */
    if (open("/dev/zero", O_RDONLY) < 0 || dup(2) < 0)
        return 1;

    test_off();
    test_begin();
    test_process();
    test_orphans();
    test_many();
    test_killed();
    test_locked();
    test_file();
    test_other();
    test_logs();
    test_stop();
    test_refused();
    test_no_driver();
    test_runner_killed();
    printf("# longest turn: %d us\n", (int)longest_turn);
    ok(longest_turn < TURN_MAX, "no turn of the runner was held up");
    rmdir(logs_dir);
    rmdir(dir);
    apr_terminate();
    return done_testing();
}
