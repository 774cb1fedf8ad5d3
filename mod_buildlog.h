/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_buildlog.h - the module's name for the parts that speak httpd (layer 3)
 */
#ifndef MOD_BUILDLOG_H
#define MOD_BUILDLOG_H

#include "httpd.h"
#include "http_config.h"
#include "http_log.h"

#define BL_VERSION "0.1.0"

/* The one symbol that the module exports. */
extern module AP_MODULE_DECLARE_DATA __attribute__((visibility("default")))
buildlog_module;

APLOG_USE_MODULE(buildlog);

#endif /* MOD_BUILDLOG_H */
