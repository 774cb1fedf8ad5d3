/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse_test.c - each line is exactly one event for the reader at the other
 * end, whatever is in it (E1, E2; promise 1); no event has a browser's own
 * name (E3)
 *
 * The reader is the parser below. It follows "Interpreting an event stream"
 * of the WHATWG HTML standard and knows nothing of how frames are written.
 */
#include "bl_sse.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "bl_json.h"
#include "tap.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define ID APR_UINT64_C(1795341600123456)
#define ID_TEXT "1795341600123456"
#define STAMP "[2026-11-22 10:00:00] "
#define FORMAT "%Y-%m-%d %H:%M:%S"

static apr_pool_t *pool;

/* ---- a reader ------------------------------------------------------- */

#define EVENTS_MAX 8
#define VALUE_MAX 4096

typedef struct {
    char type[VALUE_MAX];
    char data[VALUE_MAX];
    apr_size_t data_len;
    char id[VALUE_MAX];
} event_t;

typedef struct {
    event_t now; /* buffers of the standard; now.id lasts */
    event_t events[EVENTS_MAX];
    unsigned count;
    char retry[VALUE_MAX];
} reader_t;

static reader_t reader;

static void dispatch(void)
{
    event_t *event;

    if (reader.now.data_len == 0) { /* no data field: no event */
        reader.now.type[0] = '\0';
        return;
    }
    if (reader.count == EVENTS_MAX)
        abort();
    event = &reader.events[reader.count++];
    *event = reader.now;
    event->data_len--; /* the LF behind the last data field */
    event->data[event->data_len] = '\0';
    if (event->type[0] == '\0')
        memcpy(event->type, "message", sizeof("message"));
    reader.now.type[0] = '\0';
    reader.now.data_len = 0;
}

static int is_field(const char *line, apr_size_t name_len, const char *name)
{
    return name_len == strlen(name) && memcmp(line, name, name_len) == 0;
}

static void process_field(const char *line, apr_size_t len)
{
    const char *colon = memchr(line, ':', len);
    apr_size_t name_len = colon == NULL ? len : (apr_size_t)(colon - line);
    const char *value = colon == NULL ? line + len : colon + 1;
    apr_size_t value_len = (apr_size_t)(line + len - value);
    event_t *now = &reader.now;

    if (name_len == 0) /* a comment */
        return;
    if (value_len > 0 && *value == ' ') {
        value++;
        value_len--;
    }
    if (is_field(line, name_len, "event")) {
        memcpy(now->type, value, value_len);
        now->type[value_len] = '\0';
    }
    else if (is_field(line, name_len, "data")) {
        memcpy(now->data + now->data_len, value, value_len);
        now->data_len += value_len;
        now->data[now->data_len++] = '\n';
    }
    else if (is_field(line, name_len, "id")) {
        if (memchr(value, '\0', value_len) == NULL) {
            memcpy(now->id, value, value_len);
            now->id[value_len] = '\0';
        }
    }
    else if (is_field(line, name_len, "retry")) {
        memcpy(reader.retry, value, value_len);
        reader.retry[value_len] = '\0';
        if (strspn(reader.retry, "0123456789") != value_len)
            reader.retry[0] = '\0';
    }
}

/* A stream from its first to its last byte. What no empty line ends is
 * discarded, as the standard says. */
static void read_stream(const char *stream, apr_size_t len)
{
    memset(&reader, 0, sizeof(reader));
    while (len > 0) {
        apr_size_t line = 0;
        apr_size_t end;

        while (line < len && stream[line] != '\r' && stream[line] != '\n')
            line++;
        if (line == len)
            return;
        if (line == 0)
            dispatch();
        else
            process_field(stream, line);
        end =
            stream[line] == '\r' && line + 1 < len && stream[line + 1] == '\n'
                ? 2
                : 1;
        stream += line + end;
        len -= line + end;
    }
}

/* The reader itself, by the examples of the standard. */
static void test_reader(void)
{
    static const char empty[] = "data\n\ndata\ndata\n\ndata:";
    static const char blanks[] =
        ": test stream\n\ndata: first event\nid: 1\n\n"
        "data:second event\nid\n\ndata:  third\r\r\n";
    static const char none[] = "event: x\nid: 7\n\n";

    read_stream(empty, sizeof(empty) - 1);
    ok(reader.count == 2 && reader.events[0].data_len == 0 &&
           strcmp(reader.events[1].data, "\n") == 0,
       "reader: an empty data field makes an event");
    read_stream(blanks, sizeof(blanks) - 1);
    ok(reader.count == 3 && strcmp(reader.events[0].id, "1") == 0 &&
           strcmp(reader.events[1].id, "") == 0 &&
           strcmp(reader.events[2].data, " third") == 0,
       "reader: comments, ids, one blank, every line end");
    read_stream(none, sizeof(none) - 1);
    ok(reader.count == 0, "reader: no data field, no event");
}

