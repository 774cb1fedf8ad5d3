/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_wake.c - how the runner wakes a pump that sleeps in its pollset
 */
#include "bl_wake.h"

/* libc */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
/* APR */
#include <apr_portable.h>

typedef struct {
    apr_file_t *reader; /* NULL: closed in this process */
    apr_file_t *writer;
} wake_pipe_t;

struct bl_wake_t {
    int slots;
    wake_pipe_t *pipes;
};

apr_status_t bl_wake_create(bl_wake_t **out, int slots, apr_pool_t *p)
{
    bl_wake_t *wake = apr_pcalloc(p, sizeof(*wake));
    int i;

    wake->slots = slots;
    wake->pipes = apr_pcalloc(p, sizeof(wake_pipe_t) * (apr_size_t)slots);
    for (i = 0; i < slots; i++) {
        wake_pipe_t *pipe = &wake->pipes[i];
        apr_status_t rv;

        rv = apr_file_pipe_create_ex(&pipe->reader, &pipe->writer,
                                     APR_FULL_NONBLOCK, p);
        if (rv != APR_SUCCESS)
            return rv;
        /* APR pipes are inherited over exec unless told otherwise. */
        apr_file_inherit_unset(pipe->reader);
        apr_file_inherit_unset(pipe->writer);
    }
    *out = wake;
    return APR_SUCCESS;
}

void bl_wake_send(bl_wake_t *wake, int slot)
{
    char byte = 1;
    apr_size_t len = 1;

    /* EAGAIN: the pipe is full, so the pump will wake anyway. */
    if (wake->pipes[slot].writer != NULL)
        apr_file_write(wake->pipes[slot].writer, &byte, &len);
}

apr_file_t *bl_wake_reader(bl_wake_t *wake, int slot)
{
    return wake->pipes[slot].reader;
}

void bl_wake_drain(bl_wake_t *wake, int slot)
{
    char bytes[256];
    apr_size_t len;

    do {
        len = sizeof(bytes);
    } while (apr_file_read(wake->pipes[slot].reader, bytes, &len) ==
                 APR_SUCCESS &&
             len == sizeof(bytes));
}

static void close_end(apr_file_t **end)
{
    if (*end != NULL)
        apr_file_close(*end);
    *end = NULL;
}

void bl_wake_keep(bl_wake_t *wake, int slot)
{
    int i;

    for (i = 0; i < wake->slots; i++) {
        if (i == slot)
            continue;
        close_end(&wake->pipes[i].reader);
        close_end(&wake->pipes[i].writer);
    }
}

void bl_wake_keep_writers(bl_wake_t *wake, apr_array_header_t *fds)
{
    int i;

    for (i = 0; i < wake->slots; i++) {
        apr_os_file_t fd;

        close_end(&wake->pipes[i].reader);
        if (wake->pipes[i].writer != NULL &&
            apr_os_file_get(&fd, wake->pipes[i].writer) == APR_SUCCESS)
            APR_ARRAY_PUSH(fds, int) = fd;
    }
}
