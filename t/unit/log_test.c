/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_test.c - a log holds whole records, each once, whatever writing does
 * (G1 .. G4; promise 7), and a cursor finds every place in it (promise 1)
 *
 * What a log should hold is kept beside it as plain text, and every answer of
 * a cursor is compared with a walk over that. Writing fails where the test
 * says so: at each call, at each byte, in each way that pwrite(2) knows.
 */
#include "bl_log.h"

/* libc */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>

#include "tap.h"

static apr_pool_t *pool;
static char dir[64]; /* of the logs, removed at the end */
static apr_uint64_t last_build;

static unsigned random_below(unsigned n)
{
    static uint64_t state = 20261122;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

/* ---- what a log should hold ----------------------------------------- */

typedef struct {
    bl_stamp_t id;
    unsigned flags;
    size_t start; /* in the bytes of the model, as in the file */
    size_t end;
    size_t text;
    size_t text_len;
} place_t;

typedef struct {
    char *bytes;
    size_t len;
    size_t room;
    place_t *places;
    size_t count;
    size_t places_room;
    bl_stamp_t last_id;
} model_t;

static void model_bytes(model_t *m, const void *bytes, size_t len)
{
    if (m->len + len > m->room) {
        m->room = (m->len + len) * 2;
        m->bytes = realloc(m->bytes, m->room);
    }
    memcpy(m->bytes + m->len, bytes, len);
    m->len += len;
}

static void model_record(model_t *m, const bl_record_t *rec)
{
    char *line = malloc(rec->len + BL_REC_OVERHEAD);
    size_t len = bl_record_encode(line, rec);
    place_t *place;

    if (m->count == m->places_room) {
        m->places_room = m->places_room * 2 + 64;
        m->places = realloc(m->places, m->places_room * sizeof(place_t));
    }
    place = &m->places[m->count++];
    place->id = rec->id;
    place->flags = rec->flags;
    place->start = m->len;
    model_bytes(m, line, len);
    place->end = m->len;
    place->text = m->len - 1 - rec->len;
    place->text_len = rec->len;
    m->last_id = rec->id;
    free(line);
}

static void model_close(model_t *m)
{
    free(m->bytes);
    free(m->places);
    memset(m, 0, sizeof(*m));
}

/* A record behind those of the model; its text is made of a few letters. */
static bl_record_t record_next(const model_t *m, size_t len)
{
    static char text[2 * 1024 * 1024];
    bl_record_t rec;
    size_t i;

    memset(&rec, 0, sizeof(rec));
    rec.id = m->last_id + 1 + random_below(4);
    if (m->last_id == 0)
        rec.id = 1763805600000000;
    rec.stream = random_below(3) == 0 ? BL_STDERR : BL_STDOUT;
    rec.flags = random_below(5) == 0   ? BL_REC_NOTE | BL_REC_BUILD
                : random_below(9) == 0 ? BL_REC_PIECE
                                       : 0;
    for (i = 0; i < len; i++)
        text[i] = (char)('a' + (rec.id + i * 7) % 26);
    rec.text = text;
    rec.len = len;
    return rec;
}

/* ---- files ---------------------------------------------------------- */

static const char *path_of(apr_uint64_t build)
{
    static char path[128];

    apr_snprintf(path, sizeof(path), "%s/%" APR_UINT64_T_FMT ".log", dir,
                 build);
    return path;
}

/* A log with these bytes, whoever may have written them. */
static apr_uint64_t log_of(const char *bytes, size_t len)
{
    int fd = open(path_of(++last_build), O_WRONLY | O_CREAT | O_EXCL, 0600);
    size_t done = 0;

    while (fd >= 0 && done < len) {
        ssize_t n = write(fd, bytes + done, len - done);

        if (n <= 0)
            break;
        done += (size_t)n;
    }
    if (fd < 0 || close(fd) != 0 || done < len) {
        printf("Bail out! cannot write below %s\n", dir);
        exit(1);
    }
    return last_build;
}

static size_t file_size(apr_uint64_t build)
{
    struct stat info;

    return stat(path_of(build), &info) == 0 ? (size_t)info.st_size : 0;
}

/* Does the file hold the first len bytes of the model, and nothing else? */
static int file_is(apr_uint64_t build, const model_t *m, size_t len)
{
    char *bytes = malloc(len + 1);
    int fd = open(path_of(build), O_RDONLY);
    size_t got = 0;
    ssize_t n = 1;
    int same;

    while (fd >= 0 && n > 0 && got <= len) {
        n = read(fd, bytes + got, len + 1 - got);
        got += n > 0 ? (size_t)n : 0;
    }
    same = fd >= 0 && got == len &&
           (len == 0 || memcmp(bytes, m->bytes, len) == 0);
    if (fd >= 0)
        close(fd);
    free(bytes);
    return same;
}

static void remove_logs(void)
{
    struct dirent *entry;
    DIR *d = opendir(dir);

    while (d != NULL && (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(d), entry->d_name, 0);
    }
    if (d != NULL)
        closedir(d);
}

/* ---- writing that fails --------------------------------------------- */

static struct {
    unsigned calls;
    unsigned fail_at; /* calls from this one on fail... */
    unsigned fails;   /* ...so many of them */
    int error;        /* errno; 0: nothing is written, and no error told */
    size_t most;      /* bytes of a call; 0: all of them */
    size_t capacity;  /* bytes of the file; then ENOSPC */
    int failed;       /* calls that did */
} disk;

static void disk_reset(void)
{
    memset(&disk, 0, sizeof(disk));
    disk.capacity = SIZE_MAX;
    disk.error = ENOSPC;
}

/* What writes for the log now; NULL: the system does. */
static ssize_t (*log_write)(int fd, const void *buf, size_t len, off_t at);

static ssize_t system_write(int fd, const void *buf, size_t len, off_t at)
{
    return (ssize_t)syscall(SYS_pwrite64, fd, buf, len, at);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
    return (log_write != NULL ? log_write : system_write)(fd, buf, len, at);
}

static ssize_t disk_write(int fd, const void *buf, size_t len, off_t at)
{
    size_t size = (size_t)at;

    disk.calls++;
    if (disk.fail_at != 0 && disk.calls >= disk.fail_at &&
        disk.calls < disk.fail_at + disk.fails) {
        disk.failed++;
        errno = disk.error;
        return disk.error != 0 ? -1 : 0;
    }
    if (disk.most != 0 && len > disk.most)
        len = 1 + random_below((unsigned)disk.most);
    if (size >= disk.capacity) {
        disk.failed++;
        errno = ENOSPC;
        return -1;
    }
    /* A full disk takes what fits, and says no only to the next call. */
    if (len > disk.capacity - size)
        len = disk.capacity - size;
    return system_write(fd, buf, len, at);
}

/* What a reader may see in the log: the records of the model, and no more. */
static unsigned wrong_for_reader(apr_uint64_t build, const model_t *m,
                                 size_t count, apr_off_t tail)
{
    unsigned wrong = 0;
    bl_cursor_t *c;
    bl_record_t rec;
    size_t i = 0;

    if (bl_cursor_open(&c, dir, build, pool) != APR_SUCCESS)
        return 1;
    for (; bl_cursor_next(&rec, c, tail) == APR_SUCCESS; i++)
        wrong += i >= count || rec.id != m->places[i].id;
    bl_cursor_close(&c);
    return wrong + (i != count);
}

/* Some batches, each tried until it is written. @return what went wrong */
static unsigned write_batches(int batches)
{
    model_t m;
    unsigned wrong = 0;
    apr_uint64_t build = ++last_build;
    bl_log_t *log;

    memset(&m, 0, sizeof(m));
    if (bl_log_create(&log, dir, build, pool) != APR_SUCCESS)
        return 1;
    for (; batches > 0; batches--) {
        size_t len = m.len, count = m.count;
        bl_stamp_t id = m.last_id;
        int tries = 0, records = 1 + (int)random_below(4);

        while (records-- > 0) {
            bl_record_t rec = record_next(&m, random_below(30));

            model_record(&m, &rec);
            bl_log_add(log, &rec);
        }
        while (bl_log_commit(log) != APR_SUCCESS) {
            /* G4, and the batch is kept. */
            wrong += !file_is(build, &m, len) || !bl_log_pending(log) ||
                     bl_log_tail(log) != (apr_off_t)len ||
                     bl_log_last_id(log) != id ||
                     wrong_for_reader(build, &m, count, bl_log_tail(log));
            wrong += disk.error == EINTR; /* is not seen from outside */
            disk.capacity = disk.capacity == SIZE_MAX ? SIZE_MAX : m.len + 200;
            if (++tries == 3) { /* what came meanwhile goes with it */
                bl_record_t rec = record_next(&m, 5);

                model_record(&m, &rec);
                bl_log_add(log, &rec);
            }
            if (tries > 100)
                break;
        }
        wrong += !file_is(build, &m, m.len) || bl_log_pending(log) ||
                 bl_log_tail(log) != (apr_off_t)m.len ||
                 bl_log_last_id(log) != m.last_id;
    }
    bl_log_close(&log);
    wrong += wrong_for_reader(build, &m, m.count, (apr_off_t)m.len);
    unlink(path_of(build));
    model_close(&m);
    return wrong;
}

static void test_append(void)
{
    model_t m;
    bl_log_t *log, *other = NULL;
    apr_uint64_t build = ++last_build;
    struct stat info;
    int i;

    memset(&m, 0, sizeof(m));
    is_u64(bl_log_create(&log, dir, build, pool), APR_SUCCESS, "create");
    is_str(bl_log_path(dir, build, pool), path_of(build), "its name");
    ok(APR_STATUS_IS_EEXIST(bl_log_create(&other, dir, build, pool)) &&
           other == NULL,
       "a build has one log");
    stat(path_of(build), &info);
    is_u64(info.st_mode & 0137, 0, "others may not read it");
    is_u64(bl_log_commit(log), APR_SUCCESS, "an empty batch is written");
    ok(bl_log_tail(log) == 0 && bl_log_last_id(log) == 0 &&
           !bl_log_pending(log),
       "a new log is empty");
    for (i = 0; i < 3; i++) {
        bl_record_t rec = record_next(&m, (size_t)i);

        model_record(&m, &rec);
        bl_log_add(log, &rec);
    }
    ok(bl_log_pending(log) && bl_log_tail(log) == 0 && file_size(build) == 0,
       "what was added is not in the file yet");
    is_u64(bl_log_commit(log), APR_SUCCESS, "commit");
    ok(file_is(build, &m, m.len), "G4: now it is");
    ok(!bl_log_pending(log) && bl_log_tail(log) == (apr_off_t)m.len &&
           bl_log_last_id(log) == m.last_id,
       "tail and last id say so");
    /* More than a batch holds at first. */
    for (i = 0; i < 40; i++) {
        bl_record_t rec = record_next(&m, 20000);

        model_record(&m, &rec);
        bl_log_add(log, &rec);
    }
    is_u64(bl_log_commit(log), APR_SUCCESS, "a batch of 800 kB");
    ok(file_is(build, &m, m.len), "G4: it is in the file");
    bl_log_close(&log);
    ok(log == NULL, "close takes the pointer");
    model_close(&m);
}

static void test_failing_writes(void)
{
    static const struct {
        const char *name;
        int error;
        unsigned fails;
    } ways[] = {
        {"ENOSPC once", ENOSPC, 1},
        {"ENOSPC five times", ENOSPC, 5},
        {"EIO", EIO, 1},
        {"EINTR", EINTR, 3},
        {"nothing written", 0, 1},
        {"EAGAIN", EAGAIN, 2},
    };
    size_t i, capacity;
    unsigned wrong = 0, failed = 0;

    log_write = disk_write;
    for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        unsigned n = 0;
        int reached;

        wrong = failed = 0;
        /* The n-th call fails, for each n that there is. */
        do {
            disk_reset();
            disk.most = 40;
            disk.fail_at = ++n;
            disk.fails = ways[i].fails;
            disk.error = ways[i].error;
            wrong += write_batches(6);
            reached = disk.failed;
            failed += reached > 0;
            apr_pool_clear(pool);
        } while (reached > 0);
        is_u64(wrong, 0, "G3, G4: %s at each of %u writes", ways[i].name,
               failed);
        ok(failed > 10, "and there were some");
    }
    wrong = failed = 0;
    for (capacity = 0; capacity < 600; capacity++) {
        disk_reset();
        disk.capacity = capacity;
        wrong += write_batches(4);
        failed += disk.failed > 0;
        apr_pool_clear(pool);
    }
    is_u64(wrong, 0, "G3, G4: the disk is full at each byte");
    ok(failed > 500, "and it was");
    disk_reset();
    disk.most = 1;
    is_u64(write_batches(6), 0, "G4: a byte a write");
    log_write = NULL;
    is_u64(write_batches(6), 0, "pwrite(2) again");
}

