/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hole_test.c - a log may have a hole: what stands before it and behind it is
 * read as ever, the hole is told of once, and nothing that is half swallowed
 * passes for a record, whoever reads while it grows (G3, G4, C1 to C4;
 * promises 1 and 4)
 *
 * Each text tells its own length and is made of its number, and has within it
 * what looks like a record: a reader that begins in the middle of one is found
 * out.
 */
#include "bl_log.h"

/* libc */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

#define FIRST_ID APR_UINT64_C(1763805600000000)
#define ID_STEP 10 /* ids between two records are nobody's */
#define ID(n) (FIRST_ID + (bl_stamp_t)(n)*ID_STEP)
#define TEXT_MOST 100000
#define FORGED " 2026-11-22T10:00:00.123456Z stdout F forged"

static apr_pool_t *pool;
static char dir[64];
static apr_uint64_t last_build;

static unsigned random_below(unsigned n)
{
    static uint64_t state = 20261123;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

/* ---- records whose texts can be checked ----------------------------- */

/* The text of record n, of about so many bytes: its length, itself, letters
 * of its own, and at its end what looks like a record. */
static apr_size_t make_text(char *out, unsigned n, apr_size_t about)
{
    char head[64];
    apr_size_t tail = strlen(FORGED), at, len;

    at = (apr_size_t)apr_snprintf(head, sizeof(head), "%06u %u ",
                                  (unsigned)about, n);
    len = about > at + tail ? about : at + tail;
    memcpy(out, head, at);
    for (; at < len - tail; at++)
        out[at] = (char)('a' + (n + at) % 26);
    memcpy(out + at, FORGED, tail);
    return len;
}

static bl_record_t make_record(char *text, unsigned n, apr_size_t about)
{
    bl_record_t rec;

    memset(&rec, 0, sizeof(rec));
    rec.id = ID(n);
    rec.text = text;
    rec.len = make_text(text, n, about);
    return rec;
}

static int is_whole(const bl_record_t *rec, unsigned n)
{
    static char text[TEXT_MOST + 100];
    apr_size_t about = rec->len > 7 ? (apr_size_t)strtoul(rec->text, NULL, 10)
                                    : TEXT_MOST + 1;

    return rec->id == ID(n) && about <= TEXT_MOST &&
           make_text(text, n, about) == rec->len &&
           memcmp(text, rec->text, rec->len) == 0;
}

/* Which record it is; -1: none of ours. */
static long number_of(const bl_record_t *rec)
{
    unsigned n = (unsigned)((rec->id - FIRST_ID) / ID_STEP);

    return rec->id >= FIRST_ID && is_whole(rec, n) ? (long)n : -1;
}

/* ---- a log ---------------------------------------------------------- */

/* What is there to be read: a record, or the note of the hole. */
typedef struct {
    bl_stamp_t id;
    apr_off_t begin;
    apr_off_t end;
} place_t;

typedef struct {
    apr_uint64_t build;
    bl_log_t *log;
    place_t *places;
    unsigned count;
    unsigned behind; /* the place behind the hole; 0: there is no hole */
    bl_hole_t hole;
    int noted; /* the place before that is its note */
} made_t;

static void bail_out(const char *what)
{
    printf("Bail out! %s below %s\n", what, dir);
    exit(1);
}

static apr_off_t tail_of(const made_t *m)
{
    return bl_log_tail(m->log);
}

static made_t make_log(unsigned count, apr_size_t most)
{
    static char text[TEXT_MOST + 100];
    made_t m;
    unsigned n;

    memset(&m, 0, sizeof(m));
    m.build = ++last_build;
    m.count = count;
    /* One more for the note. */
    m.places = apr_pcalloc(pool, sizeof(place_t) * (count + 1));
    if (bl_log_create(&m.log, dir, m.build, pool) != APR_SUCCESS)
        bail_out("no log");
    for (n = 0; n < count; n++) {
        bl_record_t rec =
            make_record(text, n, random_below((unsigned)most + 1));

        m.places[n].id = rec.id;
        m.places[n].begin = bl_log_end(m.log);
        bl_log_add(m.log, &rec);
        m.places[n].end = bl_log_end(m.log);
    }
    if (bl_log_commit(m.log) != APR_SUCCESS)
        bail_out("cannot write");
    return m;
}

/* Leave out the places from .. to-1. */
static void punch(made_t *m, unsigned from, unsigned to)
{
    m->hole.from = m->places[from].begin;
    m->hole.to = m->places[to].begin;
    if (bl_log_punch(m->log, &m->hole) != APR_SUCCESS)
        bail_out("no hole");
    memmove(m->places + from, m->places + to,
            sizeof(place_t) * (m->count - to));
    m->count -= to - from;
    m->behind = from;
}

#define NOTE_TEXT "123 lines were left out here"

static apr_status_t fill(made_t *m)
{
    bl_record_t note;
    place_t *place = m->places + m->behind;
    char line[200];
    apr_status_t rv;

    memset(&note, 0, sizeof(note));
    note.id = place[-1].id + 1;
    note.flags = BL_REC_NOTE | BL_REC_GAP;
    note.text = NOTE_TEXT;
    note.len = strlen(NOTE_TEXT);
    rv = bl_log_fill(m->log, &m->hole, &note);
    if (rv != APR_SUCCESS)
        return rv;
    memmove(place + 1, place, sizeof(place_t) * (m->count - m->behind));
    place->id = note.id;
    place->begin = m->hole.from;
    place->end = m->hole.from + (apr_off_t)bl_record_encode(line, &note);
    m->hole.from = place->end;
    m->count++;
    m->behind++;
    m->noted = 1;
    return APR_SUCCESS;
}

static void unmake(made_t *m)
{
    unlink(bl_log_path(dir, m->build, pool));
    bl_log_close(&m->log);
    apr_pool_clear(pool);
}

static bl_cursor_t *cursor_of(const made_t *m)
{
    bl_cursor_t *c = NULL;

    if (bl_cursor_open(&c, dir, m->build, pool) != APR_SUCCESS)
        bail_out("no cursor");
    return c;
}

/* ---- what a cursor should say --------------------------------------- */

static int is_place(const bl_record_t *rec, const made_t *m, unsigned i)
{
    if (rec->id != m->places[i].id)
        return 0;
    if (m->noted && i == m->behind - 1)
        return (rec->flags & BL_REC_GAP) != 0 &&
               rec->len == strlen(NOTE_TEXT) &&
               memcmp(rec->text, NOTE_TEXT, rec->len) == 0;
    return number_of(rec) >= 0;
}

/* Read on behind an id: so many places, or all. @return what was wrong */
static unsigned read_on(bl_cursor_t *c, const made_t *m, bl_stamp_t after,
                        unsigned most)
{
    unsigned i = 0, wrong = 0;
    bl_record_t rec;

    while (i < m->count && m->places[i].id <= after)
        i++;
    for (; i < m->count && most > 0; i++, most--) {
        int told = i > 0 && i == m->behind &&
                   !(m->noted && after == m->places[i - 1].id);
        const bl_hole_t *hole;

        if (bl_cursor_next(&rec, c, tail_of(m)) != APR_SUCCESS)
            return wrong + 1;
        hole = bl_cursor_skipped(c);
        wrong += !is_place(&rec, m, i) || (hole != NULL) != told ||
                 bl_cursor_offset(c) != m->places[i].end;
        if (hole != NULL)
            wrong += hole->from != m->hole.from || hole->to != m->hole.to;
        after = rec.id;
    }
    if (most > 0)
        wrong += bl_cursor_next(&rec, c, tail_of(m)) != APR_EOF;
    return wrong;
}

static unsigned seek(bl_cursor_t *c, const made_t *m, bl_stamp_t after)
{
    return (bl_cursor_seek(c, after, tail_of(m)) != APR_SUCCESS) +
           read_on(c, m, after, 2);
}

static unsigned seek_tail(bl_cursor_t *c, const made_t *m, unsigned lines)
{
    bl_stamp_t got = 1, want = 0;

    if (lines <= m->count && lines < m->count)
        want = m->places[m->count - lines - 1].id;
    return bl_cursor_seek_tail(&got, c, lines, tail_of(m)) != APR_SUCCESS ||
           got != want;
}

static unsigned last(bl_cursor_t *c, const made_t *m, apr_off_t tail)
{
    unsigned n = m->count;
    bl_record_t rec;
    apr_status_t rv = bl_cursor_last(&rec, c, tail);

    while (n > 0 && m->places[n - 1].end > tail)
        n--;
    if (n == 0)
        return rv != APR_EOF || bl_cursor_offset(c) != 0;
    return rv != APR_SUCCESS || !is_place(&rec, m, n - 1) ||
           bl_cursor_offset(c) != m->places[n - 1].end;
}

static void check(const char *name, const made_t *m)
{
    bl_cursor_t *c = cursor_of(m);
    unsigned wrong = 0, i;

    is_u64(read_on(c, m, 0, m->count + 1), 0,
           "%s: all that is there, and the hole, once", name);
    for (i = 0; i < m->count + 100; i++) {
        /* All ids, of the hole's records too; near its edges every one. */
        bl_stamp_t id = ID(i * 3000 / (m->count + 100));

        if (i >= m->count)
            id = m->places[m->behind].id - 500 + (i - m->count) * 10;
        wrong += seek(c, m, id - 1) + seek(c, m, id) + seek(c, m, id + 1);
    }
    for (i = m->behind > 3 ? m->behind - 3 : 0;
         i < m->count && i < m->behind + 3; i++)
        wrong += seek(c, m, m->places[i].id - 1) +
                 seek(c, m, m->places[i].id) + seek(c, m, m->places[i].id + 1);
    is_u64(wrong, 0, "%s: from any id on", name);
    for (wrong = i = 0; i < 60; i++)
        wrong += seek_tail(c, m, i < 20 ? i : random_below(m->count + 2));
    for (i = 0; i < 5; i++)
        wrong += seek_tail(c, m, m->count - m->behind + i);
    is_u64(wrong, 0, "%s: the last lines", name);
    for (wrong = i = 0; i < 200; i++)
        wrong += last(c, m, 1 + (apr_off_t)random_below((unsigned)tail_of(m)));
    for (i = 0; i < 3; i++)
        wrong += last(c, m, tail_of(m) - i) + last(c, m, m->hole.to - i) +
                 last(c, m, m->hole.from + i);
    is_u64(wrong, 0, "%s: the last one below any tail", name);
    bl_cursor_close(&c);
}

/* ---- a hole that stands still --------------------------------------- */

static apr_off_t room_of(const made_t *m)
{
    struct stat info;

    return stat(bl_log_path(dir, m->build, pool), &info) == 0
               ? (apr_off_t)info.st_blocks * 512
               : -1;
}

static void test_still(void)
{
    static const struct {
        const char *name;
        unsigned count, most, from, to;
    } cases[] = {
        {"a small hole", 300, 200, 100, 103},
        {"of most records", 3000, 300, 10, 2990},
        {"the head is one record", 3000, 300, 1, 2000},
        {"the tail is one record", 3000, 300, 100, 2999},
        {"of long records", 200, TEXT_MOST, 20, 180},
        {"between long records", 200, TEXT_MOST, 100, 103},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        made_t m = make_log(cases[i].count, cases[i].most);
        apr_off_t tail = tail_of(&m), room = room_of(&m), most;

        punch(&m, cases[i].from, cases[i].to);
        most = room - (m.hole.to - m.hole.from) + 2 * 4096;
        ok(room_of(&m) <= most && tail_of(&m) == tail,
           "%s: its room is given back", cases[i].name);
        check(cases[i].name, &m);
        is_u64(fill(&m), APR_SUCCESS, "%s: its note is written",
               cases[i].name);
        ok(room_of(&m) <= most + 4096 && tail_of(&m) == tail,
           "%s: and takes no more than a block", cases[i].name);
        check(apr_pstrcat(pool, cases[i].name, ", noted", NULL), &m);
        unmake(&m);
    }
}

/* Wider than anybody would like to read. */
static void test_wide(void)
{
    const apr_off_t wide = APR_INT64_C(200) << 30;
    made_t m = make_log(2000, 300);
    apr_off_t at = m.places[1000].begin;
    apr_size_t len = (apr_size_t)(tail_of(&m) - at);
    char *tail = apr_palloc(pool, len);
    int fd = open(bl_log_path(dir, m.build, pool), O_RDWR);
    unsigned i;

    if (fd < 0 || pread(fd, tail, len, at) != (ssize_t)len ||
        ftruncate(fd, at) != 0 ||
        pwrite(fd, tail, len, at + wide) != (ssize_t)len) {
        ok(1, "# SKIP no file of 200 GB here: %s", strerror(errno));
        unmake(&m);
        return;
    }
    close(fd);
    for (i = 1000; i < m.count; i++) {
        m.places[i].begin += wide;
        m.places[i].end += wide;
    }
    m.behind = 1000;
    m.hole.from = at;
    m.hole.to = at + wide;
    bl_log_close(&m.log);
    is_u64(bl_log_reopen(&m.log, dir, m.build, pool), APR_SUCCESS,
           "a log with a hole of 200 GB is opened");
    ok(bl_log_tail(m.log) == m.places[1999].end &&
           bl_log_last_id(m.log) == ID(1999),
       "and nothing of it is cut off");
    check("200 GB", &m);
    unmake(&m);
}

/* A tail in the midst of a hole is none that a writer publishes, but a cursor
 * that is asked to looks no further, and forgets nothing of the hole. */
static void test_tail_inside(void)
{
    made_t m = make_log(300, 300);
    bl_cursor_t *c = cursor_of(&m);
    const bl_hole_t *hole;
    bl_record_t rec;
    unsigned wrong = 0, i;

    punch(&m, 100, 200);
    for (i = 0; i < 100; i++)
        wrong += bl_cursor_next(&rec, c, m.hole.from + 500) != APR_SUCCESS;
    for (i = 500; i < 4000; i += 500)
        wrong += bl_cursor_next(&rec, c, m.hole.from + i) != APR_EOF;
    wrong += bl_cursor_next(&rec, c, tail_of(&m)) != APR_SUCCESS;
    hole = bl_cursor_skipped(c);
    ok(wrong == 0 && is_place(&rec, &m, 100) && hole != NULL &&
           hole->from == m.hole.from && hole->to == m.hole.to,
       "a tail inside a hole");
    bl_cursor_seek(c, 0, tail_of(&m));
    for (i = 0; i < 100; i++)
        bl_cursor_next(&rec, c, tail_of(&m));
    wrong = bl_cursor_next(&rec, c, m.hole.from + 500) != APR_EOF;
    is_u64(wrong + seek(c, &m, 0) + seek(c, &m, ID(210)), 0,
           "and away from there");
    bl_cursor_close(&c);
    unmake(&m);
}

/* What a power failure may leave: NULs where the last records would be. */
static void test_nuls_at_the_end(void)
{
    made_t m = make_log(300, 200);
    apr_off_t tail = tail_of(&m);
    bl_cursor_t *c = cursor_of(&m);
    bl_record_t rec;
    apr_off_t size;

    bl_log_close(&m.log);
    if (truncate(bl_log_path(dir, m.build, pool), tail + 100000) != 0)
        bail_out("cannot truncate");
    ok(bl_cursor_size(&size, c) == APR_SUCCESS && size == tail + 100000 &&
           bl_cursor_last(&rec, c, size) == APR_SUCCESS && rec.id == ID(299) &&
           bl_cursor_offset(c) == tail,
       "NULs at the end: the last record is before them");
    is_u64(bl_log_reopen(&m.log, dir, m.build, pool), APR_SUCCESS,
           "such a log is opened");
    is_u64((apr_uint64_t)bl_log_tail(m.log), (apr_uint64_t)tail,
           "and they are cut off");
    bl_cursor_close(&c);
    unmake(&m);
}

/* ---- a note that cannot be written ---------------------------------- */

static struct {
    unsigned calls;
    unsigned fail_at;
    apr_size_t most; /* 0: writing works */
} disk;

/* Instead of libc's, for the log as well. */
ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
    if (disk.most != 0 && ++disk.calls == disk.fail_at) {
        errno = ENOSPC;
        return -1;
    }
    if (disk.most != 0 && len > disk.most)
        len = disk.most;
    return (ssize_t)syscall(SYS_pwrite64, fd, buf, len, at);
}

