/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_inherit.c - what a process has from the one that forked it, and shall not
 */
#include "bl_inherit.h"

/* libc */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int is_kept(const apr_array_header_t *kept, int fd)
{
    int i;

    for (i = 0; i < kept->nelts; i++) {
        if (APR_ARRAY_IDX(kept, i, int) == fd)
            return 1;
    }
    return 0;
}

void bl_inherit_only(const apr_array_header_t *kept)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;

    while (null >= 0 && dir != NULL && (entry = readdir(dir)) != NULL) {
        int fd = (int)strtol(entry->d_name, NULL, 10);

        if (entry->d_name[0] != '.' && fd != null && fd != dirfd(dir) &&
            !is_kept(kept, fd))
            dup3(null, fd, fd > STDERR_FILENO ? O_CLOEXEC : 0);
    }
    if (dir != NULL)
        closedir(dir);
    if (null >= 0)
        close(null);
}
