/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_tree.c - processes, as /proc shows them: below another, or by environment
 *
 * LIMITS        a look at /proc is no snapshot: a process that forks while it
 *               is read may show its child or not, and one that forks and goes
 *               again and again may be in no look at all. Who wants all of
 *               them gone asks again until wait(2) says that none is left.
 */
#include "bl_tree.h"

/* libc */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
/* APR */
#include <apr_strings.h>
#include <apr_tables.h>

/* The environment of a process is read up to here. */
#define ENV_BYTES (128 * 1024)

typedef struct {
    pid_t pid;
    pid_t parent;
    int zombie;
} proc_t;

/* What is not to be seen because it is not there, or is another user's; all
 * else is a shortage of ours, and says nothing about the process. */
static int is_gone(int error)
{
    return error == ENOENT || error == ESRCH || error == EACCES ||
           error == EPERM;
}

/* "pid (name) S ppid ...": the name may hold anything, so from its end.
 *
 * @return 1; 0: it is gone; -1: nobody can tell */
static int proc_read(proc_t *out, const char *pid)
{
    char path[64], text[512];
    const char *end;
    char state;
    long parent;
    ssize_t n;
    int fd;

    apr_snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return is_gone(errno) ? 0 : -1;
    n = read(fd, text, sizeof(text) - 1);
    if (n <= 0) {
        int seen = n == 0 || is_gone(errno);

        close(fd);
        return seen ? 0 : -1;
    }
    close(fd);
    text[n] = '\0';
    end = strrchr(text, ')');
    if (end == NULL || end[1] != ' ' || end[2] == '\0' || end[3] != ' ')
        return 0;
    state = end[2];
    parent = strtol(end + 4, NULL, 10);
    out->pid = (pid_t)strtol(pid, NULL, 10);
    out->parent = (pid_t)parent;
    out->zombie = state == 'Z' || state == 'X';
    return 1;
}

pid_t bl_tree_parent(pid_t pid)
{
    char name[32];
    proc_t proc;

    apr_snprintf(name, sizeof(name), "%ld", (long)pid);
    return proc_read(&proc, name) > 0 ? proc.parent : 0;
}

static int by_pid(const void *a, const void *b)
{
    pid_t x = ((const proc_t *)a)->pid, y = ((const proc_t *)b)->pid;

    return x < y ? -1 : x > y;
}

/* @return its number as text; NULL: there is no other */
static const char *next_process(int *unsure, DIR *dir)
{
    struct dirent *entry;

    do {
        errno = 0;
        entry = readdir(dir);
    } while (entry != NULL &&
             (entry->d_name[0] < '1' || entry->d_name[0] > '9'));
    if (entry == NULL && errno != 0)
        *unsure = 1;
    return entry != NULL ? entry->d_name : NULL;
}

/* @param unsure  set when there may be others */
static apr_array_header_t *proc_list(int *unsure, apr_pool_t *p)
{
    apr_array_header_t *list = apr_array_make(p, 512, sizeof(proc_t));
    const char *name;
    DIR *dir = opendir("/proc");

    if (dir == NULL) {
        *unsure = 1;
        return list;
    }
    while ((name = next_process(unsure, dir)) != NULL) {
        proc_t proc;
        int seen = proc_read(&proc, name);

        if (seen > 0)
            APR_ARRAY_PUSH(list, proc_t) = proc;
        else if (seen < 0)
            *unsure = 1;
    }
    closedir(dir);
    qsort(list->elts, (apr_size_t)list->nelts, sizeof(proc_t), by_pid);
    return list;
}

/* The child of root that proc is, or is below; 0: it is not below root. */
static pid_t branch_of(const apr_array_header_t *list, const proc_t *proc,
                       pid_t root)
{
    int depth;

    /* No chain is longer than the list; a torn one ends there too. */
    for (depth = 0; proc != NULL && depth <= list->nelts; depth++) {
        proc_t key = {0, 0, 0};

        if (proc->parent == root)
            return proc->pid;
        key.pid = proc->parent;
        proc = bsearch(&key, list->elts, (apr_size_t)list->nelts,
                       sizeof(proc_t), by_pid);
    }
    return 0;
}

int bl_tree_signal(pid_t root, int sig, int (*skip)(void *baton, pid_t child),
                   void *baton, apr_pool_t *p)
{
    int i, found = 0, unsure = 0;
    apr_array_header_t *list = proc_list(&unsure, p);

    for (i = 0; i < list->nelts; i++) {
        const proc_t *proc = &APR_ARRAY_IDX(list, i, proc_t);
        pid_t branch;

        branch = branch_of(list, proc, root);
        if (branch == 0 || (skip != NULL && skip(baton, branch)))
            continue;
        if (!proc->zombie)
            found++;
        /* A zombie too: it may be a process whose first thread has ended while
         * others live, and they get the signal. */
        if (sig != 0)
            kill(proc->pid, sig);
    }
    return found == 0 && unsure ? -1 : found;
}

/* ---- by environment ------------------------------------------------- */

static int has_entry(const char *env, apr_size_t len, const char *entry)
{
    const char *at = env;

    while (at < env + len) {
        if (strcmp(at, entry) == 0)
            return 1;
        at += strlen(at) + 1;
    }
    return 0;
}

/* @return 1; 0: it has not, or is a zombie, and those have none any more; -1:
 * nobody can tell */
static int has_all(int dir, const char *const *entries, char *buf)
{
    int fd = openat(dir, "environ", O_RDONLY | O_CLOEXEC), i;
    apr_size_t len = 0;
    ssize_t n = 0;

    if (fd < 0)
        return is_gone(errno) ? 0 : -1;
    while (len < ENV_BYTES && (n = read(fd, buf + len, ENV_BYTES - len)) > 0)
        len += (apr_size_t)n;
    if (n < 0 && !is_gone(errno)) {
        close(fd);
        return -1;
    }
    close(fd);
    buf[len] = '\0';
    for (i = 0; entries[i] != NULL; i++) {
        if (!has_entry(buf, len, entries[i]))
            return 0;
    }
    return len > 0;
}

/* Its directory is a handle of the process: what is read in there is its own,
 * and so is the signal that is sent by it. If its number is another's by then
 * both reach nobody.
 *
 * @return 1: it has them; 0; -1: nobody can tell */
static int signal_if(const char *pid, const char *const *entries, int sig,
                     char *buf)
{
    char path[64];
    struct stat info;
    int dir, found;

    apr_snprintf(path, sizeof(path), "/proc/%s", pid);
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fstat(dir, &info) != 0)
        found = is_gone(errno) ? 0 : -1;
    else
        found = info.st_uid == geteuid() ? has_all(dir, entries, buf) : 0;
    if (found > 0 && sig != 0)
        syscall(SYS_pidfd_send_signal, dir, sig, NULL, 0);
    if (dir >= 0)
        close(dir);
    return found;
}

int bl_tree_signal_env(const char *const *entries, int sig)
{
    static char buf[ENV_BYTES + 1]; /* the runner has one thread */
    DIR *dir = opendir("/proc");
    int found = 0, unsure = 0;
    const char *name;

    if (dir == NULL)
        return -1;
    while ((name = next_process(&unsure, dir)) != NULL) {
        int has = signal_if(name, entries, sig, buf);

        if (has > 0)
            found++;
        else if (has < 0)
            unsure = 1;
    }
    closedir(dir);
    return found == 0 && unsure ? -1 : found;
}
