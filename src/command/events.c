/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.c - bytes of a text/event-stream to events
 *
 * As the standard has it, for a server whose lines end with LF: fields are
 * "name: value", an empty line ends an event, one without data is none.
 */
#include "events.h"

#include <stdlib.h>
#include <string.h>

static int is_field(const char **value, const char *line, const char *name)
{
    size_t len = strlen(name);

    if (strncmp(line, name, len) != 0 || line[len] != ':')
        return 0;
    *value = line + len + 1;
    if (**value == ' ')
        (*value)++;
    return 1;
}

static void close_text(FILE **file, char **text)
{
    if (*file != NULL)
        fclose(*file);
    free(*text);
    *file = NULL;
    *text = NULL;
}

/* Room for one more text; what stood there is gone. */
static int open_text(FILE **file, char **text, size_t *len)
{
    close_text(file, text);
    *file = open_memstream(text, len);
    return *file != NULL;
}

static int end_event(events_t *events, events_fn fn, void *with)
{
    int go_on = 1;

    memcpy(events->id, events->pending_id, sizeof(events->id));
    if (events->data != NULL) {
        if (fflush(events->data) != 0)
            return 0;
        go_on = fn(with, events->name, events->data_text, events->data_len);
        close_text(&events->data, &events->data_text);
    }
    events->name[0] = '\0';
    return go_on;
}

static int add_data(events_t *events, const char *value)
{
    if (events->data == NULL) {
        if (!open_text(&events->data, &events->data_text, &events->data_len))
            return 0;
    }
    else
        fputc('\n', events->data);
    return fputs(value, events->data) >= 0;
}

static int take_line(events_t *events, events_fn fn, void *with)
{
    const char *line = events->line_text, *value;

    if (line[0] == '\0')
        return end_event(events, fn, with);
    if (is_field(&value, line, "data"))
        return add_data(events, value);
    if (is_field(&value, line, "event"))
        snprintf(events->name, sizeof(events->name), "%s", value);
    else if (is_field(&value, line, "id"))
        snprintf(events->pending_id, sizeof(events->pending_id), "%s", value);
    else if (is_field(&value, line, "retry"))
        events->retry_ms = strtol(value, NULL, 10);
    return 1; /* comments, and what is not known */
}

int events_take(events_t *events, const char *bytes, size_t len, events_fn fn,
                void *with)
{
    const char *end = bytes + len;

    while (bytes < end) {
        const char *lf = memchr(bytes, '\n', (size_t)(end - bytes));
        size_t n = (size_t)((lf != NULL ? lf : end) - bytes);

        if (events->line == NULL &&
            !open_text(&events->line, &events->line_text, &events->line_len))
            return 0;
        if (fwrite(bytes, 1, n, events->line) != n)
            return 0;
        bytes += n;
        if (lf == NULL)
            break;
        bytes++;
        if (fflush(events->line) != 0 || !take_line(events, fn, with))
            return 0;
        close_text(&events->line, &events->line_text);
    }
    return 1;
}

void events_reset(events_t *events)
{
    close_text(&events->line, &events->line_text);
    close_text(&events->data, &events->data_text);
    events->name[0] = '\0';
    memcpy(events->pending_id, events->id, sizeof(events->id));
}
