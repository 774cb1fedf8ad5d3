/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.h - what the library fault.c is told: which call fails, and when
 *
 * The plan is memory that a process shares with all that it forks: so a test
 * sees what became of a call in its runner, or in that one's keeper. In a
 * server it is a file that the environment names (FAULT_PLAN), which a test
 * writes and reads (BuildLog::Faults has its layout a second time).
 */
#ifndef FAULT_H
#define FAULT_H

#include <stdint.h>

#define FAULT_NAME 16

typedef struct {
    char call[FAULT_NAME];    /* a kind of calls, as fault.c names it */
    char process[FAULT_NAME]; /* as /proc/PID/comm has it; "": any */
    int32_t error;            /* errno; 0: half of it is written */
    int32_t spared;           /* this process; 0: none */
    int64_t at;               /* the first call that fails, from 1 on... */
    int64_t times;            /* ...and so many of them */
    int64_t calls;            /* there were since it was armed */
    int64_t hits;             /* failed */
    int32_t armed;
    int32_t unused;
} fault_plan_t;

/** The plan of this process. */
fault_plan_t *fault_plan(void);

/** From now on calls fail. @param times  0: once */
void fault_arm(const char *call, const char *process, int error, int64_t at,
               int64_t times);

/** From now on all calls work; the counts stay. */
void fault_rest(void);

/** Go on as before fault_rest. */
void fault_go_on(void);

#endif /* FAULT_H */
