/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow.h - the output of a build, to its end, across broken connections
 */
#ifndef BUILDLOG_FOLLOW_H
#define BUILDLOG_FOLLOW_H

#include <jansson.h>

/**
 * Show a build's output from its start, each line once, until the build has
 * ended. A stream that breaks off is taken up where it ended; after five
 * minutes without a server it is given up.
 *
 * @return what the process ends with: the result of the build
 */
int follow(json_int_t build);

/** What a build that has ended stands for: 0 succeeded; the exit code of the
 * step that failed; 128 + n ended by signal n; 124 timed out; 130 cancelled;
 * 125 lost; 1 failed in another way. */
int follow_result(json_t *build);

/** Say how a build ended, on stderr. */
void follow_summary(json_t *build);

#endif /* BUILDLOG_FOLLOW_H */
