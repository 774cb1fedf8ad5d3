/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_test.c - a message is taken whole or not at all (W1), nothing in it is
 * trusted (W2), and what was read is what would be written (W3 in bl_wire.c):
 * no message harms the runner, whoever sends it (promises 7 and 8)
 */
#include "bl_wire.h"

#include <stdlib.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "bl_build.h"
#include "tap.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define FIELD_HEADER_LEN 6

static apr_pool_t *pool;

/* ---- any message ---------------------------------------------------- */

typedef struct {
    const char *bytes;
    apr_size_t len;
} frame_t;

/* Read a frame and write again what it said. */
static apr_status_t read_back(frame_t *again, const bl_wire_frame_t *frame,
                              apr_pool_t *p)
{
    bl_order_t *order = NULL;
    bl_limits_t limits;
    bl_accepted_t accepted;
    bl_refusal_t refusal;
    bl_cancel_t cancel;
    apr_status_t rv = APR_EGENERAL;

    switch (frame->type) {
    case BL_WIRE_ORDER:
        rv = bl_wire_order_read(&order, frame, p);
        if (rv == APR_SUCCESS)
            rv = bl_wire_order_write(&again->bytes, &again->len, order, p);
        else if (order != NULL)
            abort();
        break;
    case BL_WIRE_LIMITS:
        rv = bl_wire_limits_read(&limits, frame, p);
        if (rv == APR_SUCCESS)
            rv = bl_wire_limits_write(&again->bytes, &again->len, &limits, p);
        break;
    case BL_WIRE_ACCEPTED:
        rv = bl_wire_accepted_read(&accepted, frame, p);
        if (rv == APR_SUCCESS)
            rv = bl_wire_accepted_write(&again->bytes, &again->len, &accepted,
                                        p);
        break;
    case BL_WIRE_REFUSED:
        rv = bl_wire_refused_read(&refusal, frame, p);
        if (rv == APR_SUCCESS)
            rv =
                bl_wire_refused_write(&again->bytes, &again->len, &refusal, p);
        break;
    case BL_WIRE_CANCEL:
        rv = bl_wire_cancel_read(&cancel, frame, p);
        if (rv == APR_SUCCESS)
            rv = bl_wire_cancel_write(&again->bytes, &again->len, &cancel, p);
        break;
    case BL_WIRE_PROBE:
    case BL_WIRE_READY:
        rv = bl_wire_bare_read(frame, frame->type);
        if (rv == APR_SUCCESS)
            rv =
                bl_wire_bare_write(&again->bytes, &again->len, frame->type, p);
        break;
    }
    return rv;
}

/* As the runner takes it: from memory that ends where the message ends, so
 * that a sanitizer sees one byte too many. W3 is checked on the way. */
static apr_status_t take(const char *bytes, apr_size_t len)
{
    char *copy = malloc(len + (len == 0));
    apr_pool_t *p;
    bl_wire_frame_t frame;
    frame_t again = {NULL, 0};
    apr_size_t need = 0;
    apr_status_t rv;

    memcpy(copy, bytes, len);
    if (apr_pool_create(&p, pool) != APR_SUCCESS)
        abort();
    rv = bl_wire_frame_read(&frame, &need, copy, len);
    if (rv == APR_INCOMPLETE && need <= len)
        abort();
    if (rv == APR_SUCCESS && need != len)
        rv = APR_EGENERAL; /* something behind it */
    if (rv == APR_SUCCESS) {
        rv = read_back(&again, &frame, p);
        if (rv == APR_SUCCESS &&
            (again.len != len || memcmp(again.bytes, copy, len) != 0)) {
            printf("# read, but written otherwise\n");
            abort();
        }
    }
    apr_pool_destroy(p);
    free(copy);
    return rv;
}

/* ---- examples ------------------------------------------------------- */

static const char *env[] = {"PATH=/usr/bin:/bin", "EMPTY=", "A==\n"};
static const char *masks[] = {"EMPTY", "B"};
static const char *notify[] = {"00000000000000000000000000000000",
                               "0123456789abcdef0123456789abcdef"};
static bl_target_t targets[] = {
    {"00000000000000000000000000000000", "https://ci.example.org/x?y=1",
     "s3cret"},
    {"0123456789abcdef0123456789abcdef", "http://[::1]:8080/", ""}};

static bl_wire_step_t steps[] = {
    {"install", "yarn install"},
    {"build", "yarn build && echo \"\xC3\xBC\" \xFF"},
};

/* Its numbers all differ, so that a test can find their fields. */
static bl_order_t order_make(void)
{
    bl_order_t order;

    memset(&order, 0, sizeof(order));
    order.project = "/srv/demo";
    order.title = "demo";
    order.user = "alice";
    order.step_count = 2;
    order.steps = steps;
    order.env_count = 3;
    order.env = env;
    order.mask_count = 2;
    order.masks = masks;
    order.notify_count = 2;
    order.notify = notify;
    order.marks[0] = "0123456789abcdef0123456789abcdef";
    order.marks[1] = "fedcba9876543210fedcba9876543210";
    order.timeout = apr_time_from_sec(3600);
    order.idle_timeout = apr_time_from_sec(600);
    order.kill_grace = apr_time_from_sec(5);
    order.max_log = 1000000;
    order.rlimits[BL_WIRE_RLIMIT_CPU].set = 1;
    order.rlimits[BL_WIRE_RLIMIT_CPU].soft = 100;
    order.rlimits[BL_WIRE_RLIMIT_CPU].hard = APR_UINT64_MAX;
    order.rlimits[BL_WIRE_RLIMIT_NPROC].set = 1;
    order.rlimits[BL_WIRE_RLIMIT_NPROC].soft = 101;
    order.rlimits[BL_WIRE_RLIMIT_NPROC].hard = 102;
    order.messages[BL_BUILD_SUCCEEDED] = "Build finished";
    order.messages[BL_BUILD_LOST] = "";
    return order;
}

