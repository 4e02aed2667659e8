// SPDX-License-Identifier: Apache-2.0
/* raw: what the network and libcurl give, without obsmount
 *
 * Sends one object in parts, with MD5 in the same pass, or fetches it in ranges, with plain libcurl
 * multi on one thread. It is the limit that the benchmark compares with, and for this reason the
 * one program besides the engine that uses libcurl and OpenSSL itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <time.h>

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { PATTERN = 1 << 20, PARALLEL_MAX = 256, PARTS_MAX = 10000, BUFFER = 512 * 1024 };

struct raw {
    const char *endpoint, *bucket, *ak, *sk, *key;
    bool put, path_style;
    uint64_t size, part_size;
    unsigned parallel, n_parts;
    char upload_id[256];
    char (*etags)[40];
    unsigned char pattern[PATTERN];
};

struct transfer {
    struct raw *raw;
    CURL *easy;
    struct curl_slist *headers;
    EVP_MD_CTX *md5;
    unsigned part_no;
    uint64_t offset, length, done;
    char etag[40];
};

static void fail(const char *what)
{
    fprintf(stderr, "raw: %s\n", what);
    exit(1);
}

/* --- one request --- */

static struct curl_slist *sign(const struct raw *raw, const char *method, const char *target)
{
    char date[64];
    char text[1024];
    char line[512];
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned char base64[64];
    unsigned n = 0;
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    (void)snprintf(text, sizeof(text), "%s\n\n\n%s\n/%s/%s", method, date, raw->bucket, target);
    HMAC(EVP_sha1(), raw->sk, (int)strlen(raw->sk), (unsigned char *)text, strlen(text), mac, &n);
    EVP_EncodeBlock(base64, mac, (int)n);
    (void)snprintf(line, sizeof(line), "Authorization: OBS %s:%s", raw->ak, (char *)base64);
    struct curl_slist *list = curl_slist_append(NULL, line);
    (void)snprintf(line, sizeof(line), "Date: %s", date);
    list = curl_slist_append(list, line);
    list = curl_slist_append(list, "Expect:");
    return curl_slist_append(list, "Content-Type:");
}

static void set_request(const struct raw *raw, CURL *easy, struct curl_slist **headers,
                        const char *method, const char *target)
{
    char url[1024];
    const char *host = strstr(raw->endpoint, "://");
    host = host ? host + 3 : raw->endpoint;
    const char *scheme = strncmp(raw->endpoint, "https", 5) == 0 ? "https" : "http";

    if (raw->path_style)
        (void)snprintf(url, sizeof(url), "%s://%s/%s/%s", scheme, host, raw->bucket, target);
    else
        (void)snprintf(url, sizeof(url), "%s://%s.%s/%s", scheme, raw->bucket, host, target);
    curl_slist_free_all(*headers);
    *headers = sign(raw, method, target);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, *headers);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)BUFFER);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER);
}

struct text {
    char p[4096];
    size_t n;
};

static size_t on_text(char *p, size_t size, size_t n, void *arg)
{
    struct text *t = arg;
    if (t->n + n < sizeof(t->p)) {
        memcpy(t->p + t->n, p, n);
        t->n += n;
    }
    return n;
}

static void post(struct raw *raw, const char *target, const char *body, struct text *answer)
{
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = NULL;

    set_request(raw, easy, &headers, "POST", target);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_text);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
    if (curl_easy_perform(easy) != CURLE_OK)
        fail(target);
    answer->p[answer->n] = 0;
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
}

static void initiate(struct raw *raw)
{
    struct text answer = {.n = 0};
    char target[512];
    (void)snprintf(target, sizeof(target), "%s?uploads", raw->key);
    post(raw, target, "", &answer);
    const char *at = strstr(answer.p, "<UploadId>");
    if (!at)
        fail("no upload id");
    at += strlen("<UploadId>");
    (void)snprintf(raw->upload_id, sizeof(raw->upload_id), "%.*s", (int)strcspn(at, "<"), at);
}

static void complete(struct raw *raw)
{
    struct text answer = {.n = 0};
    char target[512];
    size_t size = 256 + raw->n_parts * 128UL;
    char *body = malloc(size);
    if (!body)
        fail("out of memory");
    size_t n = (size_t)snprintf(body, size, "<CompleteMultipartUpload>");
    for (unsigned i = 0; i < raw->n_parts; i++)
        n += (size_t)snprintf(body + n, size - n,
                              "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>", i + 1,
                              raw->etags[i]);
    (void)snprintf(body + n, size - n, "</CompleteMultipartUpload>");
    (void)snprintf(target, sizeof(target), "%s?uploadId=%s", raw->key, raw->upload_id);
    post(raw, target, body, &answer);
    if (!strstr(answer.p, "ETag"))
        fail("the upload was not completed");
    free(body);
}

/* --- the transfers --- */

static size_t on_read(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    uint64_t left = t->length - t->done;
    size_t at = (size_t)((t->offset + t->done) % PATTERN);
    if (n > left)
        n = (size_t)left;
    if (n > PATTERN - at)
        n = PATTERN - at;
    memcpy(p, t->raw->pattern + at, n);
    EVP_DigestUpdate(t->md5, p, n);
    t->done += n;
    return n;
}

static size_t on_write(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    t->done += n;
    return n;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    if (n > 39 && strncasecmp(p, "etag: \"", 7) == 0)
        (void)snprintf(t->etag, sizeof(t->etag), "%.32s", p + 7);
    return n;
}