static void test_note_fails(void)
{
    made_t m = make_log(300, 300);
    bl_record_t rec;
    unsigned wrong = 0, n = 0;
    bl_hole_t narrow;
    bl_cursor_t *c;

    punch(&m, 100, 200);
    disk.most = 20;
    do {
        c = cursor_of(&m);
        wrong += read_on(c, &m, 0, m.count + 1);
        bl_cursor_close(&c);
        disk.calls = 0;
        disk.fail_at = ++n;
    } while (fill(&m) != APR_SUCCESS);
    disk.most = 0;
    ok(n > 4 && wrong == 0, "G4: half a note is a part of the hole");
    check("written at last", &m);
    memset(&rec, 0, sizeof(rec));
    rec.id = ID(301);
    rec.text = NOTE_TEXT;
    rec.len = strlen(NOTE_TEXT);
    narrow.from = m.hole.from;
    narrow.to = m.hole.from + 40;
    is_u64(bl_log_fill(m.log, &narrow, &rec), APR_EINVAL,
           "one that does not fit is not written");
    bl_log_add(m.log, &rec);
    is_u64(bl_log_commit(m.log), APR_SUCCESS, "what follows is written");
    c = cursor_of(&m);
    ok(bl_cursor_last(&rec, c, tail_of(&m)) == APR_SUCCESS &&
           rec.id == ID(301),
       "and is appended");
    bl_cursor_close(&c);
    unmake(&m);
}

