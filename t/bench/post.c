/* SPDX-License-Identifier: Apache-2.0 */
/*
 * post.c - publishes the lines of stdin by HTTP, for `make bench`
 *
 *   post PORT PATH <LINES
 *
 * For peers that run no builds: each line is the body of a POST to loopback,
 * on one connection that is kept open, with at most IN_FLIGHT_MAX requests
 * that were not answered yet.
 */
/* system */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* Enough that neither side waits for the other, little enough to stay live. */
#define IN_FLIGHT_MAX 16
#define LINE_MAX_BYTES 16384

static int fd;
static int in_flight;
static unsigned long refused;

static void die(const char *what)
{
    fprintf(stderr, "post: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void connect_to(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval limit = {.tv_sec = 20};
    int on = 1;

    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

/* The whole length of the answer at the front of bytes, 0 when some of it is
 * still to come. Answers have a Content-Length, or no body. */
static size_t answer_length(char *bytes, size_t len)
{
    char *end = memmem(bytes, len, "\r\n\r\n", 4);
    const char *field;
    size_t whole;

    if (end == NULL)
        return 0;
    *end = '\0';
    field = strcasestr(bytes, "\r\ncontent-length:");
    whole = (size_t)(end - bytes) + 4;
    if (field != NULL)
        whole += strtoul(field + 17, NULL, 10);
    if (strncmp(bytes, "HTTP/1.1 2", 10) != 0)
        refused++;
    *end = '\r';
    return whole <= len ? whole : 0;
}

static void read_answers(void)
{
    static char bytes[65536];
    static size_t held;
    ssize_t n = recv(fd, bytes + held, sizeof(bytes) - held, 0);
    size_t used;

    if (n <= 0)
        die("the server closed the connection");
    held += (size_t)n;
    while (held > 0 && (used = answer_length(bytes, held)) > 0) {
        held -= used;
        memmove(bytes, bytes + used, held);
        in_flight--;
    }
}

static void publish(const char *path, const char *line, size_t len)
{
    char request[LINE_MAX_BYTES + 512];
    int head = snprintf(request, 512,
                        "POST %.200s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                        "Content-Type: text/plain\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        path, len);
    size_t total = (size_t)head + len;

    memcpy(request + head, line, len);
    for (size_t sent = 0; sent < total;) {
        ssize_t n = send(fd, request + sent, total - sent, MSG_NOSIGNAL);

        if (n < 0)
            die("send");
        sent += (size_t)n;
    }
    in_flight++;
    while (in_flight >= IN_FLIGHT_MAX)
        read_answers();
}

int main(int argc, char **argv)
{
    char line[LINE_MAX_BYTES];

    if (argc != 3) {
        fprintf(stderr, "usage: post PORT PATH <LINES\n");
        return 2;
    }
    connect_to((int)strtol(argv[1], NULL, 10));
    while (fgets(line, sizeof(line), stdin) != NULL)
        publish(argv[2], line, strcspn(line, "\n"));
    while (in_flight > 0)
        read_answers();
    if (refused > 0)
        fprintf(stderr, "post: %lu lines were refused\n", refused);
    return refused > 0;
}