static frame_t order_frame(const bl_order_t *order)
{
    frame_t frame = {NULL, 0};

    if (bl_wire_order_write(&frame.bytes, &frame.len, order, pool) !=
        APR_SUCCESS)
        abort();
    return frame;
}

static frame_t limits_frame(void)
{
    bl_limits_t limits = {2, 64, 16384, 1000, 7200, 65536, 2, targets};
    frame_t frame = {NULL, 0};

    if (bl_wire_limits_write(&frame.bytes, &frame.len, &limits, pool) !=
        APR_SUCCESS)
        abort();
    return frame;
}

static frame_t accepted_frame(void)
{
    bl_accepted_t accepted = {42, "{\"id\":42}"};
    frame_t frame = {NULL, 0};

    if (bl_wire_accepted_write(&frame.bytes, &frame.len, &accepted, pool) !=
        APR_SUCCESS)
        abort();
    return frame;
}

static frame_t refused_frame(void)
{
    bl_refusal_t refusal = {BL_REFUSED_STORE, "No space left on device"};
    frame_t frame = {NULL, 0};

    if (bl_wire_refused_write(&frame.bytes, &frame.len, &refusal, pool) !=
        APR_SUCCESS)
        abort();
    return frame;
}

static frame_t cancel_frame(void)
{
    bl_cancel_t cancel = {42, "alice"};
    frame_t frame = {NULL, 0};

    if (bl_wire_cancel_write(&frame.bytes, &frame.len, &cancel, pool) !=
        APR_SUCCESS)
        abort();
    return frame;
}

static frame_t bare_frame(bl_wire_type_e type)
{
    frame_t frame = {NULL, 0};

    if (bl_wire_bare_write(&frame.bytes, &frame.len, type, pool) !=
        APR_SUCCESS)
        abort();
    return frame;
}

#define EXAMPLES 7

static void examples(frame_t *frames)
{
    bl_order_t order = order_make();

    frames[0] = order_frame(&order);
    frames[1] = limits_frame();
    frames[2] = accepted_frame();
    frames[3] = refused_frame();
    frames[4] = cancel_frame();
    frames[5] = bare_frame(BL_WIRE_PROBE);
    frames[6] = bare_frame(BL_WIRE_READY);
}

/* ---- the way there and back ----------------------------------------- */

static void test_bytes(void)
{
    static const char want[] = "BLW1\2\0\0\0\x62\0\0\0"
                               "\x0C\0\x08\0\0\0\2\0\0\0\0\0\0\0"
                               "\x0D\0\x08\0\0\0\x40\0\0\0\0\0\0\0"
                               "\x0E\0\x08\0\0\0\0\x40\0\0\0\0\0\0"
                               "\x14\0\x08\0\0\0\xE8\3\0\0\0\0\0\0"
                               "\x15\0\x08\0\0\0\x20\x1C\0\0\0\0\0\0"
                               "\x16\0\x08\0\0\0\0\0\1\0\0\0\0\0"
                               "\x1E\0\x08\0\0\0\0\0\0\0\0\0\0\0";
    bl_limits_t limits = {2, 64, 16384, 1000, 7200, 65536, 0, NULL};
    frame_t frame = {NULL, 0};

    bl_wire_limits_write(&frame.bytes, &frame.len, &limits, pool);
    is_mem(frame.bytes, frame.len, want, sizeof(want) - 1,
           "limits: header, keys, lengths, numbers");
}