/* ---- a hole that grows under a reader ------------------------------- */

/* A reader has read some records, with some of the next ones, or a half one,
 * in its buffer; then the hole swallows its place, or all up to it, and a note
 * may be written. It gets whole records and is told of the hole, once. */
static unsigned overtake(unsigned most, unsigned read, unsigned from,
                         unsigned to, int noted)
{
    made_t m = make_log(400, most);
    bl_cursor_t *c = cursor_of(&m);
    unsigned wrong = 0, told = 0, left_out = 0, i;
    bl_record_t rec;
    apr_off_t at;
    long n = -1;
    apr_status_t rv;

    for (i = 0; i < read; i++) {
        wrong += bl_cursor_next(&rec, c, tail_of(&m)) != APR_SUCCESS;
        n = number_of(&rec);
    }
    punch(&m, from, to);
    if (noted)
        wrong += fill(&m) != APR_SUCCESS;
    at = bl_cursor_offset(c);
    for (; (rv = bl_cursor_next(&rec, c, tail_of(&m))) == APR_SUCCESS;
         at = bl_cursor_offset(c)) {
        long now = number_of(&rec);

        if ((rec.flags & BL_REC_GAP) != 0) {
            wrong += n != (long)from - 1 || bl_cursor_skipped(c) != NULL;
            told++;
            n = (long)to - 1;
            continue;
        }
        if (bl_cursor_skipped(c) != NULL) {
            wrong += now != (long)to || bl_cursor_skipped(c)->from != at ||
                     bl_cursor_skipped(c)->to != m.hole.to;
            told++;
        }
        left_out += now != n + 1;
        wrong += now <= n;
        n = now;
    }
    wrong += rv != APR_EOF || n != 399 || left_out > 1 || told < left_out ||
             told > 1;
    bl_cursor_close(&c);
    unmake(&m);
    return wrong;
}

