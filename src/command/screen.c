/* SPDX-License-Identifier: Apache-2.0 */
/*
 * screen.c - what is shown
 */
#include "screen.h"

/* libc */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ESC '\x1b'
#define BEL '\x07'
#define ERASE_LINE "\r\x1b[K"
#define COLOURS_OFF "\x1b[0m"

/* The longest of the command's own texts; what is behind is not said. */
#define SAID_MOST 4096

/* Where a terminal does not tell how wide it is. */
#define COLUMNS 80

static int quiet;
static int colours;
static int is_terminal;  /* stderr */
static int in_progress;  /* a line that is to be replaced stands there */
static int output_error; /* errno of stdout; 0: it has taken all so far */

/* ---- what may pass -------------------------------------------------- */

static size_t pass_sequence(char *out, screen_filter_t *f, char last)
{
    if (last != 'm' || f->too_long)
        return 0;
    memcpy(out, f->sequence, f->sequence_len);
    out[f->sequence_len] = last;
    return f->sequence_len + 1;
}

static void begin_sequence(screen_filter_t *f, char introducer)
{
    f->state = introducer == '[' ? SCREEN_CONTROL : SCREEN_STRING;
    f->sequence[0] = ESC;
    f->sequence[1] = '[';
    f->sequence_len = 2;
    f->too_long = 0;
}

static size_t take_control(char *out, screen_filter_t *f, char c)
{
    if (c >= 0x20 && c <= 0x3f) {
        if (f->sequence_len + 1 < sizeof(f->sequence))
            f->sequence[f->sequence_len++] = c;
        else
            f->too_long = 1;
        return 0;
    }
    f->state = c == ESC ? SCREEN_ESCAPE : SCREEN_TEXT;
    return c >= 0x40 && c <= 0x7e ? pass_sequence(out, f, c) : 0;
}

static size_t take_text(char *out, screen_filter_t *f, char c)
{
    unsigned char byte = (unsigned char)c;

    if (c == ESC)
        f->state = SCREEN_ESCAPE;
    else if (byte == 0xc2)
        f->state = SCREEN_C2;
    else if (byte >= 0x20 ? byte != 0x7f : c == '\n' || c == '\t') {
        *out = c;
        return 1;
    }
    return 0;
}

/* U+0080 to U+009F are control characters, some of them introducers. */
static size_t take_c2(char *out, screen_filter_t *f, char c)
{
    unsigned char byte = (unsigned char)c;

    f->state = SCREEN_TEXT;
    if (byte == 0x9b || byte == 0x9d || byte == 0x90 || byte == 0x98 ||
        byte == 0x9e || byte == 0x9f)
        begin_sequence(f, byte == 0x9b ? '[' : ']');
    else if (byte >= 0xa0 && byte < 0xc0) {
        out[0] = '\xc2';
        out[1] = c;
        return 2;
    }
    return 0;
}

static void take_escape(screen_filter_t *f, char c)
{
    if (c == '[' || (c != '\0' && strchr("]P^_X", c) != NULL))
        begin_sequence(f, c);
    else if (c != ESC && !(c >= 0x20 && c <= 0x2f)) /* not: ESC ( B */
        f->state = SCREEN_TEXT;
}

/* A line's end ends what would swallow the rest of the log. */
static size_t take(char *out, screen_filter_t *f, char c)
{
    if (c == '\n')
        f->state = SCREEN_TEXT;
    switch (f->state) {
    case SCREEN_ESCAPE:
        take_escape(f, c);
        return 0;
    case SCREEN_CONTROL:
        return take_control(out, f, c);
    case SCREEN_STRING:
        if (c == BEL)
            f->state = SCREEN_TEXT;
        else if (c == ESC)
            f->state = SCREEN_STRING_ESCAPE;
        return 0;
    case SCREEN_STRING_ESCAPE:
        f->state = SCREEN_STRING;
        if (c == '\\')
            f->state = SCREEN_TEXT;
        return 0;
    case SCREEN_C2:
        return take_c2(out, f, c);
    case SCREEN_TEXT:
    default:
        return take_text(out, f, c);
    }
}

