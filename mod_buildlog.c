/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_buildlog.c - builds of project directories, their output live in every
 * browser
 *
 * The module record and the order of its hooks; src/README.md is the map.
 */
#include "mod_buildlog.h"

/* layer 3 */
#include "bl_capacity.h"
#include "bl_check.h"
#include "bl_child.h"
#include "bl_config.h"
#include "bl_daemon.h"
#include "bl_directive.h"
#include "bl_parked.h"
#include "bl_project.h"
#include "bl_route.h"
#include "bl_seek.h"
#include "bl_status.h"

static void register_hooks(apr_pool_t *p)
{
    bl_check_register_hooks(p);
    bl_daemon_register_hooks(p);
    bl_project_register_hooks(p);
    bl_capacity_register_hooks(p);
    bl_child_register_hooks(p);
    bl_parked_register_hooks(p);
    bl_seek_register_hooks(p);
    bl_status_register_hooks(p);
    ap_hook_handler(bl_route_handle, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA buildlog_module = {
    STANDARD20_MODULE_STUFF,
    bl_config_create_dir,
    bl_config_merge_dir,
    bl_config_create_server,
    NULL, /* the server's directives are global: nothing to merge */
    bl_directives,
    register_hooks,
    AP_MODULE_FLAG_NONE,
};