static void test_overtaken(void)
{
    static const unsigned mosts[] = {0, 300, 3000, 40000};
    unsigned k, read, wrong = 0, tries = 0;

    for (k = 0; k < 4; k++) {
        for (read = 0; read < 390; read += 1 + random_below(30)) {
            unsigned from = 1 + random_below(380);
            unsigned to = from + 4 + random_below(396 - from - 4 + 1);

            if (to > 399)
                to = 399;
            wrong += overtake(mosts[k], read, from, to, (int)(tries % 2));
            tries++;
        }
    }
    is_u64(wrong, 0, "C1, C3: %u readers are overtaken by a hole", tries);
}

/* The half record at the end of what was read (64 kB), and the note that was
 * written where its other half stood, look like one record. */
static void test_half_a_note(void)
{
    unsigned wrong = 0, tries = 0, logs;

    for (logs = 0; logs < 60; logs++) {
        made_t m = make_log(1200, 200);
        bl_cursor_t *c = cursor_of(&m);
        bl_record_t rec;
        unsigned k = 0, left = 0;

        while (m.places[k].end <= 64 * 1024)
            k++;
        if (m.places[k].begin > 64 * 1024 - 70 &&
            m.places[k].begin < 64 * 1024) {
            tries++;
            bl_cursor_next(&rec, c, tail_of(&m));
            punch(&m, k, k + 50);
            fill(&m);
            while (bl_cursor_next(&rec, c, tail_of(&m)) == APR_SUCCESS) {
                wrong += number_of(&rec) < 0 && (rec.flags & BL_REC_GAP) == 0;
                left++;
            }
            wrong += left != m.count - 1;
        }
        bl_cursor_close(&c);
        unmake(&m);
    }
    ok(wrong == 0 && tries > 5,
       "C4: a record of which half is read, and then a note (%u times)",
       tries);
}

