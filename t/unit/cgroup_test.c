/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_test.c - control groups: what is said when they cannot be used, what
 * is read and written, what is removed and what is not (issue 6, item 6; G3)
 *
 * In a directory with files as the kernel makes them. What the kernel itself
 * does is tested by t/26-cgroup.t.
 */
#include "bl_cgroup.h"

/* libc */
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

static apr_pool_t *pool;
static const char *top;
static bl_cgroup_t group;

static const char *at(const char *name)
{
    return apr_pstrcat(pool, top, "/", name, NULL);
}

static void dir_make(const char *name)
{
    if (mkdir(at(name), 0755) != 0) {
        printf("Bail out! %s cannot be made\n", at(name));
        exit(1);
    }
}

static void file_write(const char *name, const char *text)
{
    FILE *out = fopen(at(name), "wb");

    if (out == NULL || fwrite(text, 1, strlen(text), out) != strlen(text) ||
        fclose(out) != 0) {
        printf("Bail out! %s cannot be written\n", at(name));
        exit(1);
    }
}

static const char *file_read(const char *name)
{
    char *text = apr_pcalloc(pool, 4096);
    FILE *in = fopen(at(name), "rb");

    if (in == NULL)
        return "(none)";
    if (fread(text, 1, 4095, in) == 0)
        text[0] = '\0';
    fclose(in);
    return text;
}

static int is_dir(const char *name)
{
    struct stat info;

    return stat(at(name), &info) == 0 && S_ISDIR(info.st_mode);
}

static int everything_is(const char *path)
{
    return access(path, F_OK) == 0;
}

static int says(const char *why, const char *word)
{
    int good = why != NULL && strstr(why, word) != NULL;

    if (!good)
        printf("# it says: %s\n", why != NULL ? why : "(nothing)");
    return good;
}

/* ---- checking and opening ------------------------------------------- */

static void test_check(void)
{
    ok(says(bl_cgroup_check(&group, pool), "no directory of a cgroup2"),
       "a directory like any other");
    bl_cgroup_is_v2 = everything_is;
    ok(says(bl_cgroup_check(&group, pool), "memory= needs the controller"),
       "not there, and the one above has no controller");
    file_write("cgroup.subtree_control", "cpu memory\n");
    ok(says(bl_cgroup_check(&group, pool), "pids= needs the controller pids"),
       "... only one of two");
    file_write("cgroup.subtree_control", "pids cpu memory\n");
    ok(bl_cgroup_check(&group, pool) == NULL, "... both");
    dir_make("group");
    file_write("group/cgroup.controllers", "cpu memory.x xmemory pids\n");
    ok(says(bl_cgroup_check(&group, pool), "memory= needs"),
       "there, but without a controller");
    file_write("group/cgroup.controllers", "memory pids");
    ok(bl_cgroup_check(&group, pool) == NULL, "there, with both");
    group.memory = 0;
    file_write("group/cgroup.controllers", "pids\n");
    ok(bl_cgroup_check(&group, pool) == NULL,
       "what is not limited needs none");
    group.memory = 64 << 20;
    file_write("group/cgroup.controllers", "memory pids\n");
    group.path = "/none-of-ours";
    ok(bl_cgroup_check(&group, pool) != NULL, "below the root");
    group.path = at("no/such/group");
    ok(says(bl_cgroup_check(&group, pool), "no/such is no directory"),
       "nothing is made but the last part");
    group.path = at("group");
}

static void test_open(void)
{
    ok(says(bl_cgroup_open(&group, getuid(), pool), "cannot switch on"),
       "controllers that cannot be switched on");
    file_write("group/cgroup.subtree_control", "pids\n");
    file_write("group/cgroup.procs", "");
    ok(bl_cgroup_open(&group, getuid(), pool) != NULL &&
           strncmp(file_read("group/cgroup.subtree_control"), "+memory", 7) ==
               0,
       "those that are off are switched on");
    file_write("group/cgroup.subtree_control", "memory pids\n");
    ok(is_dir("group/runner"), "the runner's group is made");
    file_write("group/runner/cgroup.procs", "");
    file_write("group/runner/cgroup.subtree_control", "");
    ok(bl_cgroup_open(&group, getuid(), pool) == NULL, "open");
    is_str(file_read("group/cgroup.subtree_control"), "memory pids\n",
           "what is on is left alone");
    is_str(file_read("group/runner/cgroup.procs"), "0",
           "and it was tried to go there");
    unlink(at("group/runner/cgroup.procs"));
    ok(says(bl_cgroup_open(&group, getuid(), pool), "runner"),
       "who cannot go there is told so");
    file_write("group/runner/cgroup.procs", "");
    is_u64(bl_cgroup_enter(&group, pool), APR_SUCCESS, "enter");
    is_str(file_read("group/runner/cgroup.procs"), "0", "... by one's number");
}

/* ---- builds --------------------------------------------------------- */

