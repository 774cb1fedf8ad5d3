/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool_test.c - an order that was saved is loaded as it was, or not at all;
 * nobody else can read it, and what nobody waits for is cleared away (promises
 * 6 and 8); what BuildLogMask names is there only for this server (issue 6,
 * item 5)
 */
#include "bl_spool.h"

/* libc */
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>

#include "bl_build.h"
#include "tap.h"

#define SECRET "TOKEN=open \"sesame\"\n= 1"

static apr_pool_t *pool;
static bl_seal_key_t key;
static const char *state, *dir; /* a directory of this test's own */

static const char *env[] = {"PATH=/usr/bin:/bin", SECRET};
static bl_wire_step_t steps[] = {
    {"install", "yarn install"},
    {"build", "yarn build && echo \"\xC3\xBC\" \xFF"},
};

static bl_order_t order_make(void)
{
    bl_order_t order;

    memset(&order, 0, sizeof(order));
    order.project = "/srv/shop";
    order.title = "The shop";
    order.user = "alice";
    order.step_count = 2;
    order.steps = steps;
    order.env_count = 2;
    order.env = env;
    order.timeout = 3600;
    order.idle_timeout = 600;
    order.kill_grace = 5;
    order.max_log = 1 << 20;
    order.messages[BL_BUILD_FAILED] = "Not this time";
    return order;
}

static const char *path_of(const char *name)
{
    return apr_pstrcat(pool, dir, "/", name, NULL);
}

static int is_there(const char *name)
{
    struct stat info;

    return lstat(path_of(name), &info) == 0;
}

static unsigned mode_of(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 ? (unsigned)info.st_mode & 0777u : 0;
}

static apr_size_t file_read(char *buf, apr_size_t size, const char *name)
{
    FILE *in = fopen(path_of(name), "rb");
    apr_size_t n = in != NULL ? fread(buf, 1, size, in) : 0;

    if (in != NULL)
        fclose(in);
    return n;
}

static void file_write(const char *name, const char *bytes, apr_size_t len)
{
    FILE *out = fopen(path_of(name), "wb");

    if (out == NULL || fwrite(bytes, 1, len, out) != len || fclose(out) != 0) {
        printf("Bail out! %s cannot be written\n", path_of(name));
        exit(1);
    }
}

static apr_status_t save(apr_uint64_t build)
{
    bl_order_t order = order_make();

    return bl_spool_save(dir, build, &order, &key, pool);
}

static apr_status_t load(apr_uint64_t build)
{
    bl_order_t *order = NULL;
    apr_status_t rv = bl_spool_load(&order, dir, build, &key, pool);

    if (rv != APR_SUCCESS && order != NULL)
        abort();
    return rv;
}

/* ---- saving and loading --------------------------------------------- */

static void test_dir(void)
{
    mode_t mask = umask(0);

    ok(strcmp(dir, apr_pstrcat(pool, state, "/queue", NULL)) == 0,
       "the directory is queue");
    is_u64(bl_spool_make(dir, pool), APR_SUCCESS, "it is made");
    is_u64(mode_of(dir), 0700, "its owner's alone, whatever the umask");
    is_u64(bl_spool_make(dir, pool), APR_SUCCESS, "and may be there");
    umask(mask);
    ok(bl_spool_make(apr_pstrcat(pool, dir, "/no/queue", NULL), pool) !=
           APR_SUCCESS,
       "not below what is not there");
}

