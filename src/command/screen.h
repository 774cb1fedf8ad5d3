/* SPDX-License-Identifier: Apache-2.0 */
/*
 * screen.h - what is shown: the log on stdout, the command's own words on
 * stderr
 *
 * Output of a build is hostile: of its escape sequences colours alone reach a
 * terminal, and nothing at all a file or a pipe.
 */
#ifndef BUILDLOG_SCREEN_H
#define BUILDLOG_SCREEN_H

#include <stddef.h>

#define EXIT_OUTPUT 74 /* of sysexits.h, as those in http.h */

typedef enum {
    SCREEN_TEXT,
    SCREEN_ESCAPE,  /* after ESC */
    SCREEN_CONTROL, /* in a CSI sequence */
    SCREEN_STRING,  /* in an OSC, DCS, ... until BEL or ST */
    SCREEN_STRING_ESCAPE,
    SCREEN_C2 /* after the first byte of U+0080 to U+00BF */
} screen_state_e;

#define SCREEN_SEQUENCE_ROOM 64

/* Where a text that comes in pieces stands; all zero at first. */
typedef struct {
    screen_state_e state;
    char sequence[SCREEN_SEQUENCE_ROOM]; /* a colour, as far as it came */
    size_t sequence_len;
    int too_long;
} screen_filter_t;

/**
 * Take what a terminal must not get out of a text.
 *
 * @param out      room for len + SCREEN_SEQUENCE_ROOM bytes
 * @param colours  let them pass
 * @return bytes written
 */
size_t screen_filter(char *out, screen_filter_t *filter, const char *text,
                     size_t len, int colours);

/** Decide once what stdout and stderr are. @param quiet no words of its own
 * but errors */
void screen_begin(int quiet);

/** Does stdout take colours? */
int screen_colours(void);

/** Bytes of a log to stdout. @return 0: it takes no more (screen_flush) */
int screen_log(screen_filter_t *filter, const char *text, size_t len);

/** Has stdout taken all? @return 0: yes; else what to end with: 141, as
 * SIGPIPE would, when nobody reads it any more; EXIT_OUTPUT when it cannot be
 * written, which is said once */
int screen_flush(void);

/* Of the texts below only what a terminal may get is shown: servers have their
 * say in them. */

/** What is going on now: on a terminal, a line that the next one replaces. */
void screen_progress(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/** A line on stderr that stays, unless quiet. */
void screen_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** A line on stderr that stays: "buildlog: ...". */
void screen_error(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif /* BUILDLOG_SCREEN_H */
