/* SPDX-License-Identifier: Apache-2.0 */
/*
 * courier_fault.c - who tells other servers how builds ended, when any call of
 * the system fails: each is told, by that courier or the next one, by one id
 * (issue 7, item 3; promise 7)
 */
#include "bl_courier.h"

/* libc */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* APR */
#include <apr_general.h>
#include <apr_strings.h>
/* ours */
#include "bl_build.h"
#include "bl_diag.h"
#include "bl_helper.h"
#include "bl_log.h"
#include "bl_notice.h"
#include "bl_record.h"

#include "every.h"

#define COURIER "buildlog-notify"
#define KEY "0123456789abcdef0123456789abcdef"
#define BUILDS 4

/* What came, by build; shared with the receiver. */
typedef struct {
    char id[64];
    int times;
    int others; /* other ids */
    int headless;
} told_t;

static apr_pool_t *pool;
static char dir[64];
static const char *notices, *logs;
static told_t *told;
static bl_target_t target = {KEY, NULL, "secret"};
static bl_courier_setup_t setup;

/* ---- the receiver ----------------------------------------------------- */

static void take(int fd)
{
    static const char answer[] = "HTTP/1.1 204 Taken\r\n"
                                 "Connection: close\r\n\r\n";
    char text[8192], id[64] = "";
    size_t got = 0;
    ssize_t n;
    unsigned build = 0;
    char *at;

    do {
        n = read(fd, text + got, sizeof(text) - 1 - got);
        got += n > 0 ? (size_t)n : 0;
        text[got] = '\0';
    } while (n > 0 &&
             (strstr(text, "\r\n\r\n") == NULL || text[got - 1] != '}'));
    at = strstr(text, "webhook-id: ");
    /* Who gave up has told nothing. */
    if (n <= 0)
        return;
    if (at == NULL || sscanf(at, "webhook-id: %63[^\r]", id) != 1 ||
        sscanf(id, "build-%u-", &build) != 1 || build > BUILDS ||
        strstr(text, "webhook-signature: v1,") == NULL)
        told[0].headless++;
    if (told[build].times > 0 && strcmp(told[build].id, id) != 0)
        told[build].others++;
    memcpy(told[build].id, id, sizeof(id));
    told[build].times++;
    if (write(fd, answer, sizeof(answer) - 1) < 0)
        perror("# answer");
}

static void receive(int listening)
{
    for (;;) {
        int fd = accept(listening, NULL, NULL);

        if (fd >= 0) {
            take(fd);
            close(fd);
        }
    }
}

/* @return its process */
static pid_t begin_receiver(void)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    pid_t pid;

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, 50) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return -1;
    target.url = apr_psprintf(pool, "http://127.0.0.1:%d/ended",
                              ntohs(address.sin_port));
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        receive(fd);
    }
    close(fd);
    return pid;
}

/* ---- what waits ------------------------------------------------------- */

static bl_build_t record_of(apr_uint64_t id)
{
    bl_build_t build;

    memset(&build, 0, sizeof(build));
    build.id = id;
    build.project = "/srv/demo";
    build.title = "demo";
    build.state = BL_BUILD_SUCCEEDED;
    build.step = -1;
    build.created = APR_UINT64_C(1795341600000000) + id;
    build.started = build.created + 100;
    build.ended = build.started + 500;
    build.signal = BL_BUILD_NONE;
    return build;
}

/* All but the first have an end that is still in the log alone. */
static void put_build(apr_uint64_t id)
{
    bl_notice_t notice = {id, 0, KEY, NULL, NULL, 0, 0};
    bl_build_t build = record_of(id);
    const char *json = bl_build_to_json(&build, pool);
    char bytes[4096];
    bl_record_t rec;
    FILE *out = fopen(bl_log_path(logs, id, pool), "w");

    memset(&rec, 0, sizeof(rec));
    rec.id = build.ended;
    rec.flags = BL_REC_END | BL_REC_NOTE;
    rec.text = json;
    rec.len = strlen(json);
    fwrite(bytes, 1, bl_record_encode(bytes, &rec), out);
    fclose(out);
    if (id == 1) {
        notice.id =
            apr_psprintf(pool, "build-1-%" APR_UINT64_T_FMT, build.ended);
        notice.body = json;
    }
    bl_notice_save(notices, &notice, pool);
}

static void quiet(bl_diag_level_e level, apr_status_t rv, const char *message)
{
    if (getenv("TALK") != NULL)
        dprintf(2, "# %s: %d\n", message, rv);
}