static void test_order(void)
{
    bl_order_t order = order_make(), *back = NULL;
    const char *frame, *again;
    apr_size_t len, again_len;
    mode_t mask = umask(0);

    is_u64(save(42), APR_SUCCESS, "save");
    umask(mask);
    is_u64(mode_of(path_of("42.order")), 0600,
           "a file that is its owner's alone, whatever the umask");
    ok(!is_there("42.order.new"), "and no other is left");
    is_u64(bl_spool_load(&back, dir, 42, &key, pool), APR_SUCCESS, "load");
    bl_wire_order_write(&frame, &len, &order, pool);
    bl_wire_order_write(&again, &again_len, back, pool);
    is_mem(again, again_len, frame, len, "all of the order is there");
    is_str(back->env[1], SECRET, "with its environment");
    is_str(back->user, "alice", "and who wanted it");

    order.user = NULL;
    order.env_count = 0;
    is_u64(bl_spool_save(dir, 42, &order, &key, pool), APR_SUCCESS,
           "save again");
    is_u64(bl_spool_load(&back, dir, 42, &key, pool), APR_SUCCESS,
           "load again");
    ok(back->user == NULL && back->env_count == 0, "the later one is there");

    is_u64(load(43), APR_ENOENT, "none of another build");
    is_u64(load(4), APR_ENOENT, "nor of one whose number begins like it");
    bl_spool_remove(dir, 42, pool);
    is_u64(load(42), APR_ENOENT, "removed");
    bl_spool_remove(dir, 42, pool);
    is_u64(save(APR_UINT64_C(9223372036854775807)), APR_SUCCESS,
           "the last number");
    is_u64(load(APR_UINT64_C(9223372036854775807)), APR_SUCCESS,
           "is like any other");
    bl_spool_remove(dir, APR_UINT64_C(9223372036854775807), pool);
}

static void test_long(void)
{
    bl_order_t order = order_make(), *back;
    apr_size_t len = BL_WIRE_BODY_MAX - 4096;
    char *text = apr_palloc(pool, len + 1);
    const char *most[1];

    memset(text, 'x', len);
    text[len] = '\0';
    text[1] = '=';
    most[0] = text;
    order.env = most;
    order.env_count = 1;
    is_u64(bl_spool_save(dir, 1, &order, &key, pool), APR_SUCCESS,
           "a long one");
    ok(bl_spool_load(&back, dir, 1, &key, pool) == APR_SUCCESS &&
           strcmp(back->env[0], text) == 0,
       "is as it was");
    order.step_count = 0;
    is_u64(bl_spool_save(dir, 2, &order, &key, pool), APR_EINVAL,
           "one that is no order is not saved");
    ok(!is_there("2.order") && !is_there("2.order.new"), "not in part either");
    bl_spool_remove(dir, 1, pool);
}

/* ---- secrets (P1) --------------------------------------------------- */

static const char *masks[] = {"TOKEN", "KEY", "NOT_SET"};
static const char *secret_env[] = {"A=1",
                                   "KEY=-----BEGIN\nabcdef\n",
                                   "PATH=/usr/bin:/bin",
                                   SECRET,
                                   "Z=last",
                                   "URL=https://x:open \"sesame\"@host"};
static bl_wire_step_t secret_steps[] = {{"open sesame", "say 'abcdef'"}};

static bl_order_t order_with_secrets(void)
{
    bl_order_t order = order_make();

    order.mask_count = 3;
    order.masks = masks;
    order.env_count = 6;
    order.env = secret_env;
    order.step_count = 1;
    order.steps = secret_steps;
    order.messages[BL_BUILD_FAILED] = "No sesame";
    return order;
}

