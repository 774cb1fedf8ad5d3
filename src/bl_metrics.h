/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_metrics.h - GET .../metrics: the figures for Prometheus
 *
 * Layer:    3 (httpd glue).
 * Runs in:  request threads.
 * Owns:     names, types and units of the metrics, and the two formats: text
 *           (0.0.4), and OpenMetrics 1.0 for who prefers it.
 * Not here: the figures (bl_figures); who may see them: httpd's Require.
 */
#ifndef BL_METRICS_H
#define BL_METRICS_H

#include "httpd.h"

int bl_metrics_send(request_rec *r);

#endif /* BL_METRICS_H */
