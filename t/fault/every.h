/* SPDX-License-Identifier: Apache-2.0 */
/*
 * every.h - lets each call of a kind fail, one after the other
 *
 * A test says what is done and what must hold afterwards; here it is done
 * again and again: with the first call of a kind failing, with the second...
 * until no call failed any more. Nobody has to know where the calls are.
 */
#ifndef EVERY_H
#define EVERY_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "tap.h"

/* More calls than that are an endless loop. */
#define EVERY_MOST 5000

/* So many failures of one seam are told in full. */
#define EVERY_TOLD 5

typedef struct {
    const char *call;    /* see fault.c */
    const char *process; /* "": any */
    int error;           /* errno; 0: half of it is written */
    int times;           /* in a row */
} seam_t;

/* What did not hold, for the one who reads. */
__attribute__((format(printf, 1, 2))) static inline unsigned
wrong(const char *fmt, ...)
{
    const fault_plan_t *plan = fault_plan();
    va_list args;

    printf("# call %d of %s: ", (int)plan->at, plan->call);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
    return 1;
}

/**
 * @param act   does it, with faults; returns what was wrong, and ends with
 *              fault_rest()
 * @param each  where calls are many and alike: each up to this one...
 * @param then  ...and then in steps of so many
 */
static inline void some(const seam_t *seam, int each, int then,
                        unsigned (*act)(void))
{
    int64_t n, hit = 0;
    unsigned failed = 0;

    for (n = 1; n <= EVERY_MOST && failed < EVERY_TOLD;
         n += n < each ? 1 : then) {
        unsigned now;

        fault_arm(seam->call, seam->process, seam->error, n, seam->times);
        now = act();
        fault_rest();
        failed += now != 0;
        if (fault_plan()->hits == 0)
            break;
        hit++;
    }
    /* Who looks again and again makes more calls, the slower all is. */
    ok(failed == 0 && hit > 0 && (n < EVERY_MOST || then > 1),
       "%s%s%s: %s%s, %d of %s%d calls in their turn", seam->process,
       seam->process[0] != '\0' ? ", " : "", seam->call,
       seam->error != 0 ? strerror(seam->error) : "half of it",
       seam->times > 1 ? " more than once" : "", (int)hit,
       hit < n - 1 ? "about " : "", (int)n - 1);
}

static inline void every(const seam_t *seam, unsigned (*act)(void))
{
    some(seam, EVERY_MOST, 1, act);
}

/** Descriptors that are open in this process. */
static inline int descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (dir != NULL && readdir(dir) != NULL)
        n++;
    if (dir != NULL)
        closedir(dir);
    return n;
}

#endif /* EVERY_H */
