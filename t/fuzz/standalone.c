/* SPDX-License-Identifier: Apache-2.0 */
/*
 * standalone.c - a fuzz target without a fuzzer: replays inputs, says TAP
 *
 *     fuzz_lines t/fuzz/corpus/lines     one "ok" for each directory
 *     fuzz_lines FILE...                 one "ok" for all the files
 *     fuzz_lines                         t/fuzz/corpus/lines, by its own name
 *
 * A target that finds something wrong aborts; the last "# ..." names the
 * input.
 */

/* system */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PATH_ROOM 4096

static int tests;
static int failed;

static void report(int good, const char *what, unsigned inputs)
{
    tests++;
    failed += !good;
    printf("%sok %d - %s: %u inputs\n", good ? "" : "not ", tests, what,
           inputs);
}

/* Returns 1; 0: it could not be read. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data;
    long size;
    int whole = 0;

    printf("# %s\n", path);
    fflush(stdout);
    if (file == NULL) {
        printf("# %s\n", strerror(errno));
        return 0;
    }
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    /* Of its exact size, so that a sanitizer sees a read past it. */
    data = malloc(size > 0 ? (size_t)size : 1);
    if (data != NULL && size >= 0)
        whole = fread(data, 1, (size_t)size, file) == (size_t)size;
    fclose(file);
    if (whole)
        LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    return whole;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* A directory without an input is a failure: nothing was tested. */
static void replay_directory(const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_visible, alphasort);
    unsigned inputs = 0;
    int i;

    for (i = 0; i < count; i++) {
        char name[PATH_ROOM];

        snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        inputs += (unsigned)replay_file(name);
        free(entries[i]);
    }
    free(entries);
    report(count > 0 && inputs == (unsigned)count, path, inputs);
}

static void replay_own_corpus(const char *program)
{
    const char *name = strrchr(program, '/');
    char path[PATH_ROOM];

    name = name != NULL ? name + 1 : program;
    if (strncmp(name, "fuzz_", 5) == 0)
        name += 5;
    snprintf(path, sizeof(path), "t/fuzz/corpus/%s", name);
    replay_directory(path);
}

int main(int argc, char **argv)
{
    unsigned files = 0;
    unsigned inputs = 0;
    int i;

    for (i = 1; i < argc; i++) {
        struct stat info;

        if (stat(argv[i], &info) == 0 && S_ISDIR(info.st_mode)) {
            replay_directory(argv[i]);
            continue;
        }
        files++;
        inputs += (unsigned)replay_file(argv[i]);
    }
    if (argc < 2)
        replay_own_corpus(argv[0]);
    if (files > 0)
        report(inputs == files, "files", inputs);
    printf("1..%d\n", tests);
    return failed > 0;
}
