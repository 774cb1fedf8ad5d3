/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_log.c - any bytes as the file of a log (bl_log, bl_window, bl_text;
 * promises 4 and 7)
 *
 * INPUT  bytes 0, 1  what is looked for
 *        then the file; in it a byte from 1 to 8 stands for 2^(7 + it) of 'x',
 *        so that a short input has lines and distances longer than a block
 *
 * The file is walked from its start first. Whatever the damage: a walk ends,
 * and moves forwards; every other way to a record comes to where the walk
 * came. Where ids grow, as those of a log do, searches find what they are told
 * to, and no other. A log that is taken up again is whole records only, and
 * takes one more.
 */
#include "bl_text.h"
#include "bl_window.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "bl_plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_MOST (2 * 1024 * 1024)

typedef struct {
    apr_off_t begin; /* the cursor before it: damage may come first */
    apr_off_t end;
    bl_stamp_t id;
    apr_uint64_t number; /* of the line; 0: no line */
} place_t;

static apr_pool_t *pool; /* of one input */
static char dir[64];
static apr_off_t tail;
static place_t *places;
static int count;
static int growing;            /* the ids */
static int holes;              /* NULs: a window has lines of its own there */
static apr_size_t text_len;    /* of the document */
static apr_uint64_t lines = 0; /* whole ones */