/* What is asked before a build is ordered; promise 7. */
static void test_probe(void)
{
    const char *path = apr_pstrcat(pool, dir, "/.probe", NULL);
    apr_array_header_t *list;

    is_u64(bl_log_probe(dir, 65536, pool), APR_SUCCESS, "probe: a log fits");
    ok(access(path, F_OK) != 0, "probe: and nothing stays");
    log_write = disk_write;
    disk_reset();
    disk.capacity = 65535;
    is_u64(bl_log_probe(dir, 65536, pool), ENOSPC, "probe: a byte too few");
    ok(access(path, F_OK) != 0, "probe: nothing stays of it either");
    log_write = NULL;
    ok(APR_STATUS_IS_ENOENT(
           bl_log_probe(apr_pstrcat(pool, dir, "/gone", NULL), 1, pool)),
       "probe: no directory");
    ok(symlink("/dev/full", path) == 0 && bl_log_probe(dir, 1, pool) == ELOOP,
       "probe: a link leads nowhere");
    ok(bl_log_list(&list, dir, pool) == APR_SUCCESS,
       "probe: its file is no log");
    unlink(path);
}

/* Half of the batch, then an error; and what stands behind the tail cannot be
 * cut off, because the descriptor is for reading only by then. */
static int torn_fd, torn_calls;