static int same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void test_order(void)
{
    bl_order_t order = order_make();
    frame_t bytes = order_frame(&order);
    bl_order_t *back = NULL;
    bl_wire_frame_t frame;
    apr_size_t need;
    int same;
    int i;

    is_u64(bl_wire_frame_read(&frame, &need, bytes.bytes, bytes.len),
           APR_SUCCESS, "order: a frame");
    ok(frame.type == BL_WIRE_ORDER && need == bytes.len &&
           frame.body == bytes.bytes + BL_WIRE_HEADER_LEN &&
           frame.len == bytes.len - BL_WIRE_HEADER_LEN,
       "order: its parts");
    if (!ok(bl_wire_order_read(&back, &frame, pool) == APR_SUCCESS,
            "order: read"))
        return;
    ok(same_text(back->project, order.project) &&
           same_text(back->title, order.title) &&
           same_text(back->user, order.user),
       "order: texts");
    ok(back->step_count == 2 && same_text(back->steps[0].name, "install") &&
           same_text(back->steps[0].command, steps[0].command) &&
           same_text(back->steps[1].name, "build") &&
           same_text(back->steps[1].command, steps[1].command),
       "order: steps");
    ok(back->env_count == 3 && same_text(back->env[0], env[0]) &&
           same_text(back->env[1], env[1]) && same_text(back->env[2], env[2]),
       "order: environment");
    ok(back->timeout == order.timeout &&
           back->idle_timeout == order.idle_timeout &&
           back->kill_grace == order.kill_grace,
       "order: times");
    ok(back->max_log == order.max_log, "order: the log's limit");
    same = 1;
    for (i = 0; i < BL_WIRE_RLIMIT_COUNT; i++)
        same = same && back->rlimits[i].set == order.rlimits[i].set &&
               back->rlimits[i].soft == order.rlimits[i].soft &&
               back->rlimits[i].hard == order.rlimits[i].hard;
    ok(same, "order: resource limits");
    ok(back->mask_count == 2 && same_text(back->masks[0], "EMPTY") &&
           same_text(back->masks[1], "B"),
       "order: names of secrets");
    ok(back->notify_count == 2 && same_text(back->notify[0], notify[0]) &&
           same_text(back->notify[1], notify[1]),
       "order: who is told");
    ok(same_text(back->marks[0], order.marks[0]) &&
           same_text(back->marks[1], order.marks[1]),
       "order: marks of a delivery");
    ok(bl_wire_is_secret(back, "EMPTY=") && bl_wire_is_secret(back, "B=1") &&
           !bl_wire_is_secret(back, "A==\n") &&
           !bl_wire_is_secret(back, "BB=1") &&
           !bl_wire_is_secret(back, "EMPT=") &&
           !bl_wire_is_secret(back, "B") && !bl_wire_is_secret(back, ""),
       "... which are those variables, and no other");
    same = 1;
    for (i = 0; i < BL_BUILD_STATE_COUNT; i++)
        same = same && same_text(back->messages[i], order.messages[i]);
    ok(same, "order: messages");
}

static void test_least_order(void)
{
    bl_wire_step_t step = {"", ""};
    bl_order_t order;
    frame_t bytes;

    memset(&order, 0, sizeof(order));
    order.project = "/";
    order.title = "";
    order.step_count = 1;
    order.steps = &step;
    order.timeout = 1;
    order.idle_timeout = 1;
    order.max_log = (apr_int64_t)BL_WIRE_LOG_LEAST;
    bytes = order_frame(&order);
    ok(take(bytes.bytes, bytes.len) == APR_SUCCESS, "order: the least");
}

static void test_most_of_an_order(void)
{
    bl_wire_step_t many[BL_BUILD_STEPS_MAX];
    const char *variables[BL_WIRE_ENV_MAX], *names[BL_WIRE_ENV_MAX];
    bl_order_t order = order_make();
    frame_t bytes;
    int i;

    for (i = 0; i < BL_BUILD_STEPS_MAX; i++)
        many[i] = steps[i % 2];
    for (i = 0; i < BL_WIRE_ENV_MAX; i++)
        variables[i] = "A=1", names[i] = "A";
    order.step_count = BL_BUILD_STEPS_MAX;
    order.steps = many;
    order.env_count = BL_WIRE_ENV_MAX;
    order.env = variables;
    order.mask_count = BL_WIRE_ENV_MAX;
    order.masks = names;
    order.timeout = APR_INT64_MAX;
    order.idle_timeout = APR_INT64_MAX;
    order.kill_grace = APR_INT64_MAX;
    order.max_log = BL_WIRE_LOG_MOST;
    for (i = 0; i < BL_BUILD_STATE_COUNT; i++)
        order.messages[i] = "x";
    bytes = order_frame(&order);
    ok(take(bytes.bytes, bytes.len) == APR_SUCCESS, "order: the most");
}

static void test_answers(void)
{
    frame_t bytes = accepted_frame();
    bl_wire_frame_t frame;
    bl_accepted_t accepted = {0, NULL};
    bl_refusal_t refusal = {BL_REFUSED_ORDER, NULL};
    bl_limits_t limits = {0};
    apr_size_t need;

    bl_wire_frame_read(&frame, &need, bytes.bytes, bytes.len);
    ok(bl_wire_accepted_read(&accepted, &frame, pool) == APR_SUCCESS &&
           accepted.build == 42 && same_text(accepted.json, "{\"id\":42}"),
       "accepted: back");
    bytes = refused_frame();
    bl_wire_frame_read(&frame, &need, bytes.bytes, bytes.len);
    ok(bl_wire_refused_read(&refusal, &frame, pool) == APR_SUCCESS &&
           refusal.why == BL_REFUSED_STORE &&
           same_text(refusal.text, "No space left on device"),
       "refused: back");
    bytes = limits_frame();
    bl_wire_frame_read(&frame, &need, bytes.bytes, bytes.len);
    ok(bl_wire_limits_read(&limits, &frame, pool) == APR_SUCCESS &&
           limits.max_builds == 2 && limits.max_queue == 64 &&
           limits.line_limit == 16384,
       "limits: back");
    ok(limits.target_count == 2 &&
           same_text(limits.targets[0].key, targets[0].key) &&
           same_text(limits.targets[0].url, targets[0].url) &&
           same_text(limits.targets[0].secret, targets[0].secret) &&
           same_text(limits.targets[1].url, targets[1].url) &&
           same_text(limits.targets[1].secret, ""),
       "limits: who may be told");
}

/* ---- frames --------------------------------------------------------- */