static void must(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

static void begin(void)
{
    apr_pool_t *root;
    const char *memory = "/dev/shm";

    apr_initialize();
    apr_pool_create(&root, NULL);
    apr_pool_create(&pool, root);
    snprintf(dir, sizeof(dir), "%s/buildlog-fuzz-%ld",
             access(memory, W_OK) == 0 ? memory : "/tmp", (long)getpid());
    must(apr_dir_make(dir, APR_FPROT_OS_DEFAULT, root) == APR_SUCCESS, dir);
}

static void end(void)
{
    unlink(bl_log_path(dir, 1, pool));
    rmdir(dir);
}

/* ---- the file ------------------------------------------------------- */

static char *expanded(size_t *len, const uint8_t *data, size_t size)
{
    char *out = apr_palloc(pool, FILE_MOST);
    size_t i, n = 0;

    for (i = 0; i < size; i++) {
        size_t run = data[i] >= 1 && data[i] <= 8 ? (size_t)128 << data[i] : 1;

        if (n + run > FILE_MOST)
            break;
        memset(out + n, run > 1 ? 'x' : data[i], run);
        n += run;
    }
    *len = n;
    return out;
}

static void write_file(const uint8_t *data, size_t size)
{
    const char *path = bl_log_path(dir, 1, pool);
    size_t len;
    const char *bytes = expanded(&len, data, size);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

    must(fd >= 0 && write(fd, bytes, len) == (ssize_t)len, "the file");
    close(fd);
    tail = (apr_off_t)len;
    holes = memchr(bytes, '\0', len) != NULL;
}

static bl_cursor_t *cursor(void)
{
    bl_cursor_t *c;

    must(bl_cursor_open(&c, dir, 1, pool) == APR_SUCCESS, "a cursor");
    return c;
}

/* ---- what is true of it --------------------------------------------- */

static void walk(void)
{
    bl_cursor_t *c = cursor();
    bl_record_t rec;
    bl_stamp_t last = 0;

    places = apr_palloc(pool, sizeof(*places) * ((size_t)tail / 32 + 2));
    count = 0;
    growing = 1;
    lines = 0;
    text_len = 0;
    for (;;) {
        place_t *place = &places[count];
        apr_status_t rv;

        place->begin = bl_cursor_offset(c);
        rv = bl_cursor_next(&rec, c, tail);
        must(rv == APR_SUCCESS || rv == APR_EOF, "a walk");
        if (rv == APR_EOF)
            break;
        place->end = bl_cursor_offset(c);
        must(place->end > place->begin && place->end <= tail, "forwards");
        must(place->end - place->begin >= (apr_off_t)rec.len, "in the file");
        place->id = rec.id;
        place->number = BL_REC_IS_LINE(&rec) ? lines + 1 : 0;
        growing = growing && rec.id > last;
        last = rec.id;
        if (BL_REC_IS_LINE(&rec)) {
            lines += (rec.flags & BL_REC_PIECE) == 0;
            text_len += bl_plain_text_len(&rec);
        }
        count++;
        must((size_t)count <= (size_t)tail / 32 + 1, "records have a length");
    }
}

/* ---- the other ways ------------------------------------------------- */

static void check_search(unsigned choice)
{
    bl_cursor_t *c = cursor();
    int i = count > 0 ? (int)(choice % (unsigned)count) : 0;
    bl_stamp_t after = count > 0 ? places[i].id - (choice & 1) : choice;
    bl_record_t rec;
    apr_status_t rv;

    must(bl_cursor_seek(c, after, tail) == APR_SUCCESS, "a search");
    rv = bl_cursor_next(&rec, c, tail);
    if (growing) {
        for (i = 0; i < count && places[i].id <= after; i++)
            ;
        must((rv == APR_SUCCESS) == (i < count), "a search finds");
        must(i == count || rec.id == places[i].id, "the one behind");
    }
    rv = bl_cursor_last(&rec, c, tail);
    must((rv == APR_SUCCESS) == (count > 0), "there is a last one");
    must(count == 0 || rec.id == places[count - 1].id, "the last one");
}

static void check_tail(unsigned choice)
{
    apr_uint32_t want = choice % 40;
    bl_stamp_t after = 0, expected = 0;
    apr_uint32_t seen = 0;
    int i;

    must(bl_cursor_seek_tail(&after, cursor(), want, tail) == APR_SUCCESS,
         "the last lines");
    for (i = count; i > 0 && seen < want; i--)
        seen += places[i - 1].number != 0;
    expected = i > 0 ? places[i - 1].id : 0;
    if (growing && (seen == want || want == 0))
        must(after == expected, "as many as were asked for");
}

static void check_align(unsigned choice)
{
    apr_off_t at = tail > 0 ? (apr_off_t)choice * 97 % tail : 0;
    bl_cursor_t *c = cursor();
    bl_record_t rec;
    apr_status_t rv = bl_cursor_align(c, at, tail);
    int i;

    if (rv == APR_SUCCESS)
        rv = bl_cursor_next(&rec, c, tail);
    must(rv == APR_SUCCESS || rv == APR_EOF, "a place");
    if (rv != APR_SUCCESS)
        return;
    for (i = 0; i < count && places[i].end != bl_cursor_offset(c); i++)
        ;
    /* Bytes that are no record from where the walk came may be one here. */
    must(i == count || places[i].id == rec.id, "the record that ends there");
}

static void check_window(unsigned choice)
{
    bl_window_t *w = bl_window_create(cursor(), tail, 0, pool);
    apr_uint64_t all = 0, number = 0, asked = choice % (lines + 2) + 1;
    bl_record_t rec;
    int i, j;

    must(bl_window_lines(&all, w) == APR_SUCCESS, "lines are counted");
    must(all == lines || holes, "all of them");
    must(bl_window_seek(w, asked) == APR_SUCCESS, "a line");
    for (i = 0; i < count && places[i].number < asked; i++)
        ;
    for (j = 0; j < 100; j++) {
        apr_status_t rv = bl_window_next(&rec, &number, w);

        must(rv == APR_SUCCESS || rv == APR_EOF, "a window");
        while (i < count && places[i].number == 0)
            i++;
        if (!holes)
            must((rv == APR_SUCCESS) == (i < count), "a window's end");
        if (rv != APR_SUCCESS)
            break;
        if (!holes)
            must(number == places[i].number && rec.id == places[i].id,
                 "the line with this number");
        i++;
    }
}

static void check_text(unsigned choice)
{
    bl_text_t *text = bl_text_create(cursor(), tail, pool);
    char *all = apr_palloc(pool, text_len + 2);
    char some[512];
    apr_size_t len = sizeof(some), done = 0, n;
    apr_off_t at = (apr_off_t)(choice * 31 % (text_len + 1));
    apr_status_t rv;

    while (done <= text_len) {
        n = text_len + 1 - done;
        rv = bl_text_read(all + done, &n, text, (apr_off_t)done);
        must(rv == APR_SUCCESS || rv == APR_EOF, "the text");
        if (rv == APR_EOF)
            break;
        must(n > 0, "a read reads");
        done += n;
    }
    must(done == text_len, "the whole text");
    rv = bl_text_read(some, &len, text, at);
    must((rv == APR_SUCCESS) == ((apr_size_t)at < text_len),
         "text from there");
    must(rv != APR_SUCCESS || memcmp(some, all + at, len) == 0, "that text");
}

static void check_again(void)
{
    bl_record_t rec;
    bl_stamp_t last;
    bl_log_t *log;
    bl_cursor_t *c;

    must(bl_log_reopen(&log, dir, 1, pool) == APR_SUCCESS, "taken up again");
    must(bl_log_tail(log) <= tail, "nothing is added");
    last = bl_log_last_id(log);
    must(count == 0 || last == places[count - 1].id, "its last record");
    memset(&rec, 0, sizeof(rec));
    rec.id = last + 1;
    rec.text = "more";
    rec.len = 4;
    bl_log_add(log, &rec);
    must(bl_log_commit(log) == APR_SUCCESS, "takes one more");
    c = cursor();
    must(bl_cursor_last(&rec, c, bl_log_tail(log)) == APR_SUCCESS &&
             rec.id == last + 1 && rec.len == 4,
         "which is there");
    bl_log_close(&log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned choice;

    if (pool == NULL) {
        begin();
        atexit(end);
    }
    if (size < 2)
        return 0;
    choice = data[0] * 256u + data[1];
    write_file(data + 2, size - 2);
    walk();
    check_search(choice);
    check_tail(choice);
    check_align(choice);
    check_window(choice);
    if (!holes)
        check_text(choice);
    check_again();
    apr_pool_clear(pool);
    return 0;
}
