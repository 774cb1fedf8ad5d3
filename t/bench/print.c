/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print.c - the build of `make bench`: prints numbered lines with a stamp
 *
 *   print -n LINES [-b BYTES] [-r LINES-PER-SECOND] [-g FIFO]
 *
 * A line is "#SEQ NANOSECONDS xxx...x;", BYTES long without its LF; SEQ counts
 * from 1. Without -r all lines are printed at once, in blocks, as a program
 * does whose stdout is a pipe. With -r each line is a write of its own, at its
 * own time. With -g it begins when somebody opens FIFO for writing, so that
 * viewers can be there before the first line.
 */
/* system */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ULL
/* What stdio would use on a pipe is less; more is one write of a pipe. */
#define BLOCK_BYTES (64 * 1024)
#define LINE_MIN_BYTES 48
#define LINE_MAX_BYTES 8192
/* Nobody is left waiting for a FIFO that nobody opens. */
#define WAIT_MAX_S 300

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void write_all(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            perror("print: write");
            exit(1);
        }
        bytes += n;
        len -= (size_t)n;
    }
}

/* One line with its LF into out, which has room for LINE_MAX_BYTES + 1. */
static size_t make_line(char *out, uint64_t seq, size_t bytes)
{
    int head = snprintf(out, bytes, "#%ju %ju ", (uintmax_t)seq,
                        (uintmax_t)now_ns(CLOCK_REALTIME));

    memset(out + head, 'x', bytes - (size_t)head - 1);
    out[bytes - 1] = ';';
    out[bytes] = '\n';
    return bytes + 1;
}

static void print_at_once(uint64_t lines, size_t bytes)
{
    static char block[BLOCK_BYTES];
    size_t used = 0;

    for (uint64_t seq = 1; seq <= lines; seq++) {
        if (used + bytes + 1 > sizeof(block)) {
            write_all(block, used);
            used = 0;
        }
        used += make_line(block + used, seq, bytes);
    }
    write_all(block, used);
}

static void print_at_rate(uint64_t lines, size_t bytes, uint64_t rate)
{
    char line[LINE_MAX_BYTES + 1];
    uint64_t begin = now_ns(CLOCK_MONOTONIC);

    for (uint64_t seq = 1; seq <= lines; seq++) {
        uint64_t at = begin + (seq - 1) * NS_PER_S / rate;
        struct timespec t = {.tv_sec = (time_t)(at / NS_PER_S),
                             .tv_nsec = (long)(at % NS_PER_S)};

        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) ==
               EINTR)
            ;
        write_all(line, make_line(line, seq, bytes));
    }
}

static void wait_for_go(const char *fifo)
{
    int fd;

    alarm(WAIT_MAX_S);
    fd = open(fifo, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        perror("print: fifo");
        exit(1);
    }
    close(fd);
    alarm(0);
}

int main(int argc, char **argv)
{
    uint64_t lines = 0, rate = 0;
    size_t bytes = 100;
    const char *fifo = NULL;
    int opt;

    while ((opt = getopt(argc, argv, "n:b:r:g:")) != -1) {
        switch (opt) {
        case 'n':
            lines = strtoull(optarg, NULL, 10);
            break;
        case 'b':
            bytes = strtoull(optarg, NULL, 10);
            break;
        case 'r':
            rate = strtoull(optarg, NULL, 10);
            break;
        case 'g':
            fifo = optarg;
            break;
        default:
            return 2;
        }
    }
    if (bytes < LINE_MIN_BYTES || bytes > LINE_MAX_BYTES) {
        fprintf(stderr, "print: -b is %d to %d\n", LINE_MIN_BYTES,
                LINE_MAX_BYTES);
        return 2;
    }
    if (fifo != NULL)
        wait_for_go(fifo);
    if (rate > 0)
        print_at_rate(lines, bytes, rate);
    else
        print_at_once(lines, bytes);
    return 0;
}