static void test_frames(void)
{
    static const struct {
        const char *name;
        const char *bytes;
        apr_size_t len;
        apr_status_t rv;
        apr_size_t need;
    } cases[] = {
#define CASE(name, bytes, rv, need) {name, bytes, sizeof(bytes) - 1, rv, need}
        CASE("nothing", "", APR_INCOMPLETE, 12),
        CASE("one byte", "B", APR_INCOMPLETE, 12),
        CASE("no magic", "GET / HTTP/1.1", APR_EGENERAL, 0),
        CASE("no magic, one byte", "G", APR_EGENERAL, 0),
        CASE("another version", "BLW2\1\0\0\0\0\0\0\0", APR_EGENERAL, 0),
        CASE("a header cut", "BLW1\1\0\0\0\0\0\0", APR_INCOMPLETE, 12),
        CASE("no body", "BLW1\1\0\0\0\0\0\0\0", APR_SUCCESS, 12),
        CASE("type 0", "BLW1\0\0\0\0\0\0\0\0", APR_EGENERAL, 0),
        CASE("type 8", "BLW1\10\0\0\0\0\0\0\0", APR_EGENERAL, 0),
        CASE("type 257", "BLW1\1\1\0\0\0\0\0\0", APR_EGENERAL, 0),
        CASE("type 2^24+1", "BLW1\1\0\0\1\0\0\0\0", APR_EGENERAL, 0),
        CASE("the longest", "BLW1\1\0\0\0\0\0\x08\0", APR_INCOMPLETE,
             BL_WIRE_HEADER_LEN + BL_WIRE_BODY_MAX),
        CASE("too long", "BLW1\1\0\0\0\1\0\x08\0", APR_EGENERAL, 0),
        CASE("2^32-1 long", "BLW1\1\0\0\0\xFF\xFF\xFF\xFF", APR_EGENERAL, 0),
        CASE("two", "BLW1\1\0\0\0\1\0\0\0xBLW1", APR_SUCCESS, 13),
#undef CASE
    };
    unsigned i;

    for (i = 0; i < COUNT_OF(cases); i++) {
        bl_wire_frame_t frame = {(bl_wire_type_e)0, NULL, 0};
        apr_size_t need = 0;
        apr_status_t rv =
            bl_wire_frame_read(&frame, &need, cases[i].bytes, cases[i].len);

        ok(rv == cases[i].rv && need == cases[i].need &&
               (frame.body != NULL) == (rv == APR_SUCCESS),
           "frame: %s", cases[i].name);
    }
}

static void test_truncation(void)
{
    frame_t frames[EXAMPLES];
    unsigned i;

    examples(frames);
    for (i = 0; i < EXAMPLES; i++) {
        unsigned as_frame = 0;
        unsigned as_body = 0;
        apr_size_t len;

        for (len = 0; len < frames[i].len; len++)
            as_frame += take(frames[i].bytes, len) != APR_INCOMPLETE;
        is_u64(as_frame, 0, "message %u: every start of it is incomplete", i);

        /* A header that says less than belongs to it. What is missing may
         * have been optional: then it is another valid message. */
        for (len = BL_WIRE_HEADER_LEN; len < frames[i].len; len++) {
            char *cut = apr_pmemdup(pool, frames[i].bytes, len);
            apr_size_t body = len - BL_WIRE_HEADER_LEN;
            apr_status_t rv;

            cut[8] = (char)(body & 0xFF);
            cut[9] = (char)(body >> 8);
            rv = take(cut, len);
            as_body += rv != APR_EGENERAL && rv != APR_SUCCESS;
            as_body += i != 0 && rv == APR_SUCCESS;
        }
        is_u64(as_body, 0, "message %u: every shorter body is refused", i);
    }
}

static void test_corruption(void)
{
    frame_t frames[EXAMPLES];
    unsigned i;

    examples(frames);
    for (i = 0; i < EXAMPLES; i++) {
        unsigned taken = 0;
        unsigned refused = 0;
        unsigned strange = 0;
        apr_size_t at;
        int flip;

        for (at = 0; at < frames[i].len; at++) {
            for (flip = 1; flip < 256; flip++) {
                char *bytes =
                    apr_pmemdup(pool, frames[i].bytes, frames[i].len);
                apr_status_t rv;

                bytes[at] = (char)(bytes[at] ^ flip);
                rv = take(bytes, frames[i].len);
                taken += rv == APR_SUCCESS;
                refused += rv == APR_EGENERAL;
                strange += rv != APR_SUCCESS && rv != APR_EGENERAL &&
                           rv != APR_INCOMPLETE;
            }
        }
        ok(strange == 0 && refused > 0,
           "message %u: each wrong byte: %u refused, %u another message", i,
           refused, taken);
    }
}

/* ---- fields --------------------------------------------------------- */

#define FIELDS_MAX 64

typedef struct {
    apr_size_t at;  /* in the frame */
    apr_size_t len; /* with its header */
} place_t;

static unsigned find_fields(place_t *places, const frame_t *frame)
{
    const unsigned char *bytes = (const unsigned char *)frame->bytes;
    apr_size_t at = BL_WIRE_HEADER_LEN;
    unsigned count = 0;

    while (at < frame->len) {
        places[count].at = at;
        places[count].len =
            FIELD_HEADER_LEN + bytes[at + 2] + 256u * bytes[at + 3];
        at += places[count++].len;
    }
    return count;
}

