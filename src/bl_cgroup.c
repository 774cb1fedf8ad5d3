/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_cgroup.c - a control group (version 2) for each build
 *
 * LIMITS        the groups belong to the user who builds: they hold what goes
 *               wrong, not who means harm
 * DIAGNOSTICS   none: what is wrong is returned, in words where there are many
 */
#include "bl_cgroup.h"

/* libc */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
/* APR */
#include <apr_file_info.h>
#include <apr_lib.h>
#include <apr_strings.h>

#define V2_MAGIC 0x63677270
#define RUNNER "runner"
#define BUILD "build-"

/* Files of the kernel are short. */
#define TEXT_MOST 4096

static int statfs_is_v2(const char *path)
{
    struct statfs info;

    return statfs(path, &info) == 0 && info.f_type == V2_MAGIC;
}

int (*bl_cgroup_is_v2)(const char *path) = statfs_is_v2;

/* ---- files ---------------------------------------------------------- */

static const char *build_dir(const bl_cgroup_t *group, apr_uint64_t build,
                             apr_pool_t *p)
{
    return apr_psprintf(p, "%s/" BUILD "%" APR_UINT64_T_FMT, group->path,
                        build);
}

static const char *runner_dir(const bl_cgroup_t *group, apr_pool_t *p)
{
    return apr_pstrcat(p, group->path, "/" RUNNER, NULL);
}

static int open_file(const char *dir, const char *name, int flags,
                     apr_pool_t *p)
{
    return open(apr_pstrcat(p, dir, "/", name, NULL), flags | O_CLOEXEC);
}