static void test_secrets(void)
{
    bl_order_t order = order_with_secrets(), *back = NULL;
    bl_seal_key_t other;
    char bytes[4096], again[4096];
    apr_size_t len, again_len, at, frame_len;
    unsigned taken = 0;
    const char *frame;
    int i;

    is_u64(bl_spool_save(dir, 50, &order, &key, pool), APR_SUCCESS,
           "secrets: save");
    len = file_read(bytes, sizeof(bytes), "50.order");
    ok(memmem(bytes, len, "sesame", 6) == NULL &&
           memmem(bytes, len, "abcdef", 6) == NULL &&
           memmem(bytes, len, "BEGIN", 5) == NULL,
       "... their values cannot be read, wherever they stand");
    is_u64(bl_spool_load(&back, dir, 50, &key, pool), APR_SUCCESS,
           "secrets: load");
    for (i = 0; i < order.env_count; i++)
        is_str(back->env[i], order.env[i], "... %d is there", i);
    is_u64((unsigned)back->env_count, 6, "... and no more");
    is_str(back->steps[0].command, order.steps[0].command, "... its steps");
    is_u64((unsigned)back->mask_count, 3, "... with the names of secrets");

    bl_spool_save(dir, 50, &order, &key, pool);
    again_len = file_read(again, sizeof(again), "50.order");
    ok(again_len == len && memcmp(again, bytes, len) != 0,
       "saved again they look otherwise");

    for (at = 0; at < len; at++) {
        file_write("50.order", bytes, at);
        taken += load(50) == APR_SUCCESS;
    }
    is_u64(taken, 0, "no part of it is an order (%u bytes)", (unsigned)len);
    for (at = 0; at < len; at++) {
        bytes[at] ^= 0x20;
        file_write("50.order", bytes, len);
        taken += load(50) == APR_SUCCESS;
        bytes[at] ^= 0x20;
    }
    is_u64(taken, 0, "nor is one in which a byte is another");
    memcpy(bytes + len, "x", 1);
    file_write("50.order", bytes, len + 1);
    is_u64(load(50), APR_EMISMATCH, "nor one with a byte behind it");
    file_write("50.order", bytes, len);
    is_u64(load(50), APR_SUCCESS, "but the whole one");
    file_write("51.order", bytes, len);
    is_u64(load(51), APR_EMISMATCH, "and that of this build alone");
    bl_spool_remove(dir, 51, pool);
    bl_wire_order_write(&frame, &frame_len, &order, pool);
    file_write("51.order", frame, frame_len);
    is_u64(load(51), APR_EGENERAL, "not one that was put there unsealed");
    bl_spool_remove(dir, 51, pool);

    bl_seal_key_make(&other);
    back = NULL;
    is_u64(bl_spool_load(&back, dir, 50, &other, pool), APR_EMISMATCH,
           "another server cannot open it");
    ok(back == NULL, "... and gets nothing");

    order.env_count = 1;
    is_u64(bl_spool_save(dir, 50, &order, &key, pool), APR_SUCCESS,
           "secrets that are not set");
    ok(bl_spool_load(&back, dir, 50, &key, pool) == APR_SUCCESS &&
           back->env_count == 1,
       "... load");
    bl_spool_remove(dir, 50, pool);
}

/* ---- what is no order ----------------------------------------------- */

static void test_torn(void)
{
    char whole[4096];
    apr_size_t len, at;
    unsigned taken = 0;
    struct rlimit limit, none;
    apr_status_t again, fresh;

    save(7);
    len = file_read(whole, sizeof(whole) - 1, "7.order");
    for (at = 0; at < len; at++) {
        file_write("7.order", whole, at);
        taken += load(7) != APR_EGENERAL;
    }
    is_u64(taken, 0, "no part of an order is one (%u bytes)", (unsigned)len);
    whole[len] = 'x';
    file_write("7.order", whole, len + 1);
    is_u64(load(7), APR_EGENERAL, "nor is one with a byte behind it");
    file_write("7.order", whole, len);
    is_u64(load(7), APR_SUCCESS, "but the whole one");

    /* The disk is full: a file may not grow. */
    getrlimit(RLIMIT_FSIZE, &limit);
    none = limit;
    none.rlim_cur = 10;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &none);
    again = save(7);
    fresh = save(8);
    setrlimit(RLIMIT_FSIZE, &limit); /* before anything is said */
    ok(again != APR_SUCCESS && fresh != APR_SUCCESS,
       "what cannot be written is told");
    is_u64(load(7), APR_SUCCESS, "what was there before is still there");
    ok(load(8) == APR_ENOENT && !is_there("8.order.new") &&
           !is_there("7.order.new"),
       "and nothing is left");
    file_write("7.order.new", "torn", 4);
    ok(save(7) == APR_SUCCESS && load(7) == APR_SUCCESS &&
           !is_there("7.order.new"),
       "a torn file of a runner that died is no hindrance");
    bl_spool_remove(dir, 7, pool);
}