/* The frame with old_len bytes at "at" replaced by others. */
static frame_t spliced(const frame_t *frame, apr_size_t at, apr_size_t old_len,
                       const char *bytes, apr_size_t len)
{
    frame_t out;
    apr_size_t body = frame->len - BL_WIRE_HEADER_LEN - old_len + len;
    char *copy = apr_palloc(pool, BL_WIRE_HEADER_LEN + body);

    memcpy(copy, frame->bytes, at);
    memcpy(copy + at, bytes, len);
    memcpy(copy + at + len, frame->bytes + at + old_len,
           frame->len - at - old_len);
    copy[8] = (char)(body & 0xFF);
    copy[9] = (char)(body >> 8 & 0xFF);
    copy[10] = (char)(body >> 16);
    out.bytes = copy;
    out.len = BL_WIRE_HEADER_LEN + body;
    return out;
}

static const char *number_text(apr_uint64_t n)
{
    char *text = apr_palloc(pool, 8);
    int i;

    for (i = 0; i < 8; i++)
        text[i] = (char)(unsigned char)(n >> (8 * i));
    return text;
}

/* The frame with the number "from" replaced. */
static frame_t with_number(const frame_t *frame, apr_uint64_t from,
                           apr_uint64_t to)
{
    place_t places[FIELDS_MAX];
    unsigned count = find_fields(places, frame);
    unsigned i;

    for (i = 0; i < count; i++) {
        apr_size_t value = places[i].at + FIELD_HEADER_LEN;

        if (places[i].len == FIELD_HEADER_LEN + 8 &&
            memcmp(frame->bytes + value, number_text(from), 8) == 0)
            return spliced(frame, value, 8, number_text(to), 8);
    }
    abort();
}

/* take() aborts on what is read and not written the same: a field that comes
 * twice, in another place or not at all can only be refused, unless it is one
 * of a list or optional and the rest is again a message. */
static void test_field_order(void)
{
    frame_t frames[EXAMPLES];
    place_t places[FIELDS_MAX];
    unsigned i;
    unsigned n;

    examples(frames);
    for (i = 0; i < EXAMPLES; i++) {
        const frame_t *frame = &frames[i];
        unsigned count = find_fields(places, frame);
        unsigned twice = 0;
        unsigned missing = 0;
        unsigned swapped = 0;

        for (n = 0; n < count; n++) {
            place_t here = places[n];
            const char *field = frame->bytes + here.at;
            frame_t bad = spliced(frame, here.at, 0, field, here.len);

            twice += take(bad.bytes, bad.len) != APR_EGENERAL;
            bad = spliced(frame, here.at, here.len, "", 0);
            missing += take(bad.bytes, bad.len) == APR_SUCCESS;
            if (n + 1 < count) {
                bad = spliced(frame, here.at, 0, field + here.len,
                              places[n + 1].len);
                bad = spliced(&bad, places[n + 1].at + places[n + 1].len,
                              places[n + 1].len, "", 0);
                swapped += take(bad.bytes, bad.len) == APR_SUCCESS;
            }
        }
        is_u64(twice, 0, "message %u: no field may come twice", i);
        /* An order does without the user, each of two marks and each of two
         * messages. */
        is_u64(missing, i == 0 ? 5 : 0, "message %u: no field may miss", i);
        /* Two variables next to each other, twice, two names, two keys. */
        is_u64(swapped, i == 0 ? 4 : 0, "message %u: the order is fixed", i);
    }
}

static void test_unknown_fields(void)
{
    static const char unknown[] = "\x63\0\0\0\0\0";
    frame_t frames[EXAMPLES];
    place_t places[FIELDS_MAX];
    unsigned i;
    unsigned n;

    examples(frames);
    for (i = 0; i < EXAMPLES; i++) {
        unsigned count = find_fields(places, &frames[i]);
        unsigned taken = 0;
        frame_t bad;

        for (n = 0; n < count; n++) {
            bad = spliced(&frames[i], places[n].at, 0, unknown, 6);
            taken += take(bad.bytes, bad.len) != APR_EGENERAL;
        }
        bad = spliced(&frames[i], frames[i].len, 0, unknown, 6);
        taken += take(bad.bytes, bad.len) != APR_EGENERAL;
        is_u64(taken, 0, "message %u: a field that is not known", i);
    }
}

static void test_field_lengths(void)
{
    static const apr_uint32_t wrong[] = {0xFFFFFFFF, 0xFFFFFFFA, 0xFFFFFFF9,
                                         0x80000000, 0x7FFFFFFF, 0x00080001};
    frame_t frames[EXAMPLES];
    place_t places[FIELDS_MAX];
    unsigned i;
    unsigned n;
    unsigned w;

    examples(frames);
    for (i = 0; i < EXAMPLES; i++) {
        unsigned count = find_fields(places, &frames[i]);
        unsigned taken = 0;

        for (n = 0; n < count; n++) {
            for (w = 0; w < COUNT_OF(wrong); w++) {
                frame_t bad = spliced(&frames[i], places[n].at + 2, 4,
                                      number_text(wrong[w]), 4);

                taken += take(bad.bytes, bad.len) != APR_EGENERAL;
            }
        }
        is_u64(taken, 0, "message %u: lengths beyond the end, or round it", i);
    }
}