/* ---- lines ---------------------------------------------------------- */

static bl_record_t make(const char *text, apr_size_t len)
{
    bl_record_t rec = {ID, BL_STDOUT, 0, 0, NULL, 0};

    rec.text = text;
    rec.len = len;
    return rec;
}

static bl_sse_style_t style_make(bl_sse_format_e format, const char *stamp)
{
    bl_sse_style_t style;

    memset(&style, 0, sizeof(style));
    style.format = format;
    style.time_format = stamp;
    return style;
}

/* A line in memory of exactly the size that was promised (a sanitizer sees
 * one byte more). */
static char *line_make(apr_size_t *len, bl_sse_style_t *style,
                       apr_uint64_t build, const bl_record_t *rec)
{
    apr_size_t max = bl_sse_line_max(style, rec->len);
    char *out = malloc(max);

    *len = bl_sse_line(out, style, build, rec);
    if (*len > max)
        abort();
    return out;
}

static void test_bytes(void)
{
    bl_sse_style_t text = style_make(BL_SSE_TEXT, FORMAT);
    bl_sse_style_t json = style_make(BL_SSE_JSON, NULL);
    bl_record_t rec = make("added 120 packages in 3s", 24);
    apr_size_t len;
    char *out;

    out = line_make(&len, &text, 42, &rec);
    is_mem(out, len,
           "id: " ID_TEXT "\ndata: " STAMP "added 120 packages in 3s\n\n", 75,
           "text: as in the contract");
    free(out);

    out = line_make(&len, &json, 42, &rec);
    out[len - 2] = '\0';
    is_str(out,
           "id: " ID_TEXT "\ndata: {\"build\":42,\"id\":\"" ID_TEXT
           "\",\"time\":\"2026-11-22T10:00:00.123456Z\",\"stream\":\"stdout\","
           "\"text\":\"added 120 packages in 3s\"}",
           "json: as in the contract");
    free(out);

    rec.stream = BL_STDERR;
    rec.step = 2;
    rec.flags = BL_REC_PIECE | BL_REC_CR | BL_REC_NOTE;
    out = line_make(&len, &json, 0, &rec);
    out[len - 2] = '\0';
    is_str(out,
           "id: " ID_TEXT "\ndata: {\"build\":0,\"id\":\"" ID_TEXT
           "\",\"time\":\"2026-11-22T10:00:00.123456Z\",\"stream\":\"stderr\","
           "\"text\":\"added 120 packages in 3s\",\"step\":2,\"partial\":true,"
           "\"cr\":true,\"note\":true}",
           "json: what holds besides, in its order");
    free(out);
}

typedef struct {
    const char *name;
    const char *text;
    apr_size_t len;
    const char *shown; /* in text */
} hostile_t;

#define HOSTILE(name, text, shown)                                            \
    {                                                                         \
        name, text, sizeof(text) - 1, shown                                   \
    }

static const hostile_t hostile[] = {
    HOSTILE("empty", "", ""),
    HOSTILE("a blank", " ", " "),
    HOSTILE("blanks in front", "  two", "  two"),
    HOSTILE("blanks behind", "two  ", "two  "),
    HOSTILE("a colon", ":", ":"),
    HOSTILE("a comment", ": comment", ": comment"),
    HOSTILE("a data field", "data: x", "data: x"),
    HOSTILE("an id field", "id: 5", "id: 5"),
    HOSTILE("a retry field", "retry: 1", "retry: 1"),
    HOSTILE("an event behind CRLF", "x\r\nevent: end", "x  event: end"),
    HOSTILE("an event behind LF", "x\nevent: end\ndata: {}",
            "x event: end data: {}"),
    HOSTILE("an event behind CR", "x\revent: end", "x event: end"),
    HOSTILE("two line ends", "x\n\nid: 5\n\n", "x  id: 5  "),
    HOSTILE("two CRs", "x\r\rid: 5\r\r", "x  id: 5  "),
    HOSTILE("only line ends", "\n\r\n", "   "),
    HOSTILE("quotes and backslashes", "\"a\\\" \\u0041 \\n",
            "\"a\\\" \\u0041 \\n"),
    HOSTILE("what would end the JSON", "\"},{\"text\":\"", "\"},{\"text\":\""),
    HOSTILE("colours", "\x1b[32m\xE2\x9C\x93\x1b[0m done",
            "\x1b[32m\xE2\x9C\x93\x1b[0m done"),
    HOSTILE("control bytes", "\x01\x02\b\t\x0b\f\x1f\x7f",
            "\x01\x02\b\t\x0b\f\x1f\x7f"),
    HOSTILE("a byte order mark", "\xEF\xBB\xBF text", "\xEF\xBB\xBF text"),
    HOSTILE("line separators of Unicode", "a\xE2\x80\xA8\xE2\x80\xA9\xC2\x85",
            "a\xE2\x80\xA8\xE2\x80\xA9\xC2\x85"),
    HOSTILE("long", "0123456789abcdef0123456789abcdef0123456789abcdef\n!",
            "0123456789abcdef0123456789abcdef0123456789abcdef !"),
};

