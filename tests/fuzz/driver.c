// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over a corpus and random mutations of it: DIR [COUNT]. The seed is printed and
// may be given as OBSM_FUZZ_SEED; an input that breaks the target is left as the file named there.
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/random.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

enum { FILES_MAX = 256, INPUT_MAX = 65536, MUTATIONS_MAX = 8 };

struct input {
    uint8_t *p;
    size_t n;
};

struct corpus {
    struct input v[FILES_MAX];
    size_t n;
};

static uint64_t next(uint64_t *seed)
{
    *seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *seed;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static size_t below(uint64_t *seed, size_t n)
{
    return n ? (size_t)(next(seed) % n) : 0;
}

static int load(struct corpus *c, const char *dir)
{
    DIR *d = opendir(dir);
    if (!d)
        return -errno;
    for (struct dirent *e = readdir(d); e && c->n < FILES_MAX; e = readdir(d)) {
        char path[4096];
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        FILE *f = fopen(path, "r");
        if (!f)
            continue;
        struct input *in = &c->v[c->n++];
        in->p = malloc(INPUT_MAX);
        FUZZ_CHECK(in->p);
        in->n = fread(in->p, 1, INPUT_MAX, f);
        (void)fclose(f);
    }
    closedir(d);
    return 0;
}

/* A block of exactly the size, so that a read behind its end is seen. */
static void run(const uint8_t *p, size_t n)
{
    uint8_t *exact = malloc(n ? n : 1);
    FUZZ_CHECK(exact);
    if (n)
        memcpy(exact, p, n);
    (void)LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

static size_t cut(uint8_t *p, size_t n, uint64_t *seed)
{
    size_t at = below(seed, n + 1);
    size_t len = below(seed, n - at + 1);
    memmove(p + at, p + at + len, n - at - len);
    return n - len;
}

static size_t insert(uint8_t *p, size_t n, const uint8_t *from, size_t len, uint64_t *seed)
{
    size_t at = below(seed, n + 1);
    if (len > INPUT_MAX - n)
        len = INPUT_MAX - n;
    memmove(p + at + len, p + at, n - at);
    memcpy(p + at, from, len);
    return n + len;
}

/* One random change; the new size. */
static size_t mutate(uint8_t *p, size_t n, const struct corpus *c, uint64_t *seed)
{
    static const char interesting[] = "<>&;\"'%+:=/{}[],#\\\n\r\t\x7f\xff-0123456789";
    static uint8_t piece[INPUT_MAX];

    switch (next(seed) % 6) {
    case 0:
        if (n)
            p[below(seed, n)] ^= (uint8_t)(1u << below(seed, 8));
        return n;
    case 1: /* also the 0 at the end */
        if (n)
            p[below(seed, n)] = (uint8_t)interesting[below(seed, sizeof(interesting))];
        return n;
    case 2:
        return cut(p, n, seed);
    case 3: { /* a piece of itself again */
        size_t at = below(seed, n + 1);
        size_t len = below(seed, n - at + 1);
        memcpy(piece, p + at, len);
        return insert(p, n, piece, len, seed);
    }
    case 4: { /* a piece of another input */
        const struct input *other = &c->v[below(seed, c->n)];
        size_t at = below(seed, other->n + 1);
        size_t len = below(seed, other->n - at + 1);
        return insert(p, n, other->p + at, len, seed);
    }
    default: {
        size_t len = below(seed, 17);
        for (size_t i = 0; i < len; i++)
            piece[i] = (uint8_t)next(seed);
        return insert(p, n, piece, len, seed);
    }
    }
}

static uint64_t pick_seed(void)
{
    const char *given = getenv("OBSM_FUZZ_SEED");
    uint64_t seed = 1;
    if (given)
        return strtoull(given, NULL, 0);
    (void)!getrandom(&seed, sizeof(seed), 0);
    return seed;
}

int main(int argc, char **argv)
{
    static struct corpus corpus;
    static uint8_t input[INPUT_MAX];
    if (argc < 2 || load(&corpus, argv[1]) < 0 || corpus.n == 0) {
        (void)fprintf(stderr, "usage: %s DIRECTORY-WITH-INPUTS [COUNT]\n", argv[0]);
        return 2;
    }
    size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
    uint64_t seed = pick_seed();
    printf("seed %llu, %zu inputs, %zu mutations\n", (unsigned long long)seed, corpus.n, count);
    (void)fflush(stdout);

    run(input, 0);
    for (size_t i = 0; i < corpus.n; i++)
        run(corpus.v[i].p, corpus.v[i].n);
    for (size_t i = 0; i < count; i++) {
        const struct input *in = &corpus.v[below(&seed, corpus.n)];
        size_t n = in->n;
        memcpy(input, in->p, n);
        for (size_t k = 1 + below(&seed, MUTATIONS_MAX); k > 0; k--)
            n = mutate(input, n, &corpus, &seed);
        run(input, n);
    }
    for (size_t i = 0; i < corpus.n; i++)
        free(corpus.v[i].p);
    return 0;
}