static void test_no_nul(void)
{
    bl_order_t order = order_make();
    frame_t frame = order_frame(&order);
    const char *texts[] = {"/srv/demo", "yarn install", "PATH=", "alice",
                           "Build finished"};
    unsigned i;

    for (i = 0; i < COUNT_OF(texts); i++) {
        apr_size_t at = 0;
        frame_t bad;

        while (memcmp(frame.bytes + at, texts[i], strlen(texts[i])) != 0)
            at++;
        bad = spliced(&frame, at + 3, 1, "\0", 1);
        ok(take(bad.bytes, bad.len) == APR_EGENERAL, "NUL in '%s'", texts[i]);
    }
}

/* ---- limits of values ----------------------------------------------- */

/* Each number of an order outside its range, as somebody else may send it. */
static void test_numbers_read(void)
{
    static const struct {
        const char *name;
        apr_uint64_t from;
        apr_uint64_t to;
    } cases[] = {
        {"no steps", 2, 0},
        {"more steps than there are", 2, 3},
        {"fewer steps than there are", 2, 1},
        {"too many steps", 2, BL_BUILD_STEPS_MAX + 1},
        {"2^32 + 2 steps", 2, APR_UINT64_C(0x100000002)},
        {"2^64 - 1 steps", 2, APR_UINT64_MAX},
        {"no variables, but three", 3, 0},
        {"too many variables", 3, BL_WIRE_ENV_MAX + 1},
        {"2^31 variables", 3, APR_UINT64_C(0x80000000)},
        {"2^61 variables", 3, APR_UINT64_C(0x2000000000000000)},
        {"no time", APR_UINT64_C(3600000000), 0},
        {"negative time", APR_UINT64_C(3600000000), APR_UINT64_MAX},
        {"no idle time", APR_UINT64_C(600000000), 0},
        {"negative idle time", APR_UINT64_C(600000000),
         APR_UINT64_C(0x8000000000000000)},
        {"negative grace", 5000000, APR_UINT64_MAX},
        {"too small a log", 1000000, BL_WIRE_LOG_LEAST - 1},
        {"too large a log", 1000000, BL_WIRE_LOG_MOST + 1},
        {"a negative log", 1000000, APR_UINT64_MAX},
    };
    bl_order_t order = order_make();
    frame_t frame = order_frame(&order);
    frame_t other;
    unsigned i;

    for (i = 0; i < COUNT_OF(cases); i++) {
        other = with_number(&frame, cases[i].from, cases[i].to);
        ok(take(other.bytes, other.len) == APR_EGENERAL, "order read: %s",
           cases[i].name);
    }
    other = with_number(&frame, 5000000, 0);
    ok(take(other.bytes, other.len) == APR_SUCCESS, "order read: no grace");
}

static void test_limits_values(void)
{
    static const struct {
        const char *name;
        apr_uint64_t from;
        apr_uint64_t to;
        apr_status_t rv;
    } cases[] = {
        {"no builds", 2, 0, APR_EGENERAL},
        {"most builds", 2, APR_UINT32_MAX, APR_SUCCESS},
        {"2^32 builds", 2, APR_UINT64_C(0x100000000), APR_EGENERAL},
        {"no queue", 64, 0, APR_SUCCESS},
        {"2^32 + 1 waiting", 64, APR_UINT64_C(0x100000001), APR_EGENERAL},
        {"no line", 16384, 0, APR_EGENERAL},
        {"the shortest line", 16384, 16, APR_SUCCESS},
        {"too short a line", 16384, 15, APR_EGENERAL},
        {"a line that fills a record threefold", 16384, 1398077, APR_SUCCESS},
        {"a line beyond that", 16384, 1398078, APR_EGENERAL},
        {"a line of 2^32 + 16384", 16384, APR_UINT64_C(0x100004000),
         APR_EGENERAL},
        {"all builds", 1000, 0, APR_SUCCESS},
        {"2^32 builds kept", 1000, APR_UINT64_C(0x100000000), APR_EGENERAL},
        {"for ever", 7200, 0, APR_SUCCESS},
        {"a negative age", 7200, APR_UINT64_MAX, APR_EGENERAL},
        {"most bytes", 65536, APR_UINT64_MAX, APR_SUCCESS},
    };
    frame_t frame = limits_frame();
    unsigned i;

    for (i = 0; i < COUNT_OF(cases); i++) {
        frame_t other = with_number(&frame, cases[i].from, cases[i].to);
        bl_limits_t limits = {2, 64, 16384, 1000, 7200, 65536, 0, NULL};

        ok(take(other.bytes, other.len) == cases[i].rv, "limits read: %s",
           cases[i].name);
        if (cases[i].to > APR_UINT32_MAX)
            continue;
        if (cases[i].from == 2)
            limits.max_builds = (apr_uint32_t)cases[i].to;
        else if (cases[i].from == 64)
            limits.max_queue = (apr_uint32_t)cases[i].to;
        else if (cases[i].from == 16384)
            limits.line_limit = (apr_uint32_t)cases[i].to;
        else if (cases[i].from == 1000)
            limits.keep_count = (apr_uint32_t)cases[i].to;
        else
            limits.keep_age = (apr_interval_time_t)cases[i].to;
        other.bytes = NULL;
        ok((bl_wire_limits_write(&other.bytes, &other.len, &limits, pool) ==
            APR_SUCCESS) == (cases[i].rv == APR_SUCCESS),
           "limits write: %s", cases[i].name);
    }
}

