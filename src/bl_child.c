/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_child.c - an httpd child's pump and its slot in the table
 */
#include "bl_child.h"

/* libc */
#include <unistd.h>
/* httpd */
#include "ap_mpm.h"
#include "mod_buildlog.h"
#include "mpm_common.h"
/* layer 3 */
#include "bl_daemon.h"

static bl_pump_t *pump;
static int slot = -1;

bl_pump_t *bl_child_pump(void)
{
    return pump;
}

int bl_child_slot(void)
{
    return slot;
}

void bl_child_count(bl_count_e what, apr_uint64_t n)
{
    bl_counts_add(bl_table_counts(bl_daemon_table()), slot, what, n);
}

void bl_child_begin_stop(void)
{
    if (pump != NULL)
        bl_pump_begin_stop(pump);
}

static apr_status_t end_of_child(void *dummy)
{
    bl_pump_join(pump);
    bl_slots_release(bl_table_slots(bl_daemon_table()),
                     (apr_uint32_t)getpid());
    return APR_SUCCESS;
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    apr_status_t rv;

    if (bl_daemon_table() == NULL)
        return;
    slot = bl_slots_claim(bl_table_slots(bl_daemon_table()),
                          (apr_uint32_t)getpid());
    bl_wake_keep(bl_daemon_wake(), slot);
    if (slot < 0) {
        ap_log_error(
            APLOG_MARK, APLOG_WARNING, 0, s,
            "BL0403 no slot for the viewers of this child: they poll");
        return;
    }
    rv = bl_pump_create(&pump, bl_daemon_table(), bl_daemon_wake(), slot,
                        bl_daemon_generation(), bl_daemon_logs_dir(), p);
    if (rv != APR_SUCCESS) {
        pump = NULL;
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s,
                     "BL0404 no pump in this child: its viewers poll");
        bl_slots_release(bl_table_slots(bl_daemon_table()),
                         (apr_uint32_t)getpid());
        return;
    }
    apr_pool_pre_cleanup_register(p, NULL, end_of_child);
}

static void child_stopping(apr_pool_t *p, int graceful)
{
    bl_child_begin_stop();
}

/* Parent: a child that crashed did not give its slot back. (One that lost its
 * place in the scoreboard still lives and has viewers.) */
static void child_status(server_rec *s, pid_t pid, ap_generation_t gen,
                         int child, mpm_child_status state)
{
    if (state == MPM_CHILD_EXITED && bl_daemon_table() != NULL)
        bl_slots_release(bl_table_slots(bl_daemon_table()), (apr_uint32_t)pid);
}

void bl_child_register_hooks(apr_pool_t *p)
{
    /* Behind the daemon's: the table must be there. */
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_stopping(child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_status(child_status, NULL, NULL, APR_HOOK_MIDDLE);
}