static void start(struct transfer *t, CURLM *multi, unsigned part_no)
{
    struct raw *raw = t->raw;
    char target[1024];
    char range[64];

    t->part_no = part_no;
    t->offset = (uint64_t)(part_no - 1) * raw->part_size;
    t->length = raw->size - t->offset < raw->part_size ? raw->size - t->offset : raw->part_size;
    t->done = 0;
    t->etag[0] = 0;
    if (raw->put) {
        (void)snprintf(target, sizeof(target), "%s?partNumber=%u&uploadId=%s", raw->key, part_no,
                       raw->upload_id);
        set_request(raw, t->easy, &t->headers, "PUT", target);
        curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->length);
        curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
        EVP_DigestInit_ex(t->md5, EVP_md5(), NULL);
    } else {
        set_request(raw, t->easy, &t->headers, "GET", raw->key);
        (void)snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, t->offset,
                       t->offset + t->length - 1);
        curl_easy_setopt(t->easy, CURLOPT_RANGE, range);
    }
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, (char *)t);
    curl_multi_add_handle(multi, t->easy);
}

static void finish(struct transfer *t, CURLcode rc)
{
    unsigned char md5[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char hex[40] = "";

    if (rc != CURLE_OK || t->done != t->length)
        fail(curl_easy_strerror(rc));
    if (!t->raw->put)
        return;
    EVP_DigestFinal_ex(t->md5, md5, &n);
    for (unsigned i = 0; i < 16; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", md5[i]);
    if (strcmp(hex, t->etag) != 0)
        fail("checksum mismatch");
    memcpy(t->raw->etags[t->part_no - 1], hex, sizeof(hex));
}

static void run(struct raw *raw)
{
    static struct transfer transfers[PARALLEL_MAX];
    CURLM *multi = curl_multi_init();
    unsigned next = 1;
    unsigned left = raw->n_parts;

    for (unsigned i = 0; i < raw->parallel && next <= raw->n_parts; i++) {
        transfers[i].raw = raw;
        transfers[i].easy = curl_easy_init();
        transfers[i].md5 = EVP_MD_CTX_new();
        start(&transfers[i], multi, next++);
    }
    while (left) {
        int running;
        int queued;
        CURLMsg *msg;
        curl_multi_perform(multi, &running);
        while ((msg = curl_multi_info_read(multi, &queued))) {
            struct transfer *t = NULL;
            CURLcode rc = msg->data.result;
            curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&t);
            curl_multi_remove_handle(multi, t->easy);
            finish(t, rc);
            left--;
            if (next <= raw->n_parts)
                start(t, multi, next++);
        }
        if (left)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    for (unsigned i = 0; i < raw->parallel && transfers[i].easy; i++) {
        curl_slist_free_all(transfers[i].headers);
        curl_easy_cleanup(transfers[i].easy);
        EVP_MD_CTX_free(transfers[i].md5);
    }
    curl_multi_cleanup(multi);
}

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Virtual host only where the name can carry a bucket. */
static bool is_address(const char *endpoint)
{
    const char *host = strstr(endpoint, "://");
    host = host ? host + 3 : endpoint;
    size_t n = strspn(host, "0123456789.");
    return *host == '[' || host[n] == ':' || host[n] == 0;
}

int main(int argc, char **argv)
{
    static struct raw raw;
    if (argc != 10 || (strcmp(argv[5], "put") != 0 && strcmp(argv[5], "get") != 0)) {
        fprintf(stderr,
                "usage: raw ENDPOINT BUCKET AK SK put|get KEY SIZE PART_SIZE PARALLEL (bytes)\n"
                "prints seconds, MB/s, CPU seconds\n");
        return 2;
    }
    raw.endpoint = argv[1];
    raw.bucket = argv[2];
    raw.ak = argv[3];
    raw.sk = argv[4];
    raw.put = strcmp(argv[5], "put") == 0;
    raw.key = argv[6];
    raw.size = strtoull(argv[7], NULL, 10);
    raw.part_size = strtoull(argv[8], NULL, 10);
    raw.parallel = (unsigned)strtoul(argv[9], NULL, 10);
    raw.path_style = is_address(raw.endpoint);
    if (!raw.size || !raw.part_size || !raw.parallel || raw.parallel > PARALLEL_MAX ||
        (raw.size - 1) / raw.part_size >= PARTS_MAX)
        fail("a number does not fit");
    raw.n_parts = (unsigned)((raw.size - 1) / raw.part_size + 1);
    raw.etags = calloc(raw.n_parts, sizeof(*raw.etags));
    for (size_t i = 0; i < PATTERN; i++)
        raw.pattern[i] = (unsigned char)(i * 2654435761u >> 11);
    curl_global_init(CURL_GLOBAL_DEFAULT);

    double wall = now(CLOCK_MONOTONIC);
    if (raw.put)
        initiate(&raw);
    run(&raw);
    if (raw.put)
        complete(&raw);
    wall = now(CLOCK_MONOTONIC) - wall;
    printf("%.3f s  %.0f MB/s  cpu %.3f s\n", wall, (double)raw.size / 1e6 / wall,
           now(CLOCK_PROCESS_CPUTIME_ID));
    free(raw.etags);
    curl_global_cleanup();
    return 0;
}