/* The line between two harmless ones: whatever it is, it stays one of three
 * events. */
static const event_t *event_of(bl_sse_style_t *style, const bl_record_t *rec,
                               const char *name)
{
    bl_record_t before = make("before", 6);
    bl_record_t after = make("after", 5);
    const event_t *event = &reader.events[1];
    char stream[4 * VALUE_MAX];
    apr_size_t len;

    before.id = ID - 1;
    after.id = ID + 1;
    len = bl_sse_line(stream, style, 42, &before);
    len += bl_sse_line(stream + len, style, 42, rec);
    len += bl_sse_line(stream + len, style, 42, &after);
    read_stream(stream, len);
    ok(reader.count == 3 && reader.retry[0] == '\0' &&
           strcmp(event->type, "message") == 0 &&
           strcmp(event->id, ID_TEXT) == 0,
       "%s: one message event with its id", name);
    return event;
}

static void test_hostile_text(const char *stamp, const char *shown_stamp)
{
    unsigned i;

    for (i = 0; i < COUNT_OF(hostile); i++) {
        bl_sse_style_t style = style_make(BL_SSE_TEXT, stamp);
        bl_record_t rec = make(hostile[i].text, hostile[i].len);
        const event_t *event = event_of(&style, &rec, hostile[i].name);
        const char *want =
            apr_pstrcat(pool, shown_stamp, hostile[i].shown, NULL);

        is_mem(event->data, event->data_len, want, strlen(want),
               "%s: text '%s'", hostile[i].name, shown_stamp);
    }
}

static void test_hostile_json(void)
{
    bl_sse_style_t style = style_make(BL_SSE_JSON, NULL);
    unsigned i;

    for (i = 0; i < COUNT_OF(hostile); i++) {
        bl_record_t rec = make(hostile[i].text, hostile[i].len);
        const event_t *event = event_of(&style, &rec, hostile[i].name);
        const char *why = "";
        const char *text = "";
        bl_json_t *object;

        if (bl_json_parse(&object, event->data, event->data_len, &why, pool) ==
            APR_SUCCESS)
            text = bl_json_string(object, "text");
        is_mem(text, strlen(text), hostile[i].text, hostile[i].len,
               "%s: json, unchanged%s", hostile[i].name, why);
    }
}

/* A time format is only a text to strftime. */
static void test_hostile_stamp(void)
{
    bl_sse_style_t style = style_make(BL_SSE_TEXT, "a%nevent: end%n%nid: 5");
    bl_record_t rec = make("x", 1);
    const event_t *event = event_of(&style, &rec, "a stamp with line ends");

    is_str(event->data, "[a event: end  id: 5] x",
           "a stamp with line ends: blanks");
}

static void test_stamp_moves(void)
{
    bl_sse_style_t style = style_make(BL_SSE_TEXT, FORMAT);
    bl_record_t rec = make("x", 1);
    char out[256];
    apr_size_t len;

    bl_sse_line(out, &style, 1, &rec);
    rec.id += 61 * APR_USEC_PER_SEC;
    len = bl_sse_line(out, &style, 1, &rec);
    is_mem(out, len, "id: 1795341661123456\ndata: [2026-11-22 10:01:01] x\n\n",
           52, "a style that is used again follows the time");
}

/* The largest of everything, for each length around the word of the escape. */
static void test_room(void)
{
    bl_sse_style_t json = style_make(BL_SSE_JSON, NULL);
    bl_sse_style_t text = style_make(BL_SSE_TEXT, FORMAT);
    char worst[64];
    apr_size_t len;
    apr_size_t n;

    memset(worst, 0x1b, sizeof(worst));
    for (n = 0; n <= sizeof(worst); n++) {
        bl_record_t rec = make(worst, n);

        rec.id = BL_STAMP_MAX;
        rec.stream = BL_STDERR;
        rec.step = ~0u;
        rec.flags = BL_REC_PIECE | BL_REC_CR | BL_REC_NOTE;
        free(line_make(&len, &json, APR_UINT64_MAX, &rec));
        free(line_make(&len, &text, APR_UINT64_MAX, &rec));
    }
    /* strftime fills what the cached stamp has. */
    text = style_make(BL_SSE_TEXT, "%c %c %c %c %c");
    for (n = 0; n < 2; n++) {
        bl_record_t rec = make(worst, n);

        free(line_make(&len, &text, APR_UINT64_MAX, &rec));
    }
    ok(len > BL_STAMP_LOCAL_MAX, "no line is longer than bl_sse_line_max");
}