static void test_answer_values(void)
{
    frame_t frame = refused_frame();
    frame_t other = with_number(&frame, BL_REFUSED_STORE, 0);
    bl_refusal_t refusal = {BL_REFUSED_ORDER, NULL};
    bl_accepted_t accepted = {0, "{}"};
    bl_cancel_t cancel = {0, "alice"};

    ok(take(other.bytes, other.len) == APR_EGENERAL, "refused: no reason");
    other = with_number(&frame, BL_REFUSED_STORE, BL_REFUSED_AGAIN + 1);
    ok(take(other.bytes, other.len) == APR_EGENERAL, "refused: reason 7");
    frame = accepted_frame();
    other = with_number(&frame, 42, 0);
    ok(take(other.bytes, other.len) == APR_EGENERAL, "accepted: build 0");

    other.bytes = NULL;
    ok(bl_wire_refused_write(&other.bytes, &other.len, &refusal, pool) ==
               APR_EINVAL &&
           bl_wire_accepted_write(&other.bytes, &other.len, &accepted, pool) ==
               APR_EINVAL &&
           bl_wire_cancel_write(&other.bytes, &other.len, &cancel, pool) ==
               APR_EINVAL,
       "refused without text, others without a build: not written");
    refusal.text = "";
    refusal.why = (bl_refused_e)0;
    accepted.build = 1;
    accepted.json = NULL;
    ok(bl_wire_refused_write(&other.bytes, &other.len, &refusal, pool) ==
               APR_EINVAL &&
           bl_wire_accepted_write(&other.bytes, &other.len, &accepted, pool) ==
               APR_EINVAL,
       "refused without a reason, accepted without JSON: not written");
    ok(other.bytes == NULL, "and nothing is handed out");
}

static void order_refused(const bl_order_t *order, const char *name)
{
    frame_t frame = {NULL, 0};

    ok(bl_wire_order_write(&frame.bytes, &frame.len, order, pool) ==
               APR_EINVAL &&
           frame.bytes == NULL,
       "order write: %s", name);
}

static void test_order_write(void)
{
    static const char *bad_env[] = {"A=1", NULL, "A=1"};
    static const char *bad_masks[] = {"A", NULL};
    static bl_wire_step_t no_command[] = {{"install", NULL}};
    static bl_wire_step_t no_name[] = {{NULL, "yarn"}};
    bl_order_t order;

#define REFUSED(change, name)                                                 \
    order = order_make();                                                     \
    change;                                                                   \
    order_refused(&order, name)

    REFUSED(order.project = NULL, "no project");
    REFUSED(order.project = "", "an empty project");
    REFUSED(order.project = "srv/demo", "a relative project");
    REFUSED(order.title = NULL, "no title");
    REFUSED(order.step_count = 0, "no steps");
    REFUSED(order.step_count = -1, "-1 steps");
    REFUSED(order.step_count = BL_BUILD_STEPS_MAX + 1, "too many steps");
    REFUSED((order.step_count = 1, order.steps = no_command), "no command");
    REFUSED((order.step_count = 1, order.steps = no_name), "no name");
    REFUSED(order.env_count = -1, "-1 variables");
    REFUSED(order.env_count = BL_WIRE_ENV_MAX + 1, "too many variables");
    REFUSED(order.env = bad_env, "a variable that is NULL");
    REFUSED((bad_env[1] = "A", order.env = bad_env), "a variable without =");
    REFUSED((bad_env[1] = "=A", order.env = bad_env), "one without a name");
    REFUSED((bad_env[1] = "", order.env = bad_env), "an empty one");
    REFUSED(order.mask_count = BL_WIRE_ENV_MAX + 1, "too many secrets");
    REFUSED(order.masks = bad_masks, "a secret that is NULL");
    REFUSED((bad_masks[1] = "", order.masks = bad_masks), "an empty one");
    REFUSED((bad_masks[1] = "A=1", order.masks = bad_masks), "one with =");
    REFUSED(order.notify_count = BL_WIRE_TARGETS_MAX + 1, "too many told");
    REFUSED(order.notify = bad_masks, "a key that is none");
    REFUSED(order.marks[0] = "", "an empty mark");
    REFUSED(order.marks[1] = "0123456789abcdef0123456789abcdeF",
            "a mark that is none");
    REFUSED(order.marks[1] = "0123456789abcdef0123456789abcdef0",
            "a mark that is longer");
    REFUSED(order.timeout = 0, "no time");
    REFUSED(order.timeout = -1, "negative time");
    REFUSED(order.idle_timeout = 0, "no idle time");
    REFUSED(order.kill_grace = -1, "negative grace");
    REFUSED(order.max_log = 0, "no log");
    REFUSED(order.max_log = -1, "a negative log");
    REFUSED(order.max_log = BL_WIRE_LOG_LEAST - 1, "too small a log");
    REFUSED(order.max_log = BL_WIRE_LOG_MOST + 1, "too large a log");
#undef REFUSED
}