/* "" when it cannot be read. */
static const char *read_text(const char *dir, const char *name, apr_pool_t *p)
{
    char *text = apr_palloc(p, TEXT_MOST);
    int fd = open_file(dir, name, O_RDONLY, p);
    ssize_t n = fd >= 0 ? read(fd, text, TEXT_MOST - 1) : 0;

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

/* The kernel takes all of it or nothing. */
static apr_status_t write_text(const char *dir, const char *name,
                               const char *text, apr_pool_t *p)
{
    int fd = open_file(dir, name, O_WRONLY, p);
    apr_status_t rv = APR_SUCCESS;

    if (fd < 0)
        return APR_FROM_OS_ERROR(errno);
    if (write(fd, text, strlen(text)) < 0)
        rv = APR_FROM_OS_ERROR(errno);
    close(fd);
    return rv;
}

/* The number behind a name at the beginning of a line. */
static apr_uint64_t number_of(const char *text, const char *name)
{
    apr_size_t len = strlen(name);

    while (*text != '\0') {
        if (strncmp(text, name, len) == 0 && text[len] == ' ')
            return (apr_uint64_t)apr_strtoi64(text + len, NULL, 10);
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return 0;
}

/* ---- opening -------------------------------------------------------- */

static int has_word(const char *text, const char *word)
{
    apr_size_t len = strlen(word), n;

    for (; *text != '\0'; text += n) {
        text += strspn(text, " \n");
        n = strcspn(text, " \n");
        if (n == len && strncmp(text, word, n) == 0)
            return 1;
    }
    return 0;
}

static const char *no_controller(const char *dir, const char *name,
                                 const char *limit, apr_pool_t *p)
{
    return apr_psprintf(
        p,
        "%s= needs the controller %s, which is not switched on for %s; the "
        "group above must have it in its cgroup.subtree_control (systemd: "
        "Delegate=memory pids)",
        limit, name, dir);
}

static const char *check_controllers(const bl_cgroup_t *group, const char *dir,
                                     const char *file, apr_pool_t *p)
{
    const char *has = read_text(dir, file, p);

    if (group->memory != 0 && !has_word(has, "memory"))
        return no_controller(group->path, "memory", "memory", p);
    if (group->pids != 0 && !has_word(has, "pids"))
        return no_controller(group->path, "pids", "pids", p);
    return NULL;
}

static const char *above(const bl_cgroup_t *group, apr_pool_t *p)
{
    const char *slash = strrchr(group->path, '/');

    return slash == group->path
               ? "/"
               : apr_pstrmemdup(p, group->path,
                                (apr_size_t)(slash - group->path));
}

const char *bl_cgroup_check(const bl_cgroup_t *group, apr_pool_t *p)
{
    int there = access(group->path, F_OK) == 0;
    const char *dir = there ? group->path : above(group, p);

    if (!bl_cgroup_is_v2(dir))
        return apr_psprintf(p,
                            "%s is no directory of a cgroup2 file system, "
                            "which is mounted at /sys/fs/cgroup as a rule",
                            dir);
    return check_controllers(
        group, dir, there ? "cgroup.controllers" : "cgroup.subtree_control",
        p);
}

static const char *failed(const char *what, const char *dir, int error,
                          apr_pool_t *p)
{
    char text[128];

    return apr_psprintf(
        p, "%s %s: %s", what, dir,
        apr_strerror(APR_FROM_OS_ERROR(error), text, sizeof(text)));
}

/* Those that are needed and not on yet. */
static const char *switch_on(const bl_cgroup_t *group, apr_pool_t *p)
{
    static const char *const names[] = {"memory", "pids"};
    const char *on = read_text(group->path, "cgroup.subtree_control", p);
    int needed[] = {group->memory != 0, group->pids != 0}, i;

    for (i = 0; i < 2; i++) {
        apr_status_t rv;

        if (!needed[i] || has_word(on, names[i]))
            continue;
        rv = write_text(group->path, "cgroup.subtree_control",
                        apr_pstrcat(p, "+", names[i], NULL), p);
        if (APR_TO_OS_ERROR(rv) == EBUSY)
            return apr_psprintf(
                p,
                "there are processes in %s, and the kernel limits groups "
                "below a group only if it has none itself (systemd: "
                "DelegateSubgroup=, or a group of its own)",
                group->path);
        if (rv != APR_SUCCESS)
            return failed(apr_pstrcat(p, "cannot switch on the controller ",
                                      names[i], " for what is below", NULL),
                          group->path, APR_TO_OS_ERROR(rv), p);
    }
    return NULL;
}

static const char *make_dir(const char *dir, apr_pool_t *p)
{
    if (mkdir(dir, 0755) == 0 || errno == EEXIST)
        return NULL;
    return failed("cannot make", dir, errno, p);
}

/* A user may move processes in a group whose cgroup.procs is writable, and
 * make groups in it; the limits of the group itself stay root's. */
static const char *give(const char *dir, uid_t user, apr_pool_t *p)
{
    static const char *const files[] = {"", "/cgroup.procs",
                                        "/cgroup.subtree_control"};
    apr_size_t i;

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        const char *path = apr_pstrcat(p, dir, files[i], NULL);

        if (lchown(path, user, (gid_t)-1) != 0)
            return failed("cannot give to its user", path, errno, p);
    }
    return NULL;
}

/* Whether one may go there is known when one does. */
static const char *try_to_enter(const bl_cgroup_t *group, apr_pool_t *p)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0)
        _exit(APR_TO_OS_ERROR(bl_cgroup_enter(group, p)) & 0xFF);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return NULL;
    return apr_pstrcat(
        p,
        failed("cannot go into", runner_dir(group, p),
               pid > 0 ? WEXITSTATUS(status) : errno, p),
        "; without root, httpd itself has to be below a group that belongs to "
        "its user, as this one must be",
        NULL);
}

const char *bl_cgroup_open(const bl_cgroup_t *group, uid_t user, apr_pool_t *p)
{
    const char *why = bl_cgroup_check(group, p);
    const char *runner = runner_dir(group, p);

    if (why == NULL)
        why = make_dir(group->path, p);
    if (why == NULL) /* it may have been made just now */
        why = check_controllers(group, group->path, "cgroup.controllers", p);
    if (why == NULL)
        why = switch_on(group, p);
    if (why == NULL)
        why = make_dir(runner, p);
    if (why == NULL && geteuid() == 0)
        why = give(group->path, user, p);
    if (why == NULL && geteuid() == 0)
        why = give(runner, user, p);
    return why != NULL ? why : try_to_enter(group, p);
}

apr_status_t bl_cgroup_enter(const bl_cgroup_t *group, apr_pool_t *p)
{
    return write_text(runner_dir(group, p), "cgroup.procs", "0", p);
}

/* ---- builds --------------------------------------------------------- */