/* ---- a writer and readers at the same time -------------------------- */

#define RACE_RECORDS 60000
#define RACE_KEEP (48 * 1024)
#define RACE_STEP 4096

typedef struct {
    apr_off_t tail;  /* published */
    unsigned count;  /* records below it */
    unsigned behind; /* the hole's end, as a number */
    int over;
} race_t;

static void doze(unsigned most_us)
{
    struct timespec t = {0, 0};

    t.tv_nsec = (long)random_below(most_us) * 1000;
    nanosleep(&t, NULL);
}

static unsigned race_write(race_t *race, bl_log_t *log)
{
    static char text[TEXT_MOST + 100];
    static apr_off_t begins[RACE_RECORDS];
    bl_hole_t hole = {0, 0};
    unsigned n = 0, behind = 100, wrong = 0;
    bl_record_t note;

    while (n < RACE_RECORDS) {
        unsigned batch = 1 + random_below(40);

        for (; batch > 0 && n < RACE_RECORDS; batch--, n++) {
            apr_size_t len = random_below(50) == 0 ? 9000 : 250;
            bl_record_t rec =
                make_record(text, n, random_below((unsigned)len));

            begins[n] = bl_log_end(log);
            bl_log_add(log, &rec);
        }
        wrong += bl_log_commit(log) != APR_SUCCESS;
        __atomic_store_n(&race->count, n, __ATOMIC_RELEASE);
        __atomic_store_n(&race->tail, bl_log_tail(log), __ATOMIC_RELEASE);
        while (behind < n && begins[behind] < bl_log_tail(log) - RACE_KEEP)
            behind++;
        if (behind < 110 || begins[behind] - hole.to < RACE_STEP)
            continue;
        hole.from = begins[100];
        hole.to = begins[behind];
        wrong += bl_log_punch(log, &hole) != APR_SUCCESS;
        __atomic_store_n(&race->behind, behind, __ATOMIC_RELEASE);
    }
    memset(&note, 0, sizeof(note));
    note.id = ID(99) + 1;
    note.flags = BL_REC_NOTE | BL_REC_GAP;
    note.text = NOTE_TEXT;
    note.len = strlen(NOTE_TEXT);
    wrong += bl_log_fill(log, &hole, &note) != APR_SUCCESS;
    __atomic_store_n(&race->over, 1, __ATOMIC_RELEASE);
    return wrong;
}

