/* SPDX-License-Identifier: Apache-2.0 */
/*
 * window_test.c - a line has one number, from wherever it is counted: it is
 * the line's number in the text (W1 to W3 of bl_window.h; promises 1 and 4)
 *
 * The numbers of all records are kept beside the log; every window that is
 * read is compared with them.
 */
#include "bl_window.h"

/* libc */
#include <stdlib.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>

#include "bl_middle.h"
#include "tap.h"

#define FIRST_ID APR_UINT64_C(1763805600000000)
#define RECORDS 30000
#define TEXT_MOST 4000

static apr_pool_t *pool;
static char dir[64]; /* of the logs, removed at the end */

/* A line record, and what is true of it. */
typedef struct {
    bl_stamp_t id;
    apr_uint64_t number;
    apr_off_t begin;
} place_t;

static place_t *places;
static unsigned count;
static apr_uint64_t lines; /* whole ones */
static bl_stamp_t last_id;
static apr_off_t tail;
static bl_log_t *log_of_it;
static apr_uint64_t build;

static unsigned random_below(unsigned n)
{
    static uint64_t state = 20261124;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

/* ---- the log -------------------------------------------------------- */

static void add_record(unsigned flags, apr_size_t len)
{
    static char bytes[TEXT_MOST];
    bl_record_t rec;

    memset(&rec, 0, sizeof(rec));
    memset(bytes, 'x', sizeof(bytes));
    rec.id = last_id += 10;
    rec.stream = random_below(2) == 0 ? BL_STDOUT : BL_STDERR;
    rec.flags = flags;
    rec.text = bytes;
    rec.len = len;
    if (BL_REC_IS_LINE(&rec)) {
        places[count].id = rec.id;
        places[count].number = lines + 1;
        places[count++].begin = bl_log_end(log_of_it);
        lines += (flags & BL_REC_PIECE) == 0;
    }
    bl_log_add(log_of_it, &rec);
}

static void begin_log(void)
{
    build++;
    count = 0;
    lines = 0;
    last_id = FIRST_ID;
    if (bl_log_create(&log_of_it, dir, build, pool) != APR_SUCCESS) {
        printf("Bail out! no log below %s\n", dir);
        exit(1);
    }
}

static void write_log(void)
{
    bl_log_commit(log_of_it);
    tail = bl_log_tail(log_of_it);
}

static void end_log(void)
{
    unlink(bl_log_path(dir, build, pool));
    bl_log_close(&log_of_it);
}

/* Everything there is: pieces, states, short lines in one half of the log and
 * long ones in the other, which deceives who guesses where a line is. */
static void make_log(int short_first)
{
    unsigned i;

    begin_log();
    for (i = 0; i < RECORDS; i++) {
        int is_short = (i < RECORDS / 2) == short_first;
        unsigned what = random_below(20);

        add_record(what == 0  ? BL_REC_NOTE | BL_REC_BUILD
                   : what < 6 ? BL_REC_PIECE
                   : what < 8 ? BL_REC_CR
                              : 0,
                   random_below(is_short ? 20 : 1000));
    }
    write_log();
}

/* What windows remember of the log; off: they remember nothing. */
static bl_marks_t marks;
static int with_marks;

static bl_window_t *window_of(int grows)
{
    bl_cursor_t *cursor;
    bl_window_t *w;

    if (bl_cursor_open(&cursor, dir, build, pool) != APR_SUCCESS) {
        printf("Bail out! no cursor\n");
        exit(1);
    }
    w = bl_window_create(cursor, tail, grows, pool);
    if (with_marks)
        bl_window_use(w, &marks);
    return w;
}

/* ---- numbers -------------------------------------------------------- */

/* Is what stands at the line number what should, so many records on? */
static int is_right_at(bl_window_t *w, apr_uint64_t number, unsigned records)
{
    apr_uint64_t got;
    bl_record_t rec;
    unsigned i = 0;

    if (bl_window_seek(w, number) != APR_SUCCESS)
        return 0;
    while (i < count && places[i].number < number)
        i++;
    for (; i < count && records > 0; i++, records--) {
        if (bl_window_number(w) != places[i].number ||
            (i > 0 && bl_window_after(w) < places[i - 1].id) ||
            bl_window_next(&rec, &got, w) != APR_SUCCESS ||
            got != places[i].number || rec.id != places[i].id ||
            bl_window_after(w) != rec.id)
            return 0;
    }
    return i < count ||
           (bl_window_next(&rec, &got, w) == APR_EOF &&
            bl_window_number(w) == lines + 1 && bl_window_after(w) == last_id);
}

static void test_numbers(const char *what, int is_known)
{
    bl_window_t *w = window_of(0);
    unsigned i, wrong = 0;
    apr_uint64_t n = 0;

    if (is_known)
        bl_window_know(w, lines);
    ok(is_right_at(w, 1, RECORDS), "%s: all, from the first line", what);
    for (i = 0; i < 300; i++)
        wrong += !is_right_at(w, 1 + random_below((unsigned)lines),
                              random_below(20));
    is_u64(wrong, 0, "%s: 300 windows at random", what);
    for (wrong = 0, i = 0; i < 60; i++)
        wrong += !is_right_at(w, lines - i, 100);
    is_u64(wrong, 0, "%s: each of the last 60 lines, to the end", what);
    ok(is_right_at(w, lines / 2, 5) && is_right_at(w, lines / 2 + 1, 5),
       "%s: the two in the middle", what);
    ok(is_right_at(w, lines + 1, 5), "%s: the one to come", what);
    ok(is_right_at(w, lines + 100000, 5) && is_right_at(w, APR_INT64_MAX, 5),
       "%s: far behind the end", what);
    ok(bl_window_lines(&n, w) == APR_SUCCESS && n == lines,
       "%s: how many they are", what);
    ok(is_right_at(w, lines - 5, 100), "%s: a line, after that", what);
}

/* From a record on, by its id: as a client goes on that has it. */
static void test_by_id(void)
{
    bl_window_t *w = window_of(0);
    unsigned i, wrong = 0;

    for (i = 0; i < 300; i++) {
        unsigned at = 1 + random_below(count - 1);
        apr_uint64_t got = 0;
        bl_record_t rec;

        if (bl_window_seek_id(w, places[at - 1].id, places[at].number) !=
                APR_SUCCESS ||
            bl_window_after(w) != places[at - 1].id ||
            bl_window_number(w) != places[at].number ||
            bl_window_next(&rec, &got, w) != APR_SUCCESS ||
            got != places[at].number || rec.id != places[at].id)
            wrong++;
    }
    is_u64(wrong, 0, "300 places by their ids");
}

static apr_size_t one_more(void *baton, const bl_record_t *rec,
                           apr_size_t before)
{
    apr_size_t *most_pieces = baton;

    if (before >= *most_pieces)
        *most_pieces = before + 1;
    return 1 + 0 * rec->len;
}

/* Each record takes 1: so many records of whole lines, not more. */
static void test_fit(void)
{
    bl_window_t *w = window_of(0);
    unsigned i, wrong = 0;

    bl_window_know(w, lines);
    for (i = 0; i < 200; i++) {
        unsigned most = random_below(200), have = 0, at = count;
        apr_uint64_t asked = 1 + random_below(150), first = 0;
        apr_size_t pieces = 0;

        bl_window_seek_last(&first, w, asked);
        wrong += bl_window_fit(&first, w, asked, most, one_more, &pieces,
                               pool) != APR_SUCCESS;
        wrong += bl_window_number(w) != first;
        while (at > 0 && places[at - 1].number >= first) {
            at--;
            have++;
        }
        wrong += first > lines || first + asked <= lines;
        wrong += have > most && first < places[count - 1].number;
        /* There is no room for one more line. */
        for (; first + asked > lines + 1 && at > 0 &&
               places[at - 1].number == first - 1;
             at--)
            have++;
        wrong += first + asked > lines + 1 && have <= most;
        wrong += places[count - 1].number == lines && pieces == 0;
    }
    is_u64(wrong, 0, "the last lines for which there is room, 200 times");
}

/* Each in a window of its own, as each request has one. */
static void test_marks(const char *what, int is_known, int grows)
{
    unsigned i, wrong = 0;
    apr_uint64_t n = 0;

    bl_marks_clear(&marks, 3000);
    with_marks = 1;
    for (i = 0; i < 600; i++) {
        bl_window_t *w = window_of(grows);

        if (is_known)
            bl_window_know(w, lines);
        wrong += !is_right_at(w, 1 + random_below((unsigned)lines + 5),
                              random_below(20));
    }
    is_u64(wrong, 0, "%s: 600 windows that remember", what);
    ok(marks.count > BL_MARKS_MOST / 8 && marks.count <= BL_MARKS_MOST,
       "%s: %u places", what, marks.count);
    for (wrong = 0, i = 0; i < marks.count; i++) {
        unsigned at = 0;

        while (at < count && places[at].begin < marks.at[i].offset)
            at++;
        /* The record of a build may stand between. */
        wrong += at == count || places[at].number != marks.at[i].number;
    }
    is_u64(wrong, 0, "%s: they are where they should be", what);
    ok(bl_window_lines(&n, window_of(grows)) == APR_SUCCESS && n == lines,
       "%s: all lines are counted from there", what);
    with_marks = 0;
}

/* The reading is from the last place that is remembered. */
static void test_marks_help(void)
{
    apr_uint64_t n;
    bl_mark_t end = {0, 0};
    bl_record_t rec;
    bl_window_t *w;

    bl_marks_clear(&marks, 3000);
    with_marks = 1;
    bl_window_lines(&n, window_of(1));
    ok(marks.count > 0 && tail - marks.at[marks.count - 1].offset <=
                              marks.spacing + TEXT_MOST,
       "who counts a log that grows remembers it to its end");
    /* As if the log had other lines there: it is not looked at again. */
    end = marks.at[marks.count - 1];
    marks.at[marks.count - 1].number += 1000000;
    w = window_of(1);
    ok(bl_window_seek_last(&n, w, 1) == APR_SUCCESS && n > 1000000 &&
           bl_window_next(&rec, &n, w) == APR_SUCCESS && n > 1000000,
       "and the next one counts from there");
    marks.at[marks.count - 1] = end;
    with_marks = 0;
}

static void test_pieces_at_the_end(void)
{
    apr_uint64_t n = 0;
    bl_window_t *w;

    begin_log();
    add_record(0, 10);
    add_record(BL_REC_PIECE, 10);
    add_record(0, 10);
    add_record(BL_REC_PIECE, 10);
    add_record(BL_REC_PIECE, 10);
    add_record(BL_REC_NOTE | BL_REC_BUILD, 10);
    write_log();
    w = window_of(1);
    ok(bl_window_lines(&n, w) == APR_SUCCESS && n == 2,
       "a line without its end is not counted");
    ok(is_right_at(w, 3, 10), "and is there");
    end_log();
}

/* Longer than what a search from the end looks at: it stops inside. */
static void test_long_line(void)
{
    unsigned i, wrong = 0;
    bl_window_t *w;

    begin_log();
    for (i = 0; i < 1210; i++) {
        int is_part = i >= 1000 && i < 1200;

        add_record(is_part ? BL_REC_PIECE : 0, is_part ? TEXT_MOST : 10);
    }
    write_log();
    w = window_of(0);
    bl_window_know(w, lines);
    for (i = 1; i <= lines; i++)
        wrong += !is_right_at(w, i, 3);
    is_u64(wrong, 0, "no window begins inside of a line in pieces");
    bl_marks_clear(&marks, 5000);
    with_marks = 1;
    for (wrong = 0, i = 1; i <= 2 * lines; i++) {
        w = window_of(0);
        bl_window_know(w, lines);
        wrong += !is_right_at(w, 1 + random_below((unsigned)lines), 3);
    }
    is_u64(wrong, 0, "nor when places in it are remembered");
    with_marks = 0;
    end_log();
}

static void test_nothing(void)
{
    apr_uint64_t n = 1;
    bl_record_t rec;
    bl_window_t *w;

    begin_log();
    write_log();
    w = window_of(1);
    ok(bl_window_seek(w, 1) == APR_SUCCESS &&
           bl_window_next(&rec, &n, w) == APR_EOF && bl_window_after(w) == 0 &&
           bl_window_number(w) == 1,
       "an empty log has nothing");
    ok(bl_window_lines(&n, w) == APR_SUCCESS && n == 0, "no lines");
    ok(bl_window_seek(w, 1) == APR_SUCCESS &&
           bl_window_seek(w, 77) == APR_SUCCESS && bl_window_number(w) == 1,
       "and no place behind them");
    end_log();
}

/* ---- damage --------------------------------------------------------- */

/* Its last record says more, or less, than there is. */
static void test_wrong_count(void)
{
    static const int wrong_by[] = {1000, -1000, -1000000};
    apr_uint64_t got;
    bl_record_t rec;
    unsigned i;

    for (i = 0; i < 3; i++) {
        bl_window_t *w = window_of(0);
        apr_int64_t said = (apr_int64_t)lines + wrong_by[i];
        apr_uint64_t n;

        bl_window_know(w, said < 0 ? 0 : (apr_uint64_t)said);
        for (n = 1; n < lines + 2000; n += lines / 5) {
            apr_status_t rv = bl_window_seek(w, n);

            while (rv == APR_SUCCESS)
                rv = bl_window_next(&rec, &got, w);
            if (rv != APR_EOF)
                break;
        }
        ok(n >= lines + 2000, "a count that is wrong by %d ends all the same",
           wrong_by[i]);
    }
}

/* ---- holes ---------------------------------------------------------- */

/* Leave out the places from .. to-1: of a log that grows they are one line. */
static void punch(unsigned from, unsigned to)
{
    bl_hole_t hole;
    unsigned i;

    hole.from = places[from].begin;
    hole.to = places[to].begin;
    if (bl_log_punch(log_of_it, &hole) != APR_SUCCESS) {
        printf("Bail out! no hole\n");
        exit(1);
    }
    places[from].id = places[to].id - 1;
    places[from].number = places[from > 0 ? from - 1 : 0].number + 1;
    memmove(places + from + 1, places + to, sizeof(place_t) * (count - to));
    count -= to - from - 1;
    lines = 0;
    for (i = 0; i < count; i++)
        places[i].number = ++lines;
}

static apr_uint64_t hole_end(void)
{
    apr_off_t end = -1;
    bl_cursor_t *cursor;

    if (bl_cursor_open(&cursor, dir, build, pool) == APR_SUCCESS)
        bl_cursor_hole_end(&end, cursor, tail);
    return (apr_uint64_t)end;
}

static int is_hole(bl_window_t *w, unsigned at)
{
    apr_uint64_t number;
    bl_record_t rec, want;

    bl_middle_record(&want, places[at + 1].id);
    return bl_window_seek(w, places[at].number) == APR_SUCCESS &&
           bl_window_next(&rec, &number, w) == APR_SUCCESS &&
           rec.flags == (BL_REC_NOTE | BL_REC_GAP) && rec.id == want.id &&
           rec.len == want.len && memcmp(rec.text, want.text, rec.len) == 0;
}

static void test_hole(void)
{
    unsigned i, wrong = 0;
    apr_off_t to;
    apr_uint64_t n;
    bl_window_t *w;

    begin_log();
    for (i = 0; i < 20000; i++)
        add_record(0, 10 + random_below(100));
    write_log();
    to = places[13000].begin;
    is_u64(hole_end(), 0, "a log without a hole");
    punch(5000, 13000);
    is_u64(hole_end(), (apr_uint64_t)to, "a hole, and where it ends");
    w = window_of(1);
    ok(is_right_at(w, 1, RECORDS), "a hole in a log that grows is a line");
    ok(is_hole(w, 5000), "which says so");
    ok(is_right_at(w, 5002, 10), "behind it the numbers go on");
    ok(bl_window_lines(&n, w) == APR_SUCCESS && n == lines,
       "it is counted once");
    for (i = 0; i < 300; i++)
        wrong += !is_right_at(w, 1 + random_below((unsigned)lines), 10);
    for (i = 4900; i < 5100; i++)
        wrong += !is_right_at(w, i, 3);
    is_u64(wrong, 0, "from either end");
    ok(is_hole(w, 5000), "it says so still");
    test_marks("with a hole", 0, 1);
    w = window_of(0);
    ok(bl_window_lines(&n, w) == APR_SUCCESS && n == lines - 1,
       "in a log that has ended only its own note would be one");
    end_log();
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    strcpy(dir, "/tmp/buildlog-window-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        printf("Bail out! no directory\n");
        return 1;
    }
    places = apr_pcalloc(pool, sizeof(place_t) * (RECORDS + 1));
    make_log(1);
    test_numbers("counted", 0);
    test_numbers("known", 1);
    test_marks("counted", 0, 0);
    test_marks("known", 1, 0);
    test_marks_help();
    test_by_id();
    test_fit();
    end_log();
    make_log(0);
    test_numbers("long lines first", 1);
    test_marks("long lines first", 1, 0);
    test_wrong_count();
    end_log();
    test_pieces_at_the_end();
    test_long_line();
    test_nothing();
    test_hole();
    rmdir(dir);
    return done_testing();
}
