// SPDX-License-Identifier: Apache-2.0
/* client: the OBS client of obsmount alone, on the same terms as raw.c
 *
 * Sends one object in parts, or fetches it in ranges, through net/obs.h: the cost of the engine
 * without the filesystem.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/base/lock.h"
#include "net/cred.h"
#include "net/engine.h"
#include "net/obs.h"

enum { PATTERN = 1 << 20, PARTS_MAX = 10000 };

struct bench {
    struct obs *obs;
    const char *key;
    bool put;
    uint64_t size, part_size;
    unsigned n_parts;
    char upload_id[OBS_UPLOAD_ID_MAX];
    struct obs_part *parts;
    struct obs_call *calls;
    unsigned char *pattern;
    struct lock lock;
    pthread_cond_t cond;
    unsigned left; /* under lock */
    bool failed;   /* under lock */
};

static struct bench bench;

static ssize_t read_pattern(void *arg, uint64_t off, void *p, size_t n)
{
    const struct obs_call *call = arg;
    size_t at = (size_t)((call->offset + off) % PATTERN);
    if (n > PATTERN - at)
        n = PATTERN - at;
    memcpy(p, bench.pattern + at, n);
    return (ssize_t)n;
}

static int sink(void *arg, uint64_t off, const void *p, size_t n)
{
    return 0;
}

static void on_done(struct obs_call *call)
{
    struct obs_part *part = &bench.parts[call->part_no - 1];
    part->part_no = call->part_no;
    (void)snprintf(part->etag, sizeof(part->etag), "%s", call->object.etag);
    if (call->err.eno)
        fprintf(stderr, "client: part %u: %s\n", call->part_no, call->err.msg);
    lock_take(&bench.lock);
    bench.failed |= call->err.eno != 0;
    if (--bench.left == 0)
        pthread_cond_signal(&bench.cond);
    lock_drop(&bench.lock);
}

static void submit(unsigned i)
{
    struct obs_call *call = &bench.calls[i];
    uint64_t offset = i * bench.part_size;
    uint64_t length = bench.size - offset < bench.part_size ? bench.size - offset : bench.part_size;
    *call = (struct obs_call){
        .op = bench.put ? OBS_MP_PART : OBS_GET,
        .key = bench.key,
        .upload_id = bench.upload_id,
        .part_no = i + 1,
        .offset = offset,
        .length = length,
        .body = {.size = length, .read = read_pattern, .arg = call},
        .sink = sink,
        .done = on_done,
    };
    obs_submit(bench.obs, call);
}

static int run(void)
{
    struct obs_call call = {.op = OBS_MP_INITIATE, .key = bench.key};
    if (bench.put && obs_run(bench.obs, &call, NULL) < 0) {
        fprintf(stderr, "client: %s\n", call.err.msg);
        return 1;
    }
    (void)snprintf(bench.upload_id, sizeof(bench.upload_id), "%s", call.upload_id_out);
    obs_call_clear(&call);
    bench.left = bench.n_parts;
    for (unsigned i = 0; i < bench.n_parts; i++)
        submit(i);
    lock_take(&bench.lock);
    while (bench.left)
        lock_wait(&bench.lock, &bench.cond, NULL);
    lock_drop(&bench.lock);
    if (bench.failed || !bench.put)
        return bench.failed;
    call = (struct obs_call){.op = OBS_MP_COMPLETE,
                             .key = bench.key,
                             .upload_id = bench.upload_id,
                             .complete = bench.parts,
                             .n_complete = bench.n_parts};
    int rc = obs_run(bench.obs, &call, NULL);
    if (rc < 0)
        fprintf(stderr, "client: %s\n", call.err.msg);
    obs_call_clear(&call);
    return rc < 0;
}

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void no_refresh(void *arg)
{
}

int main(int argc, char **argv)
{
    struct engine *engine = NULL;
    struct cred_source *source = NULL;
    struct cred cred = {.ak = ""};
    struct err err = {0};

    if (argc < 10) {
        fprintf(stderr, "usage: client ENDPOINT BUCKET AK SK put|get KEY SIZE PART_SIZE PARALLEL "
                        "[THREADS]\nprints seconds, MB/s, CPU seconds\n");
        return 2;
    }
    bench.put = strcmp(argv[5], "put") == 0;
    bench.key = argv[6];
    bench.size = strtoull(argv[7], NULL, 10);
    bench.part_size = strtoull(argv[8], NULL, 10);
    if (!bench.size || !bench.part_size || (bench.size - 1) / bench.part_size >= PARTS_MAX)
        return 2;
    bench.n_parts = (unsigned)((bench.size - 1) / bench.part_size + 1);
    bench.parts = calloc(bench.n_parts, sizeof(*bench.parts));
    bench.calls = calloc(bench.n_parts, sizeof(*bench.calls));
    bench.pattern = malloc(PATTERN);
    for (size_t i = 0; i < PATTERN; i++)
        bench.pattern[i] = (unsigned char)(i * 2654435761u >> 11);
    lock_init(&bench.lock);
    lock_cond_init(&bench.cond);

    struct engine_config ec = {.parallel = (unsigned)strtoul(argv[9], NULL, 10),
                               .threads = argc > 10 ? (unsigned)strtoul(argv[10], NULL, 10) : 0};
    struct cred_config cc = {.refresh = no_refresh};
    struct obs_config oc = {.endpoint = argv[1], .bucket = argv[2]};
    if (engine_new(&ec, &engine, &err) < 0 || cred_source_new(&cc, &source, &err) < 0 ||
        obs_new(&oc, engine, source, NULL, &bench.obs, &err) < 0) {
        fprintf(stderr, "client: %s\n", err.msg);
        return 1;
    }
    (void)snprintf(cred.ak, sizeof(cred.ak), "%s", argv[3]);
    (void)snprintf(cred.sk, sizeof(cred.sk), "%s", argv[4]);
    cred_put(source, &cred);

    double wall = now(CLOCK_MONOTONIC);
    int rc = run();
    wall = now(CLOCK_MONOTONIC) - wall;
    engine_free(engine);
    obs_free(bench.obs);
    cred_source_free(source);
    for (unsigned i = 0; i < bench.n_parts; i++)
        obs_call_clear(&bench.calls[i]);
    free(bench.parts);
    free(bench.calls);
    free(bench.pattern);
    if (rc == 0)
        printf("%.3f s  %.0f MB/s  cpu %.3f s\n", wall, (double)bench.size / 1e6 / wall,
               now(CLOCK_PROCESS_CPUTIME_ID));
    return rc;
}