/* What a request thread would not send, but somebody may. */
static void test_order_texts_read(void)
{
    bl_order_t order = order_make();
    frame_t frame = order_frame(&order);
    static const struct {
        const char *from;
        const char *to;
    } cases[] = {
        {"/srv/demo", "srv//demo"},
        {"EMPTY=", "EMPTY!"},
        {"EMPTY=", "=MPTY="},
    };
    unsigned i;

    for (i = 0; i < COUNT_OF(cases); i++) {
        apr_size_t len = strlen(cases[i].from);
        apr_size_t at = 0;
        frame_t bad;

        while (memcmp(frame.bytes + at, cases[i].from, len) != 0)
            at++;
        bad = spliced(&frame, at, len, cases[i].to, len);
        ok(take(bad.bytes, bad.len) == APR_EGENERAL,
           "order read: '%s' is refused", cases[i].to);
    }
}

/* The longest body, to the byte. */
static void test_size(void)
{
    bl_accepted_t accepted = {1, NULL};
    apr_size_t most =
        BL_WIRE_BODY_MAX - (FIELD_HEADER_LEN + 8) - FIELD_HEADER_LEN;
    char *text = apr_palloc(pool, BL_WIRE_BODY_MAX + 2);
    frame_t frame = {NULL, 0};
    bl_wire_frame_t too_long;
    char *bytes;
    apr_size_t need;

    memset(text, 'x', BL_WIRE_BODY_MAX + 2);
    text[most] = '\0';
    accepted.json = text;
    ok(bl_wire_accepted_write(&frame.bytes, &frame.len, &accepted, pool) ==
               APR_SUCCESS &&
           frame.len == BL_WIRE_HEADER_LEN + BL_WIRE_BODY_MAX &&
           take(frame.bytes, frame.len) == APR_SUCCESS,
       "size: the longest");

    /* The same with a field of one byte more, past bl_wire_frame_read. */
    bytes = apr_palloc(pool, frame.len + 1);
    memcpy(bytes, frame.bytes, frame.len);
    bytes[frame.len] = 'x';
    memcpy(bytes + BL_WIRE_HEADER_LEN + FIELD_HEADER_LEN + 8 + 2,
           number_text(most + 1), 4);
    bl_wire_frame_read(&too_long, &need, bytes, frame.len);
    too_long.len++;
    ok(bl_wire_accepted_read(&accepted, &too_long, pool) == APR_EGENERAL,
       "size: one byte more is not read");

    text[most] = 'x';
    text[most + 1] = '\0';
    frame.bytes = NULL;
    ok(bl_wire_accepted_write(&frame.bytes, &frame.len, &accepted, pool) ==
               APR_EINVAL &&
           frame.bytes == NULL,
       "size: one byte more is not written");
    text[most + 1] = 'x';
    text[BL_WIRE_BODY_MAX + 1] = '\0';
    ok(bl_wire_accepted_write(&frame.bytes, &frame.len, &accepted, pool) ==
           APR_EINVAL,
       "size: a text longer than any body is not written");
}

static void test_types(void)
{
    frame_t frames[EXAMPLES];
    bl_order_t *order = NULL;
    bl_limits_t limits = {7, 7, 7, 7, 7, 7, 0, NULL};
    bl_accepted_t accepted = {7, NULL};
    bl_refusal_t refusal = {BL_REFUSED_ORDER, NULL};
    unsigned taken = 0;
    unsigned i;

    examples(frames);
    for (i = 0; i < EXAMPLES; i++) {
        bl_wire_frame_t frame;
        apr_size_t need;

        bl_wire_frame_read(&frame, &need, frames[i].bytes, frames[i].len);
        if (i != 0)
            taken += bl_wire_order_read(&order, &frame, pool) == APR_SUCCESS;
        if (i != 1)
            taken += bl_wire_limits_read(&limits, &frame, pool) == APR_SUCCESS;
        if (i != 2)
            taken +=
                bl_wire_accepted_read(&accepted, &frame, pool) == APR_SUCCESS;
        if (i != 3)
            taken +=
                bl_wire_refused_read(&refusal, &frame, pool) == APR_SUCCESS;
    }
    is_u64(taken, 0, "no message is read as one of another type");
    ok(order == NULL && limits.max_builds == 7 && limits.max_queue == 7 &&
           limits.line_limit == 7 && accepted.build == 7 &&
           accepted.json == NULL && refusal.why == BL_REFUSED_ORDER,
       "what is not read stays as it was");
}

/* The fuzzer, and its replay, begin with these: what is refused at once leads
 * nowhere. */
static void test_corpus(void)
{
    static const char *const good[] = {
        "accepted",    "limits",      "order",   "order-full",
        "order-least", "order-masks", "refused", "limits-targets"};
    char bytes[4096];
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const char *path =
            apr_pstrcat(pool, "t/fuzz/corpus/wire/", good[i], NULL);
        FILE *in = fopen(path, "rb");
        size_t len = 0;

        if (in != NULL) {
            len = fread(bytes, 1, sizeof(bytes), in);
            fclose(in);
        }
        is_u64(take(bytes, len), APR_SUCCESS, "%s is a message", path);
    }
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);

    test_bytes();
    test_order();
    test_least_order();
    test_most_of_an_order();
    test_answers();
    test_frames();
    test_truncation();
    test_corruption();
    test_field_order();
    test_unknown_fields();
    test_field_lengths();
    test_no_nul();
    test_numbers_read();
    test_limits_values();
    test_answer_values();
    test_order_write();
    test_order_texts_read();
    test_size();
    test_types();
    test_corpus();

    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