static void test_make(void)
{
    /* mkdir makes no files here: its limits cannot be set. */
    ok(bl_cgroup_make(&group, 7, pool) != APR_SUCCESS,
       "a group whose limits cannot be set (G1)");
    ok(!is_dir("group/build-7"), "... is none");
    dir_make("group/build-7");
    ok(APR_STATUS_IS_EEXIST(bl_cgroup_make(&group, 7, pool)) &&
           is_dir("group/build-7"),
       "one that is there already is another's");
}

static void test_fds(void)
{
    bl_cgroup_fds_t fds;

    ok(bl_cgroup_fds_open(&fds, &group, 7, pool) != APR_SUCCESS &&
           fds.enter == -1 && fds.leave == -1 && fds.kill == -1,
       "nothing to open");
    file_write("group/build-7/cgroup.procs", "");
    is_u64(bl_cgroup_fds_open(&fds, &group, 7, pool), APR_SUCCESS,
           "without cgroup.kill it can do");
    ok(fds.enter >= 0 && fds.leave >= 0 && fds.kill == -1, "...");
    bl_cgroup_fds_close(&fds);
    file_write("group/build-7/cgroup.kill", "");
    is_u64(bl_cgroup_fds_open(&fds, &group, 7, pool), APR_SUCCESS, "open");
    ok(fds.kill >= 0 && (fcntl(fds.kill, F_GETFD) & FD_CLOEXEC) != 0 &&
           write(fds.enter, "0", 1) == 1,
       "...");
    bl_cgroup_fds_close(&fds);
    ok(fds.enter == -1 && fds.kill == -1, "closed");
    is_str(file_read("group/build-7/cgroup.procs"), "0", "it leads there");
}

static void test_events(void)
{
    bl_cgroup_events_t events;

    bl_cgroup_events(&events, &group, 7, pool);
    ok(events.oom_kills == 0 && events.refused == 0, "no files: nothing");
    file_write("group/build-7/memory.events",
               "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n");
    file_write("group/build-7/pids.events", "max 12\n");
    bl_cgroup_events(&events, &group, 7, pool);
    is_u64(events.oom_kills, 5, "processes that were ended");
    is_u64(events.refused, 12, "processes that were refused");
    file_write("group/build-7/memory.events", "oom_kill");
    file_write("group/build-7/pids.events", "maximum 3\nmin 1");
    bl_cgroup_events(&events, &group, 7, pool);
    ok(events.oom_kills == 0 && events.refused == 0, "others are not taken");

    ok(!bl_cgroup_is_populated(&group, 7, pool), "empty: not known");
    file_write("group/build-7/cgroup.events", "frozen 1\npopulated 0\n");
    ok(!bl_cgroup_is_populated(&group, 7, pool), "empty");
    file_write("group/build-7/cgroup.events", "populated 1\nfrozen 0\n");
    ok(bl_cgroup_is_populated(&group, 7, pool), "not empty");
    bl_cgroup_kill(&group, 7, pool);
    is_str(file_read("group/build-7/cgroup.kill"), "1", "all are ended");
    bl_cgroup_kill(&group, 99, pool);
}

/* ---- removing ------------------------------------------------------- */

static int is_nine(void *baton, apr_uint64_t build)
{
    ++*(int *)baton;
    return build == 9;
}

static void test_sweep(void)
{
    int asked = 0;

    bl_cgroup_remove(&group, 7, pool);
    ok(is_dir("group/build-7"), "one that is not empty stays (G3)");
    bl_cgroup_remove(&group, 99, pool);
    dir_make("group/build-8");
    dir_make("group/build-9");
    dir_make("group/build-10");
    dir_make("group/build-10/inner");
    dir_make("group/build-10/inner/most");
    dir_make("group/build-x");
    dir_make("group/build-11x");
    dir_make("group/build-");
    dir_make("group/other");
    is_u64((unsigned)bl_cgroup_sweep(&group, is_nine, &asked, pool), 1,
           "one is left, for it is not empty");
    is_u64((unsigned)asked, 4, "each is asked for");
    ok(!is_dir("group/build-8") && !is_dir("group/build-10"),
       "what nobody needs is gone, with what was made in it");
    ok(is_dir("group/build-9") && is_dir("group/build-7"),
       "what is needed, or not empty, is there");
    ok(is_dir("group/build-x") && is_dir("group/build-11x") &&
           is_dir("group/build-") && is_dir("group/other") &&
           is_dir("group/runner"),
       "and what is none of ours");
    bl_cgroup_remove(&group, 9, pool);
    ok(!is_dir("group/build-9"), "removed");
}

static int remove_one(const char *path, const struct stat *info, int kind,
                      struct FTW *where)
{
    return remove(path);
}

static void remove_all(void)
{
    nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    char name[] = "/tmp/buildlog-cgroup-XXXXXX";

    apr_initialize();
    apr_pool_create(&pool, NULL);
    top = mkdtemp(name);
    if (top == NULL) {
        printf("Bail out! no directory\n");
        return 1;
    }
    group.path = at("group");
    group.memory = 64 << 20;
    group.pids = 100;
    test_check();
    test_open();
    test_make();
    test_fds();
    test_events();
    test_sweep();
    remove_all();
    return done_testing();
}
