/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inherit_test.c - of the descriptors that a process has only those that are
 * named stay open; no number becomes free (issue 6, item 5)
 */
#include "bl_inherit.h"

/* libc */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>

#include "tap.h"

static apr_pool_t *pool;

/* The device, and the number of the file on it, tell what a descriptor is. */
static int is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* What is wrong; 0: nothing. In a process of its own: it loses its output. */
static int check(int none_free)
{
    apr_array_header_t *kept = apr_array_make(pool, 2, sizeof(int));
    int fds[40], i, wrong = 0, low;
    struct stat null, before[2], now;
    struct rlimit limit;

    stat("/dev/null", &null);
    for (i = 0; i < 40; i++)
        fds[i] = open(i % 2 ? "/proc/self/status" : "/", O_RDONLY);
    APR_ARRAY_PUSH(kept, int) = fds[7];
    APR_ARRAY_PUSH(kept, int) = fds[20];
    APR_ARRAY_PUSH(kept, int) = 9999; /* is not there */
    fstat(fds[7], &before[0]);
    fstat(fds[20], &before[1]);
    low = open("/", O_RDONLY);
    close(low);
    if (none_free) { /* two, for the directory and for /dev/null */
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = (rlim_t)low + 2;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    bl_inherit_only(kept);
    for (i = 0; i < 40; i++) {
        if (fstat(fds[i], &now) != 0)
            wrong |= 1;
        else if (i == 7 || i == 20)
            wrong |= is_same(&now, &before[i == 20]) ? 0 : 2;
        else
            wrong |=
                now.st_rdev == null.st_rdev && S_ISCHR(now.st_mode) ? 0 : 4;
        wrong |= i != 7 && i != 20 && !(fcntl(fds[i], F_GETFD) & FD_CLOEXEC)
                     ? 8
                     : 0;
    }
    wrong |= fcntl(low, F_GETFD) >= 0 ? 16 : 0;
    for (i = 0; i < 3; i++)
        wrong |= fstat(i, &now) == 0 && now.st_rdev == null.st_rdev ? 0 : 32;
    return wrong;
}

static int in_child(int none_free)
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0)
        _exit(check(none_free));
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    is_u64((unsigned)in_child(0), 0,
           "those that are named stay, the others are /dev/null");
    is_u64((unsigned)in_child(1), 0,
           "also when hardly any more can be opened");
    return done_testing();
}
