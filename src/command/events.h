/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - bytes of a text/event-stream to events
 *
 * Pure. One stream at a time for each events_t, which is all zero at first.
 */
#ifndef BUILDLOG_EVENTS_H
#define BUILDLOG_EVENTS_H

#include <stddef.h>
#include <stdio.h>

/* A place in the stream is a number of at most 20 digits. */
#define EVENTS_ID_ROOM 24
#define EVENTS_NAME_ROOM 32

typedef struct {
    char id[EVENTS_ID_ROOM];     /* of the last event that had one; "" */
    char name[EVENTS_NAME_ROOM]; /* of the event that is coming; "": a line */
    long retry_ms;               /* what the server advises; 0: nothing yet */
    FILE *line;                  /* the line that is coming... */
    char *line_text;
    size_t line_len;
    FILE *data; /* ...and the event's data */
    char *data_text;
    size_t data_len;
    char pending_id[EVENTS_ID_ROOM];
} events_t;

/**
 * An event that is whole.
 *
 * @param name  "" for a line of output
 * @param data  NUL-terminated, valid during the call
 * @return 0: no more events, please
 */
typedef int (*events_fn)(void *with, const char *name, const char *data,
                         size_t len);

/** Take bytes as they come. events->id is that of an event when fn has been
 * called for it. @return 0: fn said so, or there is no memory */
int events_take(events_t *events, const char *bytes, size_t len, events_fn fn,
                void *with);

/** Forget what was not whole: the stream broke off. id and retry_ms stay. */
void events_reset(events_t *events);

#endif /* BUILDLOG_EVENTS_H */