size_t screen_filter(char *out, screen_filter_t *filter, const char *text,
                     size_t len, int with_colours)
{
    size_t i, n = 0;

    for (i = 0; i < len; i++) {
        screen_state_e before = filter->state;
        size_t some = take(out + n, filter, text[i]);

        if (before != SCREEN_CONTROL || with_colours)
            n += some;
    }
    return n;
}

/* ---- where it goes -------------------------------------------------- */

/* What is closed is not to be the next socket: that would get the log. */
static void hold_places(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

void screen_begin(int be_quiet)
{
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    hold_places();
    quiet = be_quiet;
    is_terminal = isatty(STDERR_FILENO);
    colours = isatty(STDOUT_FILENO) && (no == NULL || *no == '\0') &&
              (term == NULL || strcmp(term, "dumb") != 0);
}

int screen_colours(void)
{
    return colours;
}

static void end_progress(void)
{
    if (!in_progress)
        return;
    fputs(ERASE_LINE, stderr);
    fflush(stderr);
    in_progress = 0;
}

static void note_error(void)
{
    if (output_error == 0)
        output_error = errno != 0 ? errno : EIO;
}

int screen_log(screen_filter_t *filter, const char *text, size_t len)
{
    char some[4096 + SCREEN_SEQUENCE_ROOM];

    end_progress();
    while (len > 0) {
        size_t n = len < 4096 ? len : 4096;
        size_t out = screen_filter(some, filter, text, n, colours);

        if (fwrite(some, 1, out, stdout) != out) {
            note_error();
            return 0;
        }
        text += n;
        len -= n;
    }
    return 1;
}

int screen_flush(void)
{
    static int is_said;

    if (fflush(stdout) != 0 || ferror(stdout))
        note_error();
    if (output_error == 0)
        return 0;
    if (output_error == EPIPE)
        return 141;
    if (!is_said)
        screen_error("stdout: %s", strerror(output_error));
    is_said = 1;
    return EXIT_OUTPUT;
}

/* Room for SAID_MOST. @param columns  cut off behind so many; 0: not */
__attribute__((format(printf, 3, 0))) static void
format_said(char *out, int columns, const char *format, va_list args)
{
    screen_filter_t filter = {SCREEN_TEXT, "", 0, 0};
    char text[SAID_MOST - SCREEN_SEQUENCE_ROOM];
    size_t i, len;

    vsnprintf(text, sizeof(text), format, args);
    len = screen_filter(out, &filter, text, strlen(text), 0);
    for (i = 0; i < len; i++) {
        if ((out[i] & 0xc0) != 0x80 && columns > 0 && --columns == 0)
            break;
    }
    out[i] = '\0';
}

static int width(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1
               ? size.ws_col
               : COLUMNS;
}

void screen_progress(const char *format, ...)
{
    char text[SAID_MOST];
    va_list args;

    if (quiet || !is_terminal)
        return;
    fflush(stdout);
    end_progress();
    va_start(args, format);
    /* One that is wider than the terminal could not be replaced. */
    format_said(text, width(), format, args);
    va_end(args);
    fputs(text, stderr);
    fflush(stderr);
    in_progress = 1;
}

__attribute__((format(printf, 2, 0))) static void
say(const char *prefix, const char *format, va_list args)
{
    char text[SAID_MOST];

    if (colours)
        fputs(COLOURS_OFF, stdout);
    fflush(stdout);
    end_progress();
    format_said(text, 0, format, args);
    fprintf(stderr, "%s%s\n", prefix, text);
}

void screen_say(const char *format, ...)
{
    va_list args;

    if (quiet)
        return;
    va_start(args, format);
    say("", format, args);
    va_end(args);
}

void screen_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say("buildlog: ", format, args);
    va_end(args);
}
