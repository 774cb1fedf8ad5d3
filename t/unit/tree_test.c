/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_test.c - every process below a process is found, however it tried to
 * get away, and no other (promise 5); and by its environment that of a lost
 * build, and no stranger (R1 of bl_orphans.h)
 *
 * The test is a subreaper, as the keeper is. Nothing is signalled before the
 * count of what would be was found right.
 */
#include "bl_tree.h"

/* libc */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>
#include <apr_time.h>

#include "tap.h"

/* What runs away does so for longer than a busy machine needs to end it. */
#define RUN_AWAY_SECONDS 120

static apr_pool_t *pool;
static pid_t test_pid;
static int ready[2]; /* each process says here that it is there */

static int signal_below(pid_t root, int sig)
{
    apr_pool_clear(pool);
    return bl_tree_signal(root, sig, NULL, NULL, pool);
}

static int below_me(void)
{
    return signal_below(getpid(), 0);
}

static void tell(pid_t pid)
{
    alarm(15); /* whatever becomes of the test, nothing stays */
    if (write(ready[1], &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
        _exit(9);
}

static pid_t hear(void)
{
    pid_t pid = -1;

    alarm(10);
    if (read(ready[0], &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
        pid = -1;
    alarm(0);
    return pid;
}

static void stay(void)
{
    tell(getpid());
    for (;;)
        pause();
}

/* Be a process that does something, then stays. */
static pid_t child(void (*before)(void))
{
    pid_t pid = fork();

    if (pid == 0) {
        if (before != NULL)
            before();
        stay();
    }
    return pid;
}

/* Kill what stands below the test, if it is as much as it should be. */
static void end_all(int count)
{
    apr_time_t deadline = apr_time_now() + apr_time_from_sec(60);

    if (!is_u64((uint64_t)below_me(), (uint64_t)count, "  all of them")) {
        printf("Bail out! these may be somebody's processes\n");
        exit(1);
    }
    is_u64((uint64_t)signal_below(getpid(), SIGKILL), (uint64_t)count,
           "  all are signalled");
    while (below_me() > 0 && apr_time_now() < deadline)
        usleep(1000);
    is_u64((uint64_t)below_me(), 0, "  all are gone");
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

static void test_some(void)
{
    pid_t pid;

    is_u64((uint64_t)below_me(), 0, "nothing is below a new process");
    pid = child(NULL);
    hear();
    is_u64((uint64_t)below_me(), 1, "a child; the process itself not");
    is_u64((uint64_t)signal_below(pid, 0), 0, "nothing is below the child");
    is_u64((uint64_t)signal_below(0x7ffffff0, 0), 0, "nor below nobody");
    end_all(1);
}

static void test_zombie(void)
{
    siginfo_t info;
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    is_u64((uint64_t)below_me(), 0, "a zombie does not count");
    waitpid(pid, NULL, 0);
}

static void *stay_in_thread(void *baton)
{
    /* When the first thread has gone the process looks like a zombie. */
    apr_sleep(apr_time_from_msec(20));
    stay();
    return baton;
}

static void test_first_thread_gone(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        pthread_t thread;

        pthread_create(&thread, NULL, stay_in_thread, NULL);
        pthread_exit(NULL);
    }
    is_u64((uint64_t)hear(), (uint64_t)pid, "a process without first thread");
    signal_below(getpid(), SIGKILL);
    alarm(10); /* it would stay for longer */
    ok(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGKILL,
       "is ended like any other");
    alarm(0);
}

static void test_stopped(void)
{
    pid_t pid = child(NULL);
    int status;

    hear();
    kill(pid, SIGSTOP);
    waitpid(pid, &status, WUNTRACED);
    is_u64((uint64_t)below_me(), 1, "a stopped process does");
    end_all(1);
}

/* ---- ways to get away ----------------------------------------------- */

static void fork_chain(void)
{
    int depth;

    for (depth = 0; depth < 5; depth++) {
        tell(getpid());
        if (fork() != 0) {
            for (;;)
                pause();
        }
    }
}

static void new_session(void)
{
    setsid();
}

static void fork_twice(void)
{
    if (fork() != 0)
        _exit(0);
    setsid();
    if (fork() != 0)
        _exit(0);
}

static void odd_name(void)
{
    prctl(PR_SET_NAME, ") S 1 (a\n) R");
}

static void *thread_main(void *dummy)
{
    for (;;)
        pause();
    return dummy;
}

static void some_threads(void)
{
    pthread_t id;
    int i;

    for (i = 0; i < 4; i++)
        pthread_create(&id, NULL, thread_main, NULL);
}

static void ignore_term(void)
{
    signal(SIGTERM, SIG_IGN);
}

static void test_away(void)
{
    static const struct {
        const char *name;
        void (*before)(void);
        int count;
    } ways[] = {
        {"a chain of six", fork_chain, 6},
        {"a session of its own", new_session, 1},
        {"forked twice, its parents gone", fork_twice, 1},
        {"a name that looks like the rest of the line", odd_name, 1},
        {"with threads", some_threads, 1},
    };
    size_t i;
    int n;

    for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        pid_t pid = child(ways[i].before);

        for (n = 0; n < ways[i].count; n++)
            hear();
        if (ways[i].before == fork_twice)
            while (waitpid(pid, NULL, 0) < 0)
                ;
        is_u64((uint64_t)below_me(), (uint64_t)ways[i].count, "%s",
               ways[i].name);
        end_all(ways[i].count);
    }
}

static void test_below_child(void)
{
    pid_t first = child(fork_chain), second;
    int n;

    for (n = 0; n < 6; n++)
        hear();
    second = child(new_session);
    hear();
    is_u64((uint64_t)signal_below(first, 0), 5, "below one of two children");
    is_u64((uint64_t)signal_below(second, 0), 0, "below the other");
    end_all(7);
}

static void test_many(void)
{
    int i;

    for (i = 0; i < 200; i++)
        child(i % 2 == 0 ? new_session : NULL);
    for (i = 0; i < 200; i++)
        hear();
    is_u64((uint64_t)below_me(), 200, "many");
    end_all(200);
}

/* ---- signals -------------------------------------------------------- */

static void test_signal(void)
{
    pid_t stubborn = child(ignore_term);
    apr_time_t deadline = apr_time_now() + apr_time_from_sec(60);

    hear();
    child(fork_chain);
    while (below_me() < 7 && apr_time_now() < deadline)
        usleep(1000);
    if (!is_u64((uint64_t)below_me(), 7, "seven, one of which is stubborn"))
        exit(1);
    signal_below(getpid(), SIGTERM);
    while (below_me() > 1 && apr_time_now() < deadline)
        usleep(1000);
    is_u64((uint64_t)below_me(), 1, "TERM ends six of them");
    is_u64((uint64_t)kill(stubborn, 0), 0, "the stubborn one is still there");
    end_all(1);
    while (read(ready[0], &stubborn, sizeof(stubborn)) < 0)
        ;
}

/* A process that is always another one: it forks and goes. For some time
 * only, and not longer than the test. */
static void run_away(void)
{
    apr_time_t end = apr_time_now() + apr_time_from_sec(RUN_AWAY_SECONDS);

    tell(getpid());
    while (apr_time_now() < end && kill(test_pid, 0) == 0) {
        pid_t pid = fork();

        if (pid > 0)
            _exit(0);
        usleep(100);
    }
    _exit(0);
}

static void test_forking(void)
{
    apr_time_t begin = apr_time_now();
    apr_time_t deadline = begin + apr_time_from_sec(RUN_AWAY_SECONDS / 2);
    int looks = 0;

    for (looks = 0; looks < 4; looks++)
        child(run_away);
    for (looks = 0; looks < 4; looks++)
        hear();
    looks = 0;
    usleep(20000);
    /* What has no child at all any more has nothing below it. */
    for (;;) {
        pid_t pid;

        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
            ;
        if (pid < 0 || apr_time_now() > deadline)
            break;
        looks++;
        if (signal_below(getpid(), SIGSTOP) > 0)
            signal_below(getpid(), SIGKILL);
    }
    ok(waitpid(-1, NULL, WNOHANG) < 0,
       "asking until none is left ends what runs away (%d times, %d ms)",
       looks, (int)apr_time_as_msec(apr_time_now() - begin));
}

/* ---- skip ----------------------------------------------------------- */

typedef struct {
    pid_t skipped;
    pid_t other;
    int strange; /* asked for a process that is no child */
} skip_t;

static int skip_one(void *baton, pid_t pid)
{
    skip_t *skip = baton;

    skip->strange += pid != skip->skipped && pid != skip->other;
    return pid == skip->skipped;
}

static void test_skip(void)
{
    skip_t skip;
    int n;

    memset(&skip, 0, sizeof(skip));
    skip.skipped = child(fork_chain);
    for (n = 0; n < 6; n++)
        hear();
    skip.other = child(fork_chain);
    for (n = 0; n < 6; n++)
        hear();
    apr_pool_clear(pool);
    if (!is_u64((uint64_t)bl_tree_signal(getpid(), 0, skip_one, &skip, pool),
                6, "a child is left out with all below it"))
        exit(1);
    is_u64((uint64_t)skip.strange, 0, "only children are asked for");
    apr_pool_clear(pool);
    bl_tree_signal(getpid(), SIGKILL, skip_one, &skip, pool);
    for (n = 0; n < 60000 && below_me() > 6; n++)
        usleep(1000);
    is_u64((uint64_t)signal_below(skip.skipped, 0), 5,
           "what was left out got no signal");
    end_all(6);
}

/* ---- by environment ------------------------------------------------- */

/* Of this test alone, however many run at once. */
static char id_entry[64], project_entry[64];
static const char *const wanted[] = {id_entry, project_entry, NULL};

/* A program with this environment. It sleeps; when this returns it is there.
 * before: what is done in the process first */
static pid_t program(const char *const *env, void (*before)(void))
{
    char *const args[] = {(char *)"sleep", (char *)"30", NULL};
    int gone[2];
    char byte;
    pid_t pid;

    if (pipe2(gone, O_CLOEXEC) != 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        if (before != NULL)
            before();
        execve("/bin/sleep", args, (char *const *)env);
        _exit(9);
    }
    close(gone[1]);
    while (read(gone[0], &byte, 1) < 0)
        ; /* end of file: the program has begun */
    close(gone[0]);
    return pid;
}

static void test_env(void)
{
    static char longer[64], shorter[64], inside[128], much[100 * 1024];
    const char *const both[] = {"PATH=/bin", id_entry, "A=", project_entry,
                                NULL};
    const char *const turned[] = {project_entry, id_entry, NULL};
    const char *const far_away[] = {much, id_entry, project_entry, NULL};
    const char *const only_id[] = {id_entry, "OTHER=1", NULL};
    const char *const only_project[] = {project_entry, NULL};
    const char *const other_id[] = {longer, shorter, project_entry, NULL};
    const char *const hidden[] = {inside, project_entry, NULL};
    const char *const none[] = {NULL};
    const char *const strange[] = {"id", project_entry, NULL};
    pid_t ours[5], others[6];
    unsigned living = 0, dead = 0;
    int i, status;

    apr_snprintf(id_entry, sizeof(id_entry), "BUILDLOG_ID=%ld",
                 (long)getpid());
    apr_snprintf(project_entry, sizeof(project_entry),
                 "BUILDLOG_PROJECT=/tree_test/%ld", (long)getpid());
    apr_snprintf(longer, sizeof(longer), "%s0", id_entry);
    apr_snprintf(shorter, sizeof(shorter), "X%s", id_entry);
    apr_snprintf(inside, sizeof(inside), "NOTE=\n%s", id_entry);
    memset(much, 'x', sizeof(much) - 1);
    memcpy(much, "MUCH=", 5);

    is_u64((uint64_t)bl_tree_signal_env(wanted, 0), 0,
           "no process has this environment");
    ours[0] = program(both, NULL);
    ours[1] = program(turned, new_session);
    ours[2] = program(far_away, ignore_term);
    ours[3] = program(both, fork_twice); /* its parents are gone */
    ours[4] = program(both, NULL);
    others[0] = program(only_id, NULL);
    others[1] = program(only_project, NULL);
    others[2] = program(other_id, NULL);
    others[3] = program(hidden, NULL);
    others[4] = program(none, NULL);
    others[5] = program(strange, NULL);
    kill(ours[4], SIGSTOP);
    if (!is_u64((uint64_t)bl_tree_signal_env(wanted, 0), 5,
                "those that have it, wherever it stands")) {
        printf("Bail out! these may be somebody's processes\n");
        exit(1);
    }
    is_u64((uint64_t)below_me(), 11, "among others");
    is_u64((uint64_t)bl_tree_signal_env(wanted, SIGKILL), 5,
           "all are signalled");
    /* The one that forked away is a child of the test, a subreaper. */
    while (bl_tree_signal_env(wanted, 0) > 0)
        usleep(1000);
    for (i = 0; i < 5; i++) {
        if (i == 3)
            waitpid(ours[3], &status, 0); /* its first process */
        else
            dead += waitpid(ours[i], &status, 0) == ours[i] &&
                    WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }
    is_u64(dead, 4, "and end by that");
    while (waitpid(-1, &status, WNOHANG) > 0)
        ;
    for (i = 0; i < 6; i++)
        living += kill(others[i], 0) == 0;
    is_u64(living, 6, "a stranger with a part of it is not touched");
    end_all(6);
}

static void test_env_zombie(void)
{
    const char *const both[] = {id_entry, project_entry, NULL};
    pid_t pid = program(both, NULL);
    siginfo_t info;

    kill(pid, SIGKILL);
    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    is_u64((uint64_t)bl_tree_signal_env(wanted, 0), 0,
           "a zombie has no environment any more");
    waitpid(pid, NULL, 0);
}

/* Who cannot look must not take what stood there from the last look. */
static void test_parent(void)
{
    struct rlimit limit, none;
    pid_t seen, unseen;

    getrlimit(RLIMIT_NOFILE, &limit);
    none = limit;
    none.rlim_cur = 0;
    seen = bl_tree_parent(getpid());
    setrlimit(RLIMIT_NOFILE, &none);
    unseen = bl_tree_parent(getpid());
    setrlimit(RLIMIT_NOFILE, &limit);
    is_u64((uint64_t)seen, (uint64_t)getppid(), "the parent of a process");
    is_u64((uint64_t)unseen, 0, "nobody, without a descriptor for a look");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_pid = getpid();
    if (pipe(ready) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
        printf("Bail out! no pipe, or no subreaper\n");
        return 1;
    }
    test_some();
    test_zombie();
    test_first_thread_gone();
    test_stopped();
    test_away();
    test_below_child();
    test_many();
    test_skip();
    test_forking();
    test_signal();
    test_env();
    test_env_zombie();
    test_parent();
    apr_terminate();
    return done_testing();
}