/* Follow to the end; dozing, it is overtaken by the hole again and again.
 * *told: how often. */
static unsigned race_follow(unsigned *told, race_t *race, bl_cursor_t *c,
                            unsigned dozes)
{
    unsigned wrong = 0;
    long n = -1;

    while (n < RACE_RECORDS - 1) {
        apr_off_t tail = __atomic_load_n(&race->tail, __ATOMIC_ACQUIRE);
        bl_record_t rec;
        apr_status_t rv = bl_cursor_next(&rec, c, tail);
        long now;

        if (rv == APR_EOF) {
            doze(200);
            continue;
        }
        if (rv != APR_SUCCESS)
            return wrong + 1;
        if ((rec.flags & BL_REC_GAP) != 0) {
            wrong += n != 99;
            continue;
        }
        now = number_of(&rec);
        wrong += now <= n;
        wrong += (bl_cursor_skipped(c) != NULL) != (now != n + 1);
        *told += bl_cursor_skipped(c) != NULL;
        n = now > n ? now : n;
        if (dozes > 0 && random_below(dozes) == 0)
            doze(3000);
    }
    return wrong;
}

/* Look here and there while it goes on. */
static unsigned race_look(race_t *race, bl_cursor_t *c)
{
    unsigned wrong = 0;

    while (!__atomic_load_n(&race->over, __ATOMIC_ACQUIRE)) {
        apr_off_t tail = __atomic_load_n(&race->tail, __ATOMIC_ACQUIRE);
        unsigned count = __atomic_load_n(&race->count, __ATOMIC_ACQUIRE);
        unsigned behind = __atomic_load_n(&race->behind, __ATOMIC_ACQUIRE);
        unsigned want = random_below(count + 1);
        bl_stamp_t after;
        bl_record_t rec;
        int noted = 0;
        long n;

        if (tail == 0)
            continue;
        wrong += bl_cursor_last(&rec, c, tail) != APR_SUCCESS ||
                 number_of(&rec) < 0;
        if (random_below(2) == 0 && behind > 10)
            want = behind - 5 + random_below(10);
        wrong += bl_cursor_seek(c, ID(want) - 1, tail) != APR_SUCCESS;
        while (bl_cursor_next(&rec, c, tail) == APR_SUCCESS) {
            /* Written just before it is over: then that has told it. */
            if ((rec.flags & BL_REC_GAP) != 0) {
                noted = 1;
                continue;
            }
            n = number_of(&rec);
            wrong += n < (long)want || (n > (long)want && !noted &&
                                        bl_cursor_skipped(c) == NULL);
            noted = 0;
            want = (unsigned)n + 1;
            if (random_below(30) == 0)
                break;
        }
        want = random_below(300);
        wrong += bl_cursor_seek_tail(&after, c, want, tail) != APR_SUCCESS ||
                 (after % ID_STEP != 0 && after != ID(99) + 1);
    }
    return wrong;
}

