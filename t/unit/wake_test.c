/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wake_test.c - a pump that sleeps is woken, the one that was meant and no
 * other; sending never blocks; no program that is started gets a descriptor
 */
#include "bl_wake.h"

/* libc */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_portable.h>
/* layer 1 */
#include "bl_table.h"

#include "tap.h"

#define SLOTS 4
#define FDS 256

static apr_pool_t *pool;

static unsigned open_fds(void)
{
    unsigned n = 0;
    int fd;

    for (fd = 0; fd < FDS; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

static int fd_of(bl_wake_t *wake, int slot)
{
    apr_os_file_t fd = -1;

    apr_os_file_get(&fd, bl_wake_reader(wake, slot));
    return fd;
}

static int is_readable(bl_wake_t *wake, int slot, int ms)
{
    struct pollfd p = {fd_of(wake, slot), POLLIN, 0};

    return poll(&p, 1, ms) == 1 && (p.revents & POLLIN) != 0;
}

static bl_wake_t *wake_new(void)
{
    bl_wake_t *wake = NULL;

    apr_pool_clear(pool);
    if (bl_wake_create(&wake, SLOTS, pool) != APR_SUCCESS) {
        printf("Bail out! no pipes\n");
        exit(1);
    }
    return wake;
}

static void test_create(void)
{
    int before[FDS], fd;
    unsigned made = 0, inherited = 0, blocking = 0;

    apr_pool_clear(pool);
    for (fd = 0; fd < FDS; fd++)
        before[fd] = fcntl(fd, F_GETFD);
    wake_new();
    for (fd = 0; fd < FDS; fd++) {
        int flags = fcntl(fd, F_GETFD);

        if (before[fd] != -1 || flags == -1)
            continue;
        made++;
        inherited += (flags & FD_CLOEXEC) == 0;
        blocking += (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
    }
    is_u64(made, 2 * SLOTS, "two ends for each slot");
    is_u64(inherited, 0, "all are closed on exec");
    is_u64(blocking, 0, "none blocks");
}

static void test_send(void)
{
    bl_wake_t *wake = wake_new();
    int i;

    ok(!is_readable(wake, 0, 0), "nothing was sent");
    bl_wake_drain(wake, 0);
    ok(!is_readable(wake, 0, 0), "draining nothing returns");
    bl_wake_send(wake, 2);
    ok(is_readable(wake, 2, 1000), "a wake-up comes");
    ok(!is_readable(wake, 0, 0) && !is_readable(wake, 1, 0) &&
           !is_readable(wake, 3, 0),
       "to its slot alone");
    bl_wake_drain(wake, 2);
    ok(!is_readable(wake, 2, 0), "drained");
    /* Exactly what drain reads at once, and a byte less and more. */
    for (i = 255; i <= 257; i++) {
        int n;

        for (n = 0; n < i; n++)
            bl_wake_send(wake, 1);
        bl_wake_drain(wake, 1);
        ok(!is_readable(wake, 1, 0), "%d wake-ups are drained together", i);
    }
    alarm(5); /* a send that blocks ends the test here */
    for (i = 0; i < 200000; i++)
        bl_wake_send(wake, 3);
    alarm(0);
    ok(is_readable(wake, 3, 0), "a full pipe does not block");
    bl_wake_drain(wake, 3);
    ok(!is_readable(wake, 3, 0), "and is emptied at once");
    bl_wake_send(wake, 3);
    ok(is_readable(wake, 3, 0), "and works again");
}

/* What a child does right after its fork. */
static int in_child(int (*run)(bl_wake_t *wake), bl_wake_t *wake)
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0)
        _exit(run(wake));
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static int keep_one(bl_wake_t *wake)
{
    unsigned before = open_fds();

    bl_wake_keep(wake, 1);
    bl_wake_send(wake, 0); /* closed: nothing happens */
    bl_wake_send(wake, 1);
    return !(open_fds() == before - 2 * (SLOTS - 1) &&
             bl_wake_reader(wake, 0) == NULL && is_readable(wake, 1, 0));
}

static int keep_none(bl_wake_t *wake)
{
    unsigned before = open_fds();

    bl_wake_keep(wake, -1);
    bl_wake_send(wake, 1);
    bl_wake_keep(wake, -1); /* a second time nothing is left to close */
    return open_fds() != before - 2 * SLOTS;
}

static int keep_writers(bl_wake_t *wake)
{
    apr_array_header_t *fds = apr_array_make(pool, 4, sizeof(int));
    unsigned before = open_fds();

    bl_wake_keep_writers(wake, fds);
    bl_wake_send(wake, 3);
    return !(open_fds() == before - SLOTS && bl_wake_reader(wake, 3) == NULL &&
             fds->nelts == SLOTS &&
             fcntl(APR_ARRAY_IDX(fds, SLOTS - 1, int), F_GETFD) >= 0);
}

static void test_keep(void)
{
    bl_wake_t *wake = wake_new();

    ok(in_child(keep_one, wake), "a child keeps the ends of its slot");
    ok(is_readable(wake, 1, 0) && !is_readable(wake, 0, 0),
       "its own threads can wake it, and no others");
    ok(in_child(keep_none, wake), "one without a slot keeps none");
    ok(in_child(keep_writers, wake), "the runner keeps all writing ends");
    ok(is_readable(wake, 3, 0), "and wakes a child");
}

/* ---- with the table: sleeping in poll ------------------------------- */

#define ROUNDS 20000

static uint64_t *seen; /* shared: the round that the pump has seen */

static void run_runner(bl_table_t *t, bl_wake_t *wake)
{
    uint64_t round;

    bl_wake_keep_writers(wake, apr_array_make(pool, SLOTS, sizeof(int)));
    for (round = 1; round <= ROUNDS; round++) {
        int slot;

        bl_table_publish(t, round);
        for (slot = 0; bl_slots_next_to_wake(bl_table_slots(t), &slot); slot++)
            bl_wake_send(wake, slot);
        /* Only now and then does it wait: the others come close together. */
        while (round % 4 == 0 &&
               __atomic_load_n(seen, __ATOMIC_SEQ_CST) < round)
            poll(NULL, 0, 0);
    }
    _exit(0);
}

static void test_pump(void)
{
    bl_wake_t *wake = wake_new();
    unsigned slept = 0, lost = 0;
    uint64_t at = 0;
    bl_table_t *t;
    pid_t pid;
    int slot, status = -1;

    seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bl_table_create(&t, SLOTS, pool);
    bl_slots_claim(bl_table_slots(t), 1);
    slot = bl_slots_claim(bl_table_slots(t), (apr_uint32_t)getpid());
    pid = fork();
    if (pid == 0)
        run_runner(t, wake);
    while (at < ROUNDS && lost == 0) {
        bl_slots_arm(bl_table_slots(t), slot);
        if (bl_table_watermark(t) == at) {
            slept++;
            lost += !is_readable(wake, slot, 30000);
        }
        bl_slots_disarm(bl_table_slots(t), slot);
        bl_wake_drain(wake, slot);
        at = bl_table_watermark(t);
        __atomic_store_n(seen, at, __ATOMIC_SEQ_CST);
    }
    is_u64(lost, 0, "no wake-up of another process is lost (%u sleeps)",
           slept);
    ok(slept > 0, "and it slept");
    if (lost > 0)
        kill(pid, SIGKILL);
    ok(waitpid(pid, &status, 0) == pid && status == 0, "the runner ended");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_create();
    test_send();
    test_keep();
    test_pump();
    apr_terminate();
    return done_testing();
}
