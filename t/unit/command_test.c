/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_test.c - the parts of the command that need no server: events of a
 * stream cut anywhere, and what of a log may reach a terminal
 */
#include "events.h"
#include "screen.h"

/* libc */
#include <stdlib.h>
#include <string.h>

#include "tap.h"

/* ---- events --------------------------------------------------------- */

static const char stream[] = "retry: 1500\n\n"
                             "id: 10\nevent: ping\ndata: {}\n\n"
                             ": a comment\n"
                             "id: 11\ndata: [x] one\n\n"
                             "data: two\ndata: lines\n\n"
                             "id: 12\nevent: nothing\n\n"
                             "data:tight\n\n"
                             "id: 99\ndata: not whole";

typedef struct {
    char text[512];
    int most; /* so many events */
} heard_t;

static int hear(void *with, const char *name, const char *data, size_t len)
{
    heard_t *heard = with;
    size_t n = strlen(heard->text);

    snprintf(heard->text + n, sizeof(heard->text) - n, "<%s|%s|%zu>", name,
             data, len);
    return --heard->most > 0;
}

static void test_events(void)
{
    const char *want = "<ping|{}|2><|[x] one|7><|two\nlines|9><|tight|5>";
    size_t len = strlen(stream), cut;
    int wrong = 0;

    for (cut = 0; cut <= len; cut++) {
        events_t events;
        heard_t heard = {"", 100};

        memset(&events, 0, sizeof(events));
        wrong += !events_take(&events, stream, cut, hear, &heard);
        wrong += !events_take(&events, stream + cut, len - cut, hear, &heard);
        wrong += strcmp(heard.text, want) != 0;
        wrong += strcmp(events.id, "12") != 0 || events.retry_ms != 1500;
        events_reset(&events);
        events_take(&events, "data: again\n\n", 13, hear, &heard);
        wrong += strstr(heard.text, "<|again|5>") == NULL;
        wrong += strcmp(events.id, "12") != 0;
        events_reset(&events);
    }
    is_u64((uint64_t)wrong, 0, "a stream that is cut anywhere, %zu ways", cut);
}

static void test_enough(void)
{
    events_t events;
    heard_t heard = {"", 2};

    memset(&events, 0, sizeof(events));
    ok(!events_take(&events, stream, strlen(stream), hear, &heard),
       "who has enough says so");
    ok(strcmp(heard.text, "<ping|{}|2><|[x] one|7>") == 0,
       "and hears no more");
    events_reset(&events);
}

/* ---- the screen ----------------------------------------------------- */

static const struct {
    const char *what, *in, *colours, *plain;
} texts[] = {
    {"text", "a\tb\xc3\xa9\n", "a\tb\xc3\xa9\n", "a\tb\xc3\xa9\n"},
    {"colours", "\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m", "red"},
    {"a cursor that moves", "a\x1b[2K\x1b[1Gb\x1b[10;10Hc", "abc", "abc"},
    {"a title",
     "a\x1b]0;title\x07"
     "b",
     "ab", "ab"},
    {"a clipboard", "a\x1b]52;c;eA==\x1b\\b", "ab", "ab"},
    {"a link", "\x1b]8;;http://x\x1b\\t\x1b]8;;\x1b\\", "t", "t"},
    {"a device string", "\x1bPq#0\x1b\\a", "a", "a"},
    {"the other introducers",
     "a\xc2\x9b"
     "31mb\xc2\x9d"
     "0;x\x07"
     "c",
     "a\x1b[31mbc", "abc"},
    {"a character of Latin-1", "\xc2\xa0\xc2\xbf", "\xc2\xa0\xc2\xbf",
     "\xc2\xa0\xc2\xbf"},
    {"control characters", "a\rb\bc\x07\x7f\x01", "abc", "abc"},
    {"a string without an end", "a\x1b]0;for ever\nb", "a\nb", "a\nb"},
    {"a charset", "a\x1b(0b", "ab", "ab"},
    {"an escape in an escape", "a\x1b\x1b[31mb", "a\x1b[31mb", "ab"},
    {"an escape in a colour", "a\x1b[3\x1b[32mb", "a\x1b[32mb", "ab"},
    {"a reset",
     "a\x1b"
     "cb",
     "ab", "ab"},
    {"a colour that is too long",
     "a\x1b[0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;0;"
     "0mb",
     "ab", "ab"},
};

static int is_filtered(const char *in, size_t cut, int colours,
                       const char *want)
{
    screen_filter_t filter;
    size_t len = strlen(in), n;
    char *out = malloc(len + 2 * SCREEN_SEQUENCE_ROOM);
    int same;

    memset(&filter, 0, sizeof(filter));
    n = screen_filter(out, &filter, in, cut, colours);
    n += screen_filter(out + n, &filter, in + cut, len - cut, colours);
    same = n == strlen(want) && memcmp(out, want, n) == 0;
    free(out);
    return same;
}

static void test_screen(void)
{
    size_t i, cut;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int wrong = 0;

        for (cut = 0; cut <= strlen(texts[i].in); cut++) {
            wrong += !is_filtered(texts[i].in, cut, 1, texts[i].colours);
            wrong += !is_filtered(texts[i].in, cut, 0, texts[i].plain);
        }
        is_u64((uint64_t)wrong, 0, "%s", texts[i].what);
    }
}

int main(void)
{
    test_events();
    test_enough();
    test_screen();
    return done_testing();
}