static void test_foreign(void)
{
    bl_limits_t limits = {1, 1, 4096, 0, 0, 0, 0, NULL};
    bl_refusal_t refusal = {BL_REFUSED_STORE, "text"};
    char *zeros = apr_pcalloc(pool, BL_WIRE_BODY_MAX + 100);
    const char *frame;
    apr_size_t len;

    file_write("9.order", "", 0);
    is_u64(load(9), APR_EGENERAL, "an empty file");
    file_write("9.order", "hello\n", 6);
    is_u64(load(9), APR_EGENERAL, "a text");
    file_write("9.order", zeros, BL_WIRE_BODY_MAX + 100);
    is_u64(load(9), APR_EGENERAL, "one that is longer than any order");
    bl_wire_limits_write(&frame, &len, &limits, pool);
    file_write("9.order", frame, len);
    is_u64(load(9), APR_EGENERAL, "another message");
    bl_wire_refused_write(&frame, &len, &refusal, pool);
    file_write("9.order", frame, len);
    is_u64(load(9), APR_EGENERAL, "and one more");
    bl_spool_remove(dir, 9, pool);
    ok(mkdir(path_of("9.order"), 0700) == 0 && load(9) != APR_SUCCESS &&
           load(9) != APR_ENOENT,
       "a directory");
    rmdir(path_of("9.order"));
    /* Who waits for what is no file waits for ever: SIGALRM ends the test. */
    alarm(20);
    mkfifo(path_of("9.order"), 0600);
    is_u64(load(9), APR_EGENERAL, "a fifo: nobody waits for it");
    bl_spool_remove(dir, 9, pool);
    save(9);
    ok(rename(path_of("9.order"), path_of("8")) == 0 &&
           symlink("8", path_of("9.order")) == 0 && load(9) == APR_EGENERAL,
       "a link is not followed");
    bl_spool_remove(dir, 9, pool);
    mkfifo(path_of("9.order.new"), 0600);
    ok(save(9) == APR_SUCCESS && load(9) == APR_SUCCESS &&
           !is_there("9.order.new"),
       "a fifo where the new one is written: nor is it written into");
    ok(symlink("8", path_of("9.order.new")) == 0 && save(9) == APR_SUCCESS &&
           load(8) == APR_ENOENT && unlink(path_of("8")) == 0,
       "nor what a link there names");
    bl_spool_remove(dir, 9, pool);
    alarm(0);
    if (getuid() != 0) {
        save(9);
        chmod(path_of("9.order"), 0);
        is_u64((uint64_t)APR_STATUS_IS_EACCES(load(9)), 1,
               "one that cannot be read");
        bl_spool_remove(dir, 9, pool);
    }
}

/* ---- sweeping ------------------------------------------------------- */

static void test_sweep(void)
{
    apr_array_header_t *kept = apr_array_make(pool, 2, sizeof(apr_uint64_t));
    apr_uint64_t build;

    for (build = 1; build <= 12; build++)
        save(build);
    file_write("13.order.new", "torn", 4);
    file_write("2.order.new", "torn", 4);
    file_write("02.order", "foreign", 7);
    file_write("notes.txt", "foreign", 7);
    mkdir(path_of("directory"), 0700);
    ok(symlink("/etc/passwd", path_of("link")) == 0, "a link");
    APR_ARRAY_PUSH(kept, apr_uint64_t) = 2;
    APR_ARRAY_PUSH(kept, apr_uint64_t) = 12;
    APR_ARRAY_PUSH(kept, apr_uint64_t) = 99;
    bl_spool_sweep(dir, kept, pool);
    ok(load(2) == APR_SUCCESS && load(12) == APR_SUCCESS,
       "those that are waited for are there");
    ok(load(1) == APR_ENOENT && load(3) == APR_ENOENT &&
           load(11) == APR_ENOENT,
       "the others are not");
    ok(!is_there("13.order.new") && !is_there("2.order.new") &&
           !is_there("02.order") && !is_there("notes.txt") &&
           !is_there("link"),
       "nor is anything else");
    ok(is_there("directory"), "but a directory, which is nobody's order");
    is_u64(access("/etc/passwd", F_OK), 0, "what a link names stays");
    kept->nelts = 0;
    rmdir(path_of("directory"));
    bl_spool_sweep(dir, kept, pool);
    is_u64(rmdir(dir), 0, "nobody waits: all are gone");
    bl_spool_sweep(dir, kept, pool);
    ok(save(1) != APR_SUCCESS && load(1) == APR_ENOENT,
       "without the directory nothing is saved, and nothing breaks");
}

int main(void)
{
    char name[] = "/tmp/buildlog-spool-XXXXXX";

    apr_initialize();
    apr_pool_create(&pool, NULL);
    state = mkdtemp(name);
    if (state == NULL) {
        printf("Bail out! no directory\n");
        return 1;
    }
    dir = bl_spool_dir(state, pool);
    is_u64(bl_seal_key_make(&key), APR_SUCCESS, "a key");
    test_dir();
    test_order();
    test_long();
    test_secrets();
    test_torn();
    test_foreign();
    test_sweep();
    rmdir(state);
    apr_terminate();
    return done_testing();
}
