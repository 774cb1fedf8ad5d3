/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.c - calls of the system that fail when a test wants it
 *
 * A library in front of libc. Tests of C link it; into httpd it is preloaded,
 * and its plan is then the file FAULT_PLAN. APR, SQLite and all others call it
 * as we do. Calls that libc makes for itself (printf) are not seen.
 *
 * A kind of calls has one name: "open" is open, openat and what they are
 * called with large files. It counts the calls of a kind, in all processes
 * that have the name of the plan, and lets some of them fail: with the plan's
 * errno, or (write, send) after half of the bytes.
 */
#include "fault.h"

/* libc */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEEN __attribute__((visibility("default")))
#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

/* ---- the plan -------------------------------------------------------- */

static fault_plan_t none;
static fault_plan_t *plan = &none;

/* By number: the calls that libc would have us make are the ones below. */
__attribute__((constructor)) static void find_plan(void)
{
    const char *path = getenv("FAULT_PLAN");
    int fd = path != NULL ? (int)syscall(SYS_openat, AT_FDCWD, path,
                                         O_RDWR | O_CLOEXEC, 0)
                          : -1;
    int flags = fd >= 0 ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS;
    long at = syscall(SYS_mmap, NULL, sizeof(*plan), PROT_READ | PROT_WRITE,
                      flags, fd, 0);

    if (at != -1)
        plan = (fault_plan_t *)at;
    if (fd >= 0)
        syscall(SYS_close, fd);
}

SEEN fault_plan_t *fault_plan(void)
{
    return plan;
}

SEEN void fault_arm(const char *call, const char *process, int error,
                    int64_t at, int64_t times)
{
    STORE(plan->armed, 0);
    strncpy(plan->call, call, FAULT_NAME - 1);
    strncpy(plan->process, process, FAULT_NAME - 1);
    plan->error = error;
    plan->at = at;
    plan->times = times;
    plan->calls = 0;
    plan->hits = 0;
    STORE(plan->armed, 1);
}

SEEN void fault_rest(void)
{
    STORE(plan->armed, 0);
}

SEEN void fault_go_on(void)
{
    STORE(plan->armed, 1);
}

static int is_meant(void)
{
    char name[FAULT_NAME] = "";

    if (plan->spared != 0 && plan->spared == (int32_t)getpid())
        return 0;
    if (plan->process[0] == '\0')
        return 1;
    prctl(PR_GET_NAME, name);
    return strncmp(name, plan->process, FAULT_NAME - 1) == 0;
}

/* @return 1: this call fails, errno is set */
static int strikes(const char *call)
{
    int64_t n;

    if (!LOAD(plan->armed) || strcmp(plan->call, call) != 0 || !is_meant())
        return 0;
    n = __atomic_add_fetch(&plan->calls, 1, __ATOMIC_SEQ_CST);
    if (n < plan->at || n - plan->at >= (plan->times > 0 ? plan->times : 1))
        return 0;
    __atomic_add_fetch(&plan->hits, 1, __ATOMIC_SEQ_CST);
    errno = plan->error;
    return 1;
}

/* How much of it is still written; 0: none, it fails. */
static size_t half(size_t len)
{
    return errno == 0 ? len / 2 : 0;
}

/* libc's own, or that of the next library. */
#define NEXT(name)                                                            \
    static __typeof__(&name) next;                                            \
    if (next == NULL)                                                         \
    next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* ---- files ----------------------------------------------------------- */

static mode_t mode_of(int flags, va_list args)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
}

SEEN int open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    NEXT(open);
    va_start(args, flags);
    mode = mode_of(flags, args);
    va_end(args);
    return strikes("open") ? -1 : next(path, flags, mode);
}

SEEN int open64(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    NEXT(open64);
    va_start(args, flags);
    mode = mode_of(flags, args);
    va_end(args);
    return strikes("open") ? -1 : next(path, flags, mode);
}

SEEN int openat(int dir, const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    NEXT(openat);
    va_start(args, flags);
    mode = mode_of(flags, args);
    va_end(args);
    return strikes("open") ? -1 : next(dir, path, flags, mode);
}

SEEN ssize_t write(int fd, const void *buf, size_t len)
{
    NEXT(write);
    if (!strikes("write"))
        return next(fd, buf, len);
    len = half(len);
    return len > 0 ? next(fd, buf, len) : -1;
}

SEEN ssize_t writev(int fd, const struct iovec *parts, int count)
{
    NEXT(writev);
    if (!strikes("writev"))
        return next(fd, parts, count);
    count = (int)half((size_t)count + 1);
    return count > 0 ? next(fd, parts, count) : -1;
}

