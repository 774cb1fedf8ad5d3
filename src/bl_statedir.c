/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_statedir.c - the state directory: made, owned, locked, with its socket
 *
 * DIAGNOSTICS   BL0101, and the server does not start
 */
#include "bl_statedir.h"

/* libc */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
/* APR */
#include <apr_strings.h>
/* httpd */
#include "mod_buildlog.h"
#include "unixd.h"
/* layer 3 */
#include "bl_config.h"

/* sun_path of a unix socket. */
#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

int bl_statedir_fail(server_rec *s, apr_status_t rv, const char *what)
{
    ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, "BL0101 %s", what);
    return HTTP_INTERNAL_SERVER_ERROR;
}

/* Whom the runner and the builds are, and who may read: httpd's group. */
static void owners(uid_t *user, gid_t *group)
{
    const bl_server_conf_t *conf = bl_config_server();

    *user = geteuid();
    *group = getegid();
    if (geteuid() == 0) {
        *user = conf->user_name != NULL ? conf->uid : ap_unixd_config.user_id;
        *group = ap_unixd_config.group_id;
    }
}

uid_t bl_statedir_user(void)
{
    uid_t user;
    gid_t group;

    owners(&user, &group);
    return user;
}

/* Make a directory below another and give it to its owner, or see that the one
 * there is ours. What is done as root inside a directory of another user is
 * done to an open descriptor: a name can be made to lead elsewhere.
 *
 * The group is inherited by what is made inside (S_ISGID), so that httpd's
 * children can read logs whoever BuildLogUser is. */
static int open_directory(int *out, int at, const char *name, const char *path,
                          server_rec *s, apr_pool_t *p)
{
    int made = mkdirat(at, name, 0750) == 0;
    struct stat info;
    uid_t user;
    gid_t group;
    int fd;

    owners(&user, &group);
    if (!made && errno != EEXIST)
        return bl_statedir_fail(
            s, errno,
            apr_psprintf(p, "cannot make %s; see BuildLogStateDir", path));
    fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0)
        return bl_statedir_fail(
            s, errno, apr_psprintf(p, "%s is no directory of ours", path));
    *out = fd;
    if (info.st_uid != user && !(made && info.st_uid == geteuid()))
        return bl_statedir_fail(
            s, 0,
            apr_psprintf(p,
                         "%s belongs to user %ld, but the runner is "
                         "user %ld; see BuildLogStateDir and "
                         "BuildLogUser",
                         path, (long)info.st_uid, (long)user));
    /* Who may write there could put logs, a socket, a database of his own in
     * the place of ours. */
    if (!made && (info.st_mode & S_IWOTH) != 0)
        return bl_statedir_fail(
            s, 0,
            apr_psprintf(p,
                         "everybody may write in %s (mode %04o): chmod o-w, "
                         "and look at what is in it",
                         path, (unsigned)info.st_mode & 07777));
    if (made && (fchown(fd, user, group) != 0 || fchmod(fd, 02750) != 0))
        return bl_statedir_fail(
            s, errno, apr_psprintf(p, "cannot give %s to its owner", path));
    return OK;
}

/* In the lock file: byte 0 is the parent's, byte 1 the runner's. */
enum { LOCK_PARENT, LOCK_RUNNER };

/* The parent of a server that was killed is gone, but its runner may still be
 * ending builds. Its end is looked for so often. */
#define RUNNER_LOOK_MS 50

static int lock_byte(int fd, int byte)
{
    struct flock lock;

    memset(&lock, 0, sizeof(lock));
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    return fcntl(fd, F_SETLK, &lock);
}

/* One server per state directory: the lock lives as long as the parent. */
static int take_lock(bl_statedir_t *dir, int at, server_rec *s, apr_pool_t *p)
{
    dir->lock_fd =
        openat(at, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (dir->lock_fd < 0)
        return bl_statedir_fail(
            s, errno, apr_psprintf(p, "cannot open %s/lock", dir->path));
    if (lock_byte(dir->lock_fd, LOCK_PARENT) != 0)
        return bl_statedir_fail(
            s, errno,
            apr_psprintf(p,
                         "%s is in use by another server; each needs "
                         "a BuildLogStateDir of its own",
                         dir->path));
    return OK;
}

int bl_statedir_wait(const bl_statedir_t *dir, int lifeline_fd, server_rec *s)
{
    struct pollfd lifeline = {lifeline_fd, POLLIN, 0};
    int told = 0;

    while (lock_byte(dir->lock_fd, LOCK_RUNNER) != 0) {
        if (errno != EAGAIN && errno != EACCES && errno != EINTR)
            return bl_statedir_fail(s, errno, "cannot lock for the runner");
        if (!told++)
            ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                         "BL0109 waiting for the runner of the server before, "
                         "which is ending its builds in %s",
                         dir->path);
        if (poll(&lifeline, 1, RUNNER_LOOK_MS) > 0)
            return HTTP_SERVICE_UNAVAILABLE;
    }
    return OK;
}

static int open_socket(bl_statedir_t *dir, int at, server_rec *s,
                       apr_pool_t *p)
{
    struct sockaddr_un address;
    mode_t before;
    uid_t user;
    gid_t group, own = getegid();
    int fd, bound;

    if (strlen(dir->socket_path) > SOCKET_PATH_MAX)
        return bl_statedir_fail(
            s, 0,
            apr_psprintf(p,
                         "BuildLogStateDir: %s is too long for the "
                         "name of a socket (%d bytes at most)",
                         dir->socket_path, (int)SOCKET_PATH_MAX));
    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    apr_cpystrn(address.sun_path, dir->socket_path, sizeof(address.sun_path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* A name that an earlier server left; the lock says that it is gone. */
    unlinkat(at, "runner.sock", 0);
    /* Open to httpd's group; the runner has the descriptor. */
    owners(&user, &group);
    before = umask(0117);
    bound = setegid(group) == 0
                ? bind(fd, (struct sockaddr *)&address, sizeof(address))
                : -1;
    if (setegid(own) != 0)
        bound = -1;
    umask(before);
    if (fd < 0 || bound != 0 || listen(fd, 511) != 0)
        return bl_statedir_fail(
            s, errno,
            apr_psprintf(p, "cannot listen on %s", dir->socket_path));
    dir->listen_fd = fd;
    return OK;
}

int bl_statedir_open(bl_statedir_t *dir, const char *path, server_rec *s,
                     apr_pool_t *p, apr_pool_t *scratch)
{
    int top = -1, logs = -1, result;

    dir->user = bl_statedir_user();
    dir->path = apr_pstrdup(p, path);
    dir->logs = apr_pstrcat(p, path, "/logs", NULL);
    dir->socket_path = apr_pstrcat(p, path, "/runner.sock", NULL);
    result = open_directory(&top, AT_FDCWD, path, path, s, scratch);
    if (result == OK)
        result = open_directory(&logs, top, "logs", dir->logs, s, scratch);
    if (result == OK)
        result = take_lock(dir, top, s, scratch);
    if (result == OK)
        result = open_socket(dir, top, s, scratch);
    if (logs >= 0)
        close(logs);
    if (top >= 0)
        close(top);
    return result;
}