/* One courier, until it has tried all that is due. */
static int carry(void)
{
    int pair[2], status = 0;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        signal(SIGPIPE, SIG_IGN);
        dup2(pair[1], BL_HELPER_CONTROL);
        close_range(BL_HELPER_CONTROL + 1, ~0U, 0);
        prctl(PR_SET_NAME, COURIER);
        bl_diag_set(quiet);
        bl_courier_main(&setup);
    }
    close(pair[1]);
    close(pair[0]); /* at once: what is due is begun, and comes to its end */
    waitpid(pid, &status, 0);
    return status;
}

/* What is left is due now. @return how many are left */
static int make_due(void)
{
    apr_array_header_t *list;
    bl_notice_t *notice;
    int i;

    if (bl_notice_list(&list, notices, pool) != APR_SUCCESS)
        return -1;
    for (i = 0; i < list->nelts; i++) {
        apr_uint64_t build = APR_ARRAY_IDX(list, i, bl_notice_t).build;

        if (bl_notice_load(&notice, notices, build, 0, pool) == APR_SUCCESS) {
            notice->due = 0;
            bl_notice_save(notices, notice, pool);
        }
    }
    return list->nelts;
}

static unsigned tell_all(void)
{
    unsigned bad = 0;
    int status;
    apr_uint64_t id;

    memset(told, 0, sizeof(*told) * (BUILDS + 1));
    fault_rest();
    for (id = 1; id <= BUILDS; id++)
        put_build(id);
    fault_go_on();
    status = carry();
    fault_rest();
    if (WIFSIGNALED(status))
        bad += wrong("it died of signal %d", WTERMSIG(status));
    if (make_due() > 0)
        carry();
    if (make_due() != 0)
        bad += wrong("%d are left", make_due());
    for (id = 1; id <= BUILDS; id++) {
        if (told[id].times < 1 || told[id].times > 2 || told[id].others != 0)
            bad += wrong("build %d is told %d times, by %d other ids", (int)id,
                         told[id].times, told[id].others);
    }
    if (told[0].headless != 0)
        bad += wrong("a message without a name, or not signed");
    return bad;
}

int main(void)
{
    static const seam_t seams[] = {
        {"open", COURIER, EMFILE, 1},
        {"open", COURIER, EIO, 1},
        {"open", COURIER, ENOSPC, 2},
        {"read", COURIER, EIO, 1},
        {"pread", COURIER, EIO, 1},
        {"fstat", COURIER, EIO, 1},
        {"opendir", COURIER, EMFILE, 1},
        {"readdir", COURIER, EIO, 1},
        {"write", COURIER, ENOSPC, 1},
        {"write", COURIER, 0, 1},
        {"rename", COURIER, EIO, 1},
        {"unlink", COURIER, EIO, 1},
        {"socket", COURIER, EMFILE, 1},
        {"connect", COURIER, ECONNREFUSED, 1},
        {"send", COURIER, ECONNRESET, 1},
        {"recv", COURIER, ECONNRESET, 1},
        {"recv", COURIER, EINTR, 1},
    };
    pid_t receiver;
    size_t i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    apr_snprintf(dir, sizeof(dir), "%s/courier_fault-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    told = mmap(NULL, sizeof(*told) * (BUILDS + 1), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    receiver = mkdtemp(dir) != NULL ? begin_receiver() : -1;
    if (receiver < 0) {
        printf("Bail out! no receiver, or no directory\n");
        return 1;
    }
    logs = apr_pstrcat(pool, dir, "/logs", NULL);
    notices = bl_notice_dir(dir, pool);
    mkdir(logs, 0700);
    bl_notice_make(notices, pool);
    setup.logs_dir = logs;
    setup.dir = notices;
    setup.target_count = 1;
    setup.targets = &target;
    fault_plan()->hits = 0;
    ok(tell_all() == 0, "with all calls working");
    is_u64((uint64_t)told[2].times, 1, "... each is told once");
    for (i = 0; i < sizeof(seams) / sizeof(seams[0]); i++)
        every(&seams[i], tell_all);
    kill(receiver, SIGKILL);
    waitpid(receiver, NULL, 0);
    if (system(apr_pstrcat(pool, "rm -rf '", dir, "'", NULL)) != 0)
        printf("# %s: not removed\n", dir);
    apr_terminate();
    return done_testing();
}