SEEN ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
    NEXT(pwrite);
    if (!strikes("pwrite"))
        return next(fd, buf, len, at);
    len = half(len);
    return len > 0 ? next(fd, buf, len, at) : -1;
}

SEEN ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t at)
{
    NEXT(pwrite64);
    if (!strikes("pwrite"))
        return next(fd, buf, len, at);
    len = half(len);
    return len > 0 ? next(fd, buf, len, at) : -1;
}

SEEN ssize_t read(int fd, void *buf, size_t len)
{
    NEXT(read);
    return strikes("read") ? -1 : next(fd, buf, len);
}

SEEN ssize_t pread(int fd, void *buf, size_t len, off_t at)
{
    NEXT(pread);
    return strikes("pread") ? -1 : next(fd, buf, len, at);
}

SEEN ssize_t pread64(int fd, void *buf, size_t len, off64_t at)
{
    NEXT(pread64);
    return strikes("pread") ? -1 : next(fd, buf, len, at);
}

SEEN off_t lseek(int fd, off_t at, int from)
{
    NEXT(lseek);
    return strikes("lseek") ? -1 : next(fd, at, from);
}

SEEN int ftruncate(int fd, off_t len)
{
    NEXT(ftruncate);
    return strikes("ftruncate") ? -1 : next(fd, len);
}

SEEN int ftruncate64(int fd, off64_t len)
{
    NEXT(ftruncate64);
    return strikes("ftruncate") ? -1 : next(fd, len);
}

SEEN int fallocate(int fd, int mode, off_t at, off_t len)
{
    NEXT(fallocate);
    return strikes("fallocate") ? -1 : next(fd, mode, at, len);
}

SEEN int fsync(int fd)
{
    NEXT(fsync);
    return strikes("fsync") ? -1 : next(fd);
}

SEEN int fdatasync(int fd)
{
    NEXT(fdatasync);
    return strikes("fsync") ? -1 : next(fd);
}

SEEN int fstat(int fd, struct stat *info)
{
    NEXT(fstat);
    return strikes("fstat") ? -1 : next(fd, info);
}

SEEN int fstat64(int fd, struct stat64 *info)
{
    NEXT(fstat64);
    return strikes("fstat") ? -1 : next(fd, info);
}

SEEN int stat(const char *restrict path, struct stat *restrict info)
{
    NEXT(stat);
    return strikes("stat") ? -1 : next(path, info);
}

SEEN int stat64(const char *restrict path, struct stat64 *restrict info)
{
    NEXT(stat64);
    return strikes("stat") ? -1 : next(path, info);
}

SEEN int rename(const char *from, const char *to)
{
    NEXT(rename);
    return strikes("rename") ? -1 : next(from, to);
}

SEEN int unlink(const char *path)
{
    NEXT(unlink);
    return strikes("unlink") ? -1 : next(path);
}

SEEN int mkdir(const char *path, mode_t mode)
{
    NEXT(mkdir);
    return strikes("mkdir") ? -1 : next(path, mode);
}

SEEN DIR *opendir(const char *path)
{
    NEXT(opendir);
    return strikes("opendir") ? NULL : next(path);
}

SEEN struct dirent *readdir(DIR *dir)
{
    NEXT(readdir);
    return strikes("readdir") ? NULL : next(dir);
}

/* ---- descriptors ----------------------------------------------------- */

/* The third argument is a number or a pointer: as large as either. */
SEEN int fcntl(int fd, int what, ...)
{
    va_list args;
    long arg;

    NEXT(fcntl);
    va_start(args, what);
    arg = va_arg(args, long);
    va_end(args);
    return strikes("fcntl") ? -1 : next(fd, what, arg);
}

SEEN int fcntl64(int fd, int what, ...)
{
    va_list args;
    long arg;

    NEXT(fcntl64);
    va_start(args, what);
    arg = va_arg(args, long);
    va_end(args);
    return strikes("fcntl") ? -1 : next(fd, what, arg);
}

SEEN int dup2(int from, int to)
{
    NEXT(dup2);
    return strikes("dup") ? -1 : next(from, to);
}

SEEN int dup3(int from, int to, int flags)
{
    NEXT(dup3);
    return strikes("dup") ? -1 : next(from, to, flags);
}

SEEN int pipe(int pair[2])
{
    NEXT(pipe);
    return strikes("pipe") ? -1 : next(pair);
}

SEEN int pipe2(int pair[2], int flags)
{
    NEXT(pipe2);
    return strikes("pipe") ? -1 : next(pair, flags);
}