static ssize_t torn_write(int fd, const void *buf, size_t len, off_t at)
{
    char path[64];
    int reader;

    if (torn_calls++ == 0)
        return system_write(fd, buf, len / 2, at);
    torn_fd = dup(fd);
    apr_snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    reader = open(path, O_RDONLY);
    dup2(reader, fd);
    close(reader);
    errno = EIO;
    return -1;
}

static void test_no_truncate(void)
{
    model_t m;
    bl_record_t rec;
    apr_uint64_t build = ++last_build;
    bl_log_t *log = NULL;
    size_t len;
    int i, fd;

    memset(&m, 0, sizeof(m));
    bl_log_create(&log, dir, build, pool);
    for (i = 0; i < 2; i++) {
        len = m.len;
        rec = record_next(&m, 50);
        model_record(&m, &rec);
        bl_log_add(log, &rec);
        if (i == 0)
            bl_log_commit(log);
    }
    log_write = torn_write;
    is_u64(bl_log_commit(log), EIO, "a write fails, and so does the cut");
    ok(bl_log_tail(log) == (apr_off_t)len && bl_log_pending(log),
       "tail and batch are as before");
    is_u64(wrong_for_reader(build, &m, 1, bl_log_tail(log)), 0,
           "G3: a reader sees nothing of it");
    is_u64(file_size(build), len + (m.len - len) / 2,
           "though a half record stands there");
    ok(bl_log_commit(log) != APR_SUCCESS &&
           file_size(build) == len + (m.len - len) / 2 && torn_calls == 2,
       "G4: nothing is written behind it");
    /* The descriptor of the log is the one that now reads the file. */
    for (fd = 3; fd < 64; fd++) {
        if (fd != torn_fd && fcntl(fd, F_GETFL) != -1 &&
            (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY) {
            struct stat a, b;

            if (fstat(fd, &a) == 0 && fstat(torn_fd, &b) == 0 &&
                a.st_ino == b.st_ino && a.st_dev == b.st_dev)
                dup2(torn_fd, fd);
        }
    }
    close(torn_fd);
    log_write = NULL;
    is_u64(bl_log_commit(log), APR_SUCCESS, "it can be cut again");
    ok(file_is(build, &m, m.len), "G4: each record is there once");
    bl_log_close(&log);
    model_close(&m);
}

/* ---- reopening ------------------------------------------------------ */

/* Reopen a log of these bytes; whole: what of it are whole records. */
static unsigned reopen(const char *bytes, size_t len, const model_t *m,
                       size_t count)
{
    size_t whole = count > 0 ? m->places[count - 1].end : 0;
    bl_stamp_t id = count > 0 ? m->places[count - 1].id : 0;
    apr_uint64_t build = log_of(bytes, len);
    unsigned wrong;
    bl_log_t *log;

    if (bl_log_reopen(&log, dir, build, pool) != APR_SUCCESS)
        return 1;
    wrong = bl_log_tail(log) != (apr_off_t)whole ||
            bl_log_last_id(log) != id || bl_log_pending(log) ||
            !file_is(build, m, whole);
    if (count < m->count) { /* and go on */
        bl_record_t rec;
        size_t used;

        bl_record_decode(&rec, m->bytes + m->places[count].start,
                         m->len - m->places[count].start, &used);
        bl_log_add(log, &rec);
        wrong += bl_log_commit(log) != APR_SUCCESS ||
                 !file_is(build, m, m->places[count].end);
    }
    bl_log_close(&log);
    unlink(path_of(build));
    return wrong;
}

static void test_reopen(void)
{
    static const size_t sizes[] = {0, 12, 40, 3, 0, 100};
    model_t m;
    size_t i, cut, count = 0;
    unsigned wrong = 0;
    char *junk;
    bl_log_t *log = NULL;

    memset(&m, 0, sizeof(m));
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        bl_record_t rec = record_next(&m, sizes[i]);

        model_record(&m, &rec);
    }
    for (cut = 0; cut <= m.len; cut++) {
        while (count < m.count && m.places[count].end <= cut)
            count++;
        wrong += reopen(m.bytes, cut, &m, count);
        apr_pool_clear(pool);
    }
    is_u64(wrong, 0, "a log cut at any byte is reopened, and goes on");
    model_bytes(&m, "this is no record\n\n2026-11-22T10:00:00", 38);
    is_u64(reopen(m.bytes, m.len, &m, m.count), 0,
           "lines behind the last record that are none are cut off");
    model_close(&m);

    /* A tail of many blocks, without an end. */
    junk = malloc(5 * 1024 * 1024);
    memset(junk, 'x', 5 * 1024 * 1024);
    wrong = 0;
    for (i = 4000; i <= 5 * 1024 * 1024; i *= 9) {
        bl_record_t rec = record_next(&m, 20);

        model_record(&m, &rec);
        model_bytes(&m, junk, i);
        wrong += reopen(m.bytes, m.len, &m, m.count);
        m.len -= i;
    }
    is_u64(wrong, 0, "a long half record is cut off");
    is_u64(reopen(junk, 300000, &m, 0), 0, "a log of nothing but damage");
    free(junk);
    model_close(&m);
    ok(APR_STATUS_IS_ENOENT(bl_log_reopen(&log, dir, last_build + 1, pool)) &&
           log == NULL,
       "a log that is not there");
}