/* ---- events --------------------------------------------------------- */

static void test_events(void)
{
    char out[512];
    apr_size_t max = bl_sse_event_max(5, 2);
    apr_size_t len;

    len = bl_sse_event(out, "build", ID, "{}", 2);
    is_mem(out, len, "id: " ID_TEXT "\nevent: build\ndata: {}\n\n", 44,
           "event: bytes");
    ok(len <= max, "event: in its room");

    len = bl_sse_event(out, "build", ID, "{}", 2);
    len += bl_sse_event(out + len, "ping", 0, "", 0);
    len += bl_sse_event(out + len, "gap", 0, "{\n\n\r\nid: 5}", 11);
    read_stream(out, len);
    is_u64(reader.count, 3, "event: three");
    is_str(reader.events[0].type, "build", "event: its name");
    is_str(reader.events[1].type, "ping", "event: empty data is an event");
    is_str(reader.events[1].id, ID_TEXT, "event: without id, it stays");
    is_str(reader.events[2].data, "{    id: 5}", "event: data is one line");
    is_str(reader.events[2].id, ID_TEXT, "event: data sets no id");
}

static void test_retry(void)
{
    char out[BL_SSE_RETRY_MAX];
    apr_size_t len = bl_sse_retry(out, 0);

    is_mem(out, len, "retry: 0\n\n", 10, "retry: 0");
    len = bl_sse_retry(out, APR_UINT32_MAX);
    is_mem(out, len, "retry: 4294967295\n\n", 19, "retry: the longest");
    read_stream(out, len);
    is_str(reader.retry, "4294967295", "retry: understood");
}

/* E3 is a promise of the code about itself: breaking it stops the process. */
static void test_forbidden_names(void)
{
    static const char *const names[] = {"error", "open"};
    unsigned i;

    for (i = 0; i < COUNT_OF(names); i++) {
        char out[128];
        int status = 0;
        pid_t child = fork();

        if (child == 0) {
            close(STDERR_FILENO);
            bl_sse_event(out, names[i], 0, "{}", 2);
            _exit(0);
        }
        waitpid(child, &status, 0);
        ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
           "no event is named %s", names[i]);
    }
}

/* ---- positions ------------------------------------------------------ */

static void test_from(void)
{
    static const struct {
        const char *text;
        apr_status_t rv;
        bl_from_e from;
        bl_stamp_t id;
    } cases[] = {
        {"start", APR_SUCCESS, BL_FROM_START, 7},
        {"tail", APR_SUCCESS, BL_FROM_TAIL, 7},
        {"1", APR_SUCCESS, BL_FROM_ID, 1},
        {ID_TEXT, APR_SUCCESS, BL_FROM_ID, ID},
        {"253402300799999999", APR_SUCCESS, BL_FROM_ID, BL_STAMP_MAX},
        {"", APR_EGENERAL, BL_FROM_TAIL, 7},
        {"0", APR_EGENERAL, BL_FROM_TAIL, 7},
        {"-1", APR_EGENERAL, BL_FROM_TAIL, 7},
        {"+1", APR_EGENERAL, BL_FROM_TAIL, 7},
        {" 1", APR_EGENERAL, BL_FROM_TAIL, 7},
        {"1 ", APR_EGENERAL, BL_FROM_TAIL, 7},
        {"0x1", APR_EGENERAL, BL_FROM_TAIL, 7},
        {"Start", APR_EGENERAL, BL_FROM_TAIL, 7},
        {"star", APR_EGENERAL, BL_FROM_TAIL, 7},
        {"start ", APR_EGENERAL, BL_FROM_TAIL, 7},
        {"253402300800000000", APR_EGENERAL, BL_FROM_TAIL, 7},
        {"18446744073709551617", APR_EGENERAL, BL_FROM_TAIL, 7},
    };
    unsigned i;

    for (i = 0; i < COUNT_OF(cases); i++) {
        bl_from_e from = BL_FROM_TAIL;
        bl_stamp_t id = 7;
        apr_status_t rv =
            bl_sse_from_read(&from, &id, cases[i].text, strlen(cases[i].text));

        ok(rv == cases[i].rv && from == cases[i].from && id == cases[i].id,
           "from: '%s'", cases[i].text);
    }
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    setenv("TZ", "UTC", 1);

    test_reader();
    test_bytes();
    test_hostile_text(FORMAT, STAMP);
    test_hostile_text("", "");
    test_hostile_json();
    test_hostile_stamp();
    test_stamp_moves();
    test_room();
    test_events();
    test_retry();
    test_forbidden_names();
    test_from();

    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