static apr_status_t set_limits(const bl_cgroup_t *group, const char *dir,
                               apr_pool_t *p)
{
    apr_status_t rv = APR_SUCCESS;

    if (group->memory != 0) {
        rv = write_text(dir, "memory.max",
                        apr_psprintf(p, "%" APR_UINT64_T_FMT, group->memory),
                        p);
        /* What is over the limit shall be noticed, not swapped. Where there
         * is no swap there is no such file. */
        write_text(dir, "memory.swap.max", "0", p);
    }
    if (rv == APR_SUCCESS && group->pids != 0)
        rv =
            write_text(dir, "pids.max", apr_psprintf(p, "%u", group->pids), p);
    return rv;
}

apr_status_t bl_cgroup_make(const bl_cgroup_t *group, apr_uint64_t build,
                            apr_pool_t *p)
{
    const char *dir = build_dir(group, build, p);
    apr_status_t rv;

    if (mkdir(dir, 0755) != 0)
        return APR_FROM_OS_ERROR(errno);
    rv = set_limits(group, dir, p);
    if (rv != APR_SUCCESS)
        rmdir(dir);
    return rv;
}

apr_status_t bl_cgroup_fds_open(bl_cgroup_fds_t *out, const bl_cgroup_t *group,
                                apr_uint64_t build, apr_pool_t *p)
{
    const char *dir = build_dir(group, build, p);

    out->enter = open_file(dir, "cgroup.procs", O_WRONLY, p);
    out->leave = open_file(runner_dir(group, p), "cgroup.procs", O_WRONLY, p);
    /* Linux 5.14. Without it processes are killed one by one. */
    out->kill = open_file(dir, "cgroup.kill", O_WRONLY, p);
    if (out->enter >= 0 && out->leave >= 0)
        return APR_SUCCESS;
    bl_cgroup_fds_close(out);
    return APR_FROM_OS_ERROR(errno);
}

void bl_cgroup_fds_close(bl_cgroup_fds_t *fds)
{
    int all[] = {fds->enter, fds->leave, fds->kill}, error = errno, i;

    for (i = 0; i < 3; i++) {
        if (all[i] >= 0)
            close(all[i]);
    }
    fds->enter = fds->leave = fds->kill = -1;
    errno = error;
}

void bl_cgroup_events(bl_cgroup_events_t *out, const bl_cgroup_t *group,
                      apr_uint64_t build, apr_pool_t *p)
{
    const char *dir = build_dir(group, build, p);

    out->oom_kills = number_of(read_text(dir, "memory.events", p), "oom_kill");
    out->refused = number_of(read_text(dir, "pids.events", p), "max");
}

int bl_cgroup_is_populated(const bl_cgroup_t *group, apr_uint64_t build,
                           apr_pool_t *p)
{
    return number_of(read_text(build_dir(group, build, p), "cgroup.events", p),
                     "populated") != 0;
}

void bl_cgroup_kill(const bl_cgroup_t *group, apr_uint64_t build,
                    apr_pool_t *p)
{
    write_text(build_dir(group, build, p), "cgroup.kill", "1", p);
}

/* ---- the end -------------------------------------------------------- */

/* A build may have made groups in its own: all belongs to its user. The kernel
 * removes a group only when no process is in it (G3). */
static int remove_tree(const char *dir, apr_pool_t *p)
{
    DIR *list = opendir(dir);
    struct dirent *entry;

    while (list != NULL && (entry = readdir(list)) != NULL) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            remove_tree(apr_pstrcat(p, dir, "/", entry->d_name, NULL), p);
    }
    if (list != NULL)
        closedir(list);
    return rmdir(dir) == 0;
}

void bl_cgroup_remove(const bl_cgroup_t *group, apr_uint64_t build,
                      apr_pool_t *p)
{
    remove_tree(build_dir(group, build, p), p);
}

int bl_cgroup_sweep(const bl_cgroup_t *group,
                    int (*is_used)(void *baton, apr_uint64_t build),
                    void *baton, apr_pool_t *p)
{
    apr_size_t len = strlen(BUILD);
    DIR *list = opendir(group->path);
    struct dirent *entry;
    int left = 0;

    while (list != NULL && (entry = readdir(list)) != NULL) {
        const char *number = entry->d_name + len;
        apr_uint64_t build;
        char *end;

        if (strncmp(entry->d_name, BUILD, len) != 0 || !apr_isdigit(number[0]))
            continue;
        build = (apr_uint64_t)apr_strtoi64(number, &end, 10);
        if (*end != '\0' || is_used(baton, build))
            continue;
        left += !remove_tree(build_dir(group, build, p), p);
    }
    if (list != NULL)
        closedir(list);
    return left;
}