SEEN int epoll_create1(int flags)
{
    NEXT(epoll_create1);
    return strikes("epoll") ? -1 : next(flags);
}

SEEN int epoll_ctl(int set, int what, int fd, struct epoll_event *event)
{
    NEXT(epoll_ctl);
    return what != EPOLL_CTL_DEL && strikes("epoll")
               ? -1
               : next(set, what, fd, event);
}

SEEN int epoll_wait(int set, struct epoll_event *events, int most, int ms)
{
    NEXT(epoll_wait);
    return strikes("wait") ? -1 : next(set, events, most, ms);
}

SEEN int poll(struct pollfd *fds, nfds_t count, int ms)
{
    NEXT(poll);
    return strikes("wait") ? -1 : next(fds, count, ms);
}

SEEN int ppoll(struct pollfd *fds, nfds_t count,
               const struct timespec *restrict time,
               const sigset_t *restrict mask)
{
    NEXT(ppoll);
    return strikes("wait") ? -1 : next(fds, count, time, mask);
}

/* ---- sockets --------------------------------------------------------- */

SEEN int socket(int family, int type, int protocol)
{
    NEXT(socket);
    return strikes("socket") ? -1 : next(family, type, protocol);
}

SEEN int socketpair(int family, int type, int protocol, int pair[2])
{
    NEXT(socketpair);
    return strikes("socket") ? -1 : next(family, type, protocol, pair);
}

SEEN int connect(int fd, const struct sockaddr *to, socklen_t len)
{
    NEXT(connect);
    return strikes("connect") ? -1 : next(fd, to, len);
}

SEEN int accept4(int fd, struct sockaddr *restrict from,
                 socklen_t *restrict len, int flags)
{
    NEXT(accept4);
    return strikes("accept") ? -1 : next(fd, from, len, flags);
}

SEEN int getsockopt(int fd, int level, int name, void *restrict value,
                    socklen_t *restrict len)
{
    NEXT(getsockopt);
    return strikes("getsockopt") ? -1 : next(fd, level, name, value, len);
}

SEEN ssize_t send(int fd, const void *buf, size_t len, int flags)
{
    NEXT(send);
    if (!strikes("send"))
        return next(fd, buf, len, flags);
    len = half(len);
    return len > 0 ? next(fd, buf, len, flags) : -1;
}

SEEN ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    NEXT(sendmsg);
    return strikes("send") ? -1 : next(fd, message, flags);
}

SEEN ssize_t recv(int fd, void *buf, size_t len, int flags)
{
    NEXT(recv);
    return strikes("recv") ? -1 : next(fd, buf, len, flags);
}

SEEN ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    NEXT(recvmsg);
    return strikes("recv") ? -1 : next(fd, message, flags);
}

/* ---- memory, threads, processes -------------------------------------- */

SEEN void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t off)
{
    NEXT(mmap);
    return strikes("mmap") ? MAP_FAILED : next(at, len, prot, flags, fd, off);
}

SEEN void *mmap64(void *at, size_t len, int prot, int flags, int fd,
                  off64_t off)
{
    NEXT(mmap64);
    return strikes("mmap") ? MAP_FAILED : next(at, len, prot, flags, fd, off);
}

SEEN int pthread_create(pthread_t *restrict thread,
                        const pthread_attr_t *restrict attr,
                        void *(*begin)(void *), void *restrict arg)
{
    NEXT(pthread_create);
    return strikes("thread") ? errno : next(thread, attr, begin, arg);
}

SEEN pid_t fork(void)
{
    NEXT(fork);
    return strikes("fork") ? -1 : next();
}

SEEN int execve(const char *path, char *const argv[], char *const env[])
{
    NEXT(execve);
    return strikes("exec") ? -1 : next(path, argv, env);
}

SEEN int chdir(const char *path)
{
    NEXT(chdir);
    return strikes("chdir") ? -1 : next(path);
}

SEEN int fchdir(int fd)
{
    NEXT(fchdir);
    return strikes("chdir") ? -1 : next(fd);
}

SEEN pid_t setsid(void)
{
    NEXT(setsid);
    return strikes("setsid") ? -1 : next();
}

SEEN pid_t waitpid(pid_t pid, int *status, int options)
{
    NEXT(waitpid);
    return strikes("waitpid") ? -1 : next(pid, status, options);
}

SEEN int kill(pid_t pid, int sig)
{
    NEXT(kill);
    return strikes("kill") ? -1 : next(pid, sig);
}