static void test_race(void)
{
    race_t *race = mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    made_t m = make_log(0, 0);
    unsigned wrong, told = 0;
    pid_t pids[3];
    int i;

    /* A child that has lost its way does not hold up the test for ever. */
    for (i = 0; i < 3; i++) {
        pids[i] = fork();
        if (pids[i] != 0)
            continue;
        alarm(120);
        if (i == 0)
            wrong = race_write(race, m.log);
        else if (i == 1)
            wrong = race_look(race, cursor_of(&m));
        else
            wrong = race_follow(&told, race, cursor_of(&m), 0);
        _exit(wrong > 100 ? 100 : (int)wrong);
    }
    wrong = race_follow(&told, race, cursor_of(&m), 60);
    ok(wrong == 0, "a reader that dozes has whole records only (%u)", wrong);
    ok(told > 3, "and is told each time that the hole was faster (%u)", told);
    for (i = 0; i < 3; i++) {
        int status = -1;

        waitpid(pids[i], &status, 0);
        is_u64((apr_uint64_t)status, 0, "%s has nothing to complain of",
               i == 0   ? "the writer"
               : i == 1 ? "one that looks here and there"
                        : "one that follows");
    }
    munmap(race, sizeof(*race));
    unmake(&m);
}

/* ---------------------------------------------------------------------- */

/* Can holes be made there? */
static int can_punch(void)
{
    char path[80];
    int fd, can;

    apr_snprintf(path, sizeof(path), "%s/probe", dir);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    can = fd >= 0 && ftruncate(fd, 65536) == 0 &&
          fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000,
                    9000) == 0;
    if (fd >= 0)
        close(fd);
    unlink(path);
    return can;
}

static int make_dir(const char *below)
{
    if (below == NULL || strlen(below) > 40)
        return 0;
    apr_snprintf(dir, sizeof(dir), "%s/hole_test-XXXXXX", below);
    if (mkdtemp(dir) == NULL)
        return 0;
    if (can_punch())
        return 1;
    rmdir(dir);
    return 0;
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    if (!make_dir(getenv("TMPDIR")) && !make_dir("/tmp") &&
        !make_dir("/dev/shm")) {
        printf("1..0 # SKIP no file system here that can make holes\n");
        return 0;
    }
    alarm(300); /* who reads 200 GB, or goes in circles */
    test_still();
    test_wide();
    test_tail_inside();
    test_nuls_at_the_end();
    test_note_fails();
    test_overtaken();
    test_half_a_note();
    test_race();
    rmdir(dir);
    apr_terminate();
    return done_testing();
}