/* ---- cursors -------------------------------------------------------- */

/* Records of the model whose end is at or below the tail. */
static size_t below(const model_t *m, size_t tail)
{
    size_t low = 0, high = m->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (m->places[middle].end <= tail)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int is_place(const bl_record_t *rec, const model_t *m, size_t i)
{
    const place_t *place = &m->places[i];

    return rec->id == place->id && rec->flags == place->flags &&
           rec->len == place->text_len &&
           memcmp(rec->text, m->bytes + place->text, rec->len) == 0;
}

/* Seek, and look at what comes next. @return 1: wrong */
static unsigned seek(bl_cursor_t *c, const model_t *m, bl_stamp_t after,
                     size_t tail)
{
    size_t count = below(m, tail), i = 0;
    bl_record_t rec;
    apr_status_t rv;

    while (i < count && m->places[i].id <= after)
        i++;
    if (bl_cursor_seek(c, after, (apr_off_t)tail) != APR_SUCCESS)
        return 1;
    rv = bl_cursor_next(&rec, c, (apr_off_t)tail);
    if (i == count)
        return rv != APR_EOF;
    if (rv != APR_SUCCESS || !is_place(&rec, m, i) ||
        bl_cursor_offset(c) != (apr_off_t)m->places[i].end)
        return 1;
    rv = bl_cursor_next(&rec, c, (apr_off_t)tail);
    return i + 1 == count ? rv != APR_EOF
                          : rv != APR_SUCCESS || !is_place(&rec, m, i + 1);
}

static unsigned last(bl_cursor_t *c, const model_t *m, size_t tail)
{
    size_t count = below(m, tail);
    bl_record_t rec;
    apr_status_t rv = bl_cursor_last(&rec, c, (apr_off_t)tail);

    if (count == 0)
        return rv != APR_EOF || bl_cursor_offset(c) != 0;
    return rv != APR_SUCCESS || !is_place(&rec, m, count - 1) ||
           bl_cursor_offset(c) != (apr_off_t)m->places[count - 1].end;
}

/* The id before each of the last lines, from the end on. */
static unsigned seek_tail(bl_cursor_t *c, const model_t *m, unsigned lines,
                          size_t tail)
{
    size_t i = below(m, tail);
    bl_stamp_t got = 1, want = i > 0 ? m->places[i - 1].id : 0;
    unsigned seen = 0;

    while (i > 0 && seen < lines) {
        i--;
        seen += (m->places[i].flags & (BL_REC_BUILD | BL_REC_END)) == 0;
        want = i > 0 ? m->places[i - 1].id : 0;
    }
    if (seen < lines)
        want = 0;
    return bl_cursor_seek_tail(&got, c, lines, (apr_off_t)tail) !=
               APR_SUCCESS ||
           got != want;
}

static unsigned walk(bl_cursor_t *c, const model_t *m, size_t tail)
{
    size_t count = below(m, tail), i;
    unsigned wrong = 0;
    bl_record_t rec;

    for (i = 0; i < count; i++)
        wrong += bl_cursor_next(&rec, c, (apr_off_t)tail) != APR_SUCCESS ||
                 !is_place(&rec, m, i);
    return wrong + (bl_cursor_next(&rec, c, (apr_off_t)tail) != APR_EOF);
}

/* The log grows below the cursor, some bytes at a time. */
static unsigned follow(bl_cursor_t *c, const model_t *m, unsigned most)
{
    size_t tail = 0, i = 0;
    unsigned wrong = 0;
    bl_record_t rec;

    while (tail < m->len) {
        tail += 1 + random_below(most);
        tail = tail < m->len ? tail : m->len;
        while (bl_cursor_next(&rec, c, (apr_off_t)tail) == APR_SUCCESS) {
            wrong += i >= m->count || !is_place(&rec, m, i);
            i++;
        }
        wrong += i != below(m, tail);
    }
    return wrong;
}

static bl_cursor_t *cursor_of(apr_uint64_t build)
{
    bl_cursor_t *c = NULL;

    if (bl_cursor_open(&c, dir, build, pool) != APR_SUCCESS) {
        printf("Bail out! no cursor\n");
        exit(1);
    }
    return c;
}

/* step: of how many ids one is tried, with its neighbours. */
static void check_cursor(const char *name, const model_t *m, size_t step)
{
    apr_uint64_t build = log_of(m->bytes, m->len);
    bl_cursor_t *c = cursor_of(build);
    unsigned wrong = 0, i;
    apr_off_t size = -1;
    size_t at;

    ok(bl_cursor_size(&size, c) == APR_SUCCESS && size == (apr_off_t)m->len,
       "%s: %zu records in %zu bytes", name, m->count, m->len);
    is_u64(walk(c, m, m->len), 0, "%s: all, in order", name);
    bl_cursor_close(&c);
    c = cursor_of(build);
    is_u64(follow(c, m, (unsigned)(m->len / 200 + 2)), 0,
           "%s: a tail that grows", name);
    for (at = 0; at < m->count; at += step)
        wrong += seek(c, m, m->places[at].id - 1, m->len) +
                 seek(c, m, m->places[at].id, m->len) +
                 seek(c, m, m->places[at].id + 1, m->len);
    is_u64(wrong, 0, "%s: seek every %zu. id", name, step);
    wrong = seek(c, m, 0, m->len) + seek(c, m, 1, m->len) +
            seek(c, m, BL_STAMP_MAX, m->len) + seek(c, m, 5, 0);
    is_u64(wrong, 0, "%s: seek start, before and behind all", name);
    for (i = wrong = 0; i < 200; i++) {
        size_t tail = random_below((unsigned)m->len + 1);
        size_t near = m->count > 0 ? random_below((unsigned)m->count) : 0;
        bl_stamp_t id = m->count > 0 ? m->places[near].id : 7;

        if (i % 4 == 0 && m->count > 0) /* the edges of a record */
            tail = m->places[near].end - i % 3;
        wrong += seek(c, m, id + random_below(3), tail) + last(c, m, tail);
    }
    is_u64(wrong, 0, "%s: seek and last below any tail", name);
    for (i = wrong = 0; i < 60; i++) {
        size_t tail = i % 2 == 0 ? m->len : random_below((unsigned)m->len + 1);
        unsigned most = (unsigned)m->count + 2;

        wrong += seek_tail(c, m, i < 20 ? i / 2 : random_below(most), tail);
    }
    is_u64(wrong, 0, "%s: the last lines", name);
    bl_cursor_close(&c);
    ok(c == NULL, "%s: close takes the pointer", name);
    unlink(path_of(build));
    apr_pool_clear(pool);
}

static void add_records(model_t *m, int count, size_t most)
{
    for (; count > 0; count--) {
        bl_record_t rec = record_next(m, random_below((unsigned)most));

        model_record(m, &rec);
    }
}

static void add_damage(model_t *m)
{
    static const char *const lines[] = {
        "\n",
        "nothing like a record\n",
        "2026-11-22T10:00:00.123456Z stdout X text\n",
        "2026-11-22T10:00:00.123456Z stdmid F text\n",
        "2026-11-22T10:00:00.123456Z stdout F\n",
        "2026-13-22T10:00:00.123456Z stdout F text\n",
        "\x01\x02\xFF\xFE 2026-11-22T10:00:00.123456Z stdout F x\n",
    };
    const char *line = lines[random_below(sizeof(lines) / sizeof(*lines))];

    model_bytes(m, line, strlen(line));
}

static void add_long_damage(model_t *m, size_t len)
{
    char *junk = malloc(len);

    memset(junk, '#', len);
    junk[len - 1] = '\n';
    model_bytes(m, junk, len);
    free(junk);
}

static void test_cursor(void)
{
    model_t m;
    int i;

    memset(&m, 0, sizeof(m));
    check_cursor("no record", &m, 1);
    add_records(&m, 1, 20);
    check_cursor("one record", &m, 1);
    add_records(&m, 4, 20);
    check_cursor("five", &m, 1);
    add_records(&m, 2995, 60);
    check_cursor("many", &m, 1);
    model_close(&m);

    add_records(&m, 40, 30000);
    add_records(&m, 3, 300);
    for (i = 0; i < 3; i++) {
        bl_record_t rec = record_next(&m, (size_t)i * 90000 + 65400);

        model_record(&m, &rec);
        add_records(&m, 20, 100);
    }
    check_cursor("longer than a block", &m, 1);
    {
        bl_record_t rec = record_next(&m, 1500000);

        model_record(&m, &rec);
    }
    check_cursor("the last one very long", &m, 7);
    add_records(&m, 3000, 60);
    check_cursor("long ones, then short ones", &m, 41);
    model_close(&m);

    for (i = 0; i < 300; i++) {
        add_records(&m, (int)random_below(12), 80);
        add_damage(&m);
        if (i % 60 == 30)
            add_long_damage(&m, 1000 + 30000 * random_below(8));
    }
    check_cursor("damage in between", &m, 3);
    add_records(&m, 10, 10);
    add_long_damage(&m, 150000);
    check_cursor("damage at the end", &m, 53);
    model_close(&m);
    add_long_damage(&m, BL_REC_MAX + BL_REC_MAX / 2);
    add_records(&m, 10, 10);
    check_cursor("a damaged line longer than any record", &m, 1);
    model_close(&m);
    add_long_damage(&m, 20);
    check_cursor("nothing but damage", &m, 1);
    model_close(&m);
}

/* Somebody cuts a log below the tail that was published. */
static void test_cut_below(void)
{
    model_t m;
    apr_uint64_t build;
    bl_cursor_t *c;
    bl_record_t rec;

    memset(&m, 0, sizeof(m));
    add_records(&m, 500, 400);
    build = log_of(m.bytes, m.len);
    c = cursor_of(build);
    ok(truncate(path_of(build), (off_t)(m.len / 2)) == 0 &&
           walk(c, &m, m.len / 2) == 0 &&
           bl_cursor_next(&rec, c, (apr_off_t)m.len) == APR_EOF &&
           bl_cursor_seek(c, m.last_id, (apr_off_t)m.len) == APR_SUCCESS &&
           bl_cursor_next(&rec, c, (apr_off_t)m.len) == APR_EOF &&
           bl_cursor_last(&rec, c, (apr_off_t)m.len) == APR_SUCCESS,
       "a log that was cut below its tail ends there");
    bl_cursor_close(&c);
    c = NULL;
    ok(APR_STATUS_IS_ENOENT(bl_cursor_open(&c, dir, last_build + 1, pool)) &&
           c == NULL,
       "a cursor on no log");
    model_close(&m);
}

/* ---- the directory -------------------------------------------------- */

static void test_list(void)
{
    static const char *const others[] = {
        "042.log",
        "0.log",
        "+5.log",
        "-5.log",
        "x.log",
        "5.log.1",
        "5.log~",
        ".log",
        "5",
        "5.LOG",
        "5 .log",
        "99999999999999999999.log",
        /* no build gets that far */
        "9007199254740992.log",
        "99999999999999999.log",
    };
    static const apr_uint64_t numbers[] = {42, 9, 1000000, 1, 10, 2};
    apr_array_header_t *list = NULL;
    const apr_uint64_t *got;
    size_t i;

    remove_logs();
    is_u64(bl_log_list(&list, dir, pool), APR_SUCCESS, "list");
    is_u64((uint64_t)list->nelts, 0, "an empty directory");
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        close(open(apr_pstrcat(pool, dir, "/", others[i], NULL),
                   O_CREAT | O_WRONLY, 0600));
    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        close(open(path_of(numbers[i]), O_CREAT | O_WRONLY, 0600));
    bl_log_list(&list, dir, pool);
    got = (const apr_uint64_t *)list->elts;
    ok(list->nelts == 6 && got[0] == 1 && got[1] == 2 && got[2] == 9 &&
           got[3] == 10 && got[4] == 42 && got[5] == 1000000,
       "all logs, by number, and nothing else");
    list = NULL;
    ok(APR_STATUS_IS_ENOENT(bl_log_list(&list, "/no/such/directory", pool)) &&
           list == NULL,
       "no directory");
}

/* ---- what is no file ------------------------------------------------- */

static int opens(const char *path, apr_int32_t flags)
{
    apr_file_t *file;
    apr_status_t rv = bl_log_file_open(&file, path, flags, pool);

    if (rv == APR_SUCCESS)
        apr_file_close(file);
    return rv == APR_EGENERAL ? -1 : rv;
}

/* Whoever puts one there waits for nobody to open it. */
static void test_no_file(void)
{
    static const char *const what[] = {"a link", "a link to nothing", "a fifo",
                                       "a directory", "a link to a fifo"};
    apr_int32_t write = APR_FOPEN_READ | APR_FOPEN_WRITE | APR_FOPEN_APPEND;
    const char *path = apr_pstrdup(pool, path_of(77)),
               *other = apr_pstrdup(pool, path_of(78));
    int i;

    close(open(other, O_CREAT | O_WRONLY, 0600));
    for (i = 0; i < 5; i++) {
        bl_log_t *log = NULL;
        bl_cursor_t *c = NULL;
        int good = 0;

        switch (i) {
        case 0:
            good = symlink(other, path) == 0;
            break;
        case 1:
            good = symlink("nothing", path) == 0;
            break;
        case 2:
            good = mkfifo(path, 0600) == 0;
            break;
        case 3:
            good = mkdir(path, 0700) == 0;
            break;
        default:
            unlink(other);
            good = mkfifo(other, 0600) == 0 && symlink(other, path) == 0;
        }
        ok(good, "%s stands in the place of a log", what[i]);
        ok(opens(path, APR_FOPEN_READ) != APR_SUCCESS &&
               bl_cursor_open(&c, dir, 77, pool) != APR_SUCCESS && c == NULL,
           "and is not read");
        ok(opens(path, write) != APR_SUCCESS &&
               bl_log_reopen(&log, dir, 77, pool) != APR_SUCCESS &&
               log == NULL,
           "nor gone on with");
        ok(bl_log_create(&log, dir, 77, pool) != APR_SUCCESS && log == NULL,
           "nor taken for a new one");
        if (i == 3)
            rmdir(path);
        else
            unlink(path);
    }
    unlink(other);
    is_u64((uint64_t)opens(path, APR_FOPEN_READ), ENOENT,
           "nothing is nothing");
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");

    apr_initialize();
    apr_pool_create(&pool, NULL);
    if (tmp == NULL || strlen(tmp) > 40)
        tmp = "/tmp";
    apr_snprintf(dir, sizeof(dir), "%s/log_test-XXXXXX", tmp);
    if (mkdtemp(dir) == NULL) {
        printf("Bail out! no directory below %s\n", tmp);
        return 1;
    }
    test_append();
    test_failing_writes();
    test_probe();
    test_no_truncate();
    test_reopen();
    test_cursor();
    test_cut_below();
    test_list();
    test_no_file();
    remove_logs();
    rmdir(dir);
    apr_terminate();
    return done_testing();
}
