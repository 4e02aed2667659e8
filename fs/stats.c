// SPDX-License-Identifier: Apache-2.0
// Counters as text; see stats.h.
#include "fs/stats.h"

#include <inttypes.h>
#include <utlist.h>

#include "fs/errors.h"
#include "fs/fetch.h"
#include "fs/inode.h"
#include "fs/space.h"
#include "fs/staged.h"
#include "net/base/clock.h"
#include "net/engine.h"
#include "net/obs.h"

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP obsmount_%s %s\n# TYPE obsmount_%s %s\n", name, help, name, type);
}

static void value(struct buf *out, const char *name, const char *type, const char *help, uint64_t n)
{
    head(out, name, type, help);
    buf_addf(out, "obsmount_%s %" PRIu64 "\n", name, n);
}

static void by_operation(struct buf *out, const char *name, const char *help,
                         const uint64_t v[OBS_OP_COUNT])
{
    head(out, name, "counter", help);
    for (int op = 0; op < OBS_OP_COUNT; op++)
        buf_addf(out, "obsmount_%s{operation=\"%s\"} %" PRIu64 "\n", name, obs_op_name(op), v[op]);
}

static void dump_service(const struct fs *fs, struct buf *out)
{
    struct obs_stats s = {0};
    obs_stats(fs->obs, &s);
    by_operation(out, "requests_total", "Requests to the bucket that were answered", s.calls);
    by_operation(out, "request_failures_total", "Of them: answered with an error", s.failures);
    head(out, "request_seconds_total", "counter",
         "Time from the start of a request to its answer, repetitions included");
    for (int op = 0; op < OBS_OP_COUNT; op++)
        buf_addf(out, "obsmount_request_seconds_total{operation=\"%s\"} %" PRIu64 ".%06u\n",
                 obs_op_name(op), s.latency_us[op] / 1000000,
                 (unsigned)(s.latency_us[op] % 1000000));
    value(out, "http_attempts_total", "counter", "HTTP requests, repetitions included", s.attempts);
    value(out, "http_retries_total", "counter", "Of them: repetitions", s.retries);
    value(out, "sent_bytes_total", "counter", "Bytes of bodies sent", s.bytes_sent);
    value(out, "received_bytes_total", "counter", "Bytes of bodies received", s.bytes_received);
}

static void by_lane(struct buf *out, const char *name, const char *help,
                    const unsigned v[HTTP_LANES])
{
    static const char *const lanes[HTTP_LANES] = {[HTTP_URGENT] = "urgent",
                                                  [HTTP_META] = "metadata",
                                                  [HTTP_READ] = "read",
                                                  [HTTP_WRITE] = "write"};
    head(out, name, "gauge", help);
    for (int lane = 0; lane < HTTP_LANES; lane++)
        buf_addf(out, "obsmount_%s{lane=\"%s\"} %u\n", name, lanes[lane], v[lane]);
}

static void dump_engine(const struct fs *fs, struct buf *out)
{
    struct engine_stats s = {0};
    engine_stats(fs->engine, &s);
    value(out, "connects_total", "counter", "Connections opened", s.connects);
    by_lane(out, "requests_running", "Requests under way", s.running);
    by_lane(out, "requests_waiting", "Requests that wait for others to end", s.waiting);
}

static void dump_cache(const struct fs *fs, struct buf *out)
{
    struct fetch_stats s = {0};
    fetch_stats(fs->fetch, &s);
    value(out, "reads_total", "counter", "Reads of stored content", s.reads);
    value(out, "read_hits_total", "counter", "Of them: answered from memory", s.hits);
    value(out, "read_failures_total", "counter", "Of them: ended with an error", s.failed);
    value(out, "read_memory_waits_total", "counter", "Of them: had to wait for memory",
          s.memory_waits);
    value(out, "read_asked_bytes_total", "counter", "Bytes asked for by reads", s.bytes_asked);
    value(out, "read_fetched_bytes_total", "counter", "Bytes fetched for them", s.bytes_fetched);
    value(out, "read_requests_total", "counter", "GET requests for them", s.gets);
    value(out, "read_ahead_requests_total", "counter", "Of them: ahead of any read", s.gets_ahead);
    value(out, "read_memory_bytes", "gauge", "Memory that holds fetched content", s.memory);
    value(out, "read_memory_peak_bytes", "gauge", "The most that it ever was", s.memory_peak);
}

static void dump_core(const struct fs *fs, struct buf *out)
{
    uint64_t files = 0, dirty = 0, bytes = 0;
    const struct staged *st;
    DL_FOREACH (fs->staged, st) {
        files++;
        dirty += staged_dirty(st);
        bytes += imap_total(&st->have);
    }
    value(out, "staged_files", "gauge", "Files that have local content", files);
    value(out, "staged_files_unstored", "gauge", "Of them: to be stored", dirty);
    value(out, "staged_bytes", "gauge", "Bytes of local content", bytes);
    uint64_t waiting = 0;
    const struct space_wait *sw;
    DL_FOREACH (fs->space->waits, sw)
        waiting++;
    value(out, "writes_waiting", "gauge", "Writes that wait, for room or anything else", waiting);
    value(out, "write_wait_bytes", "gauge", "Memory that holds data of writes that wait",
          fs->space->data);
    value(out, "write_wait_peak_bytes", "gauge", "The most that it ever was", fs->space->data_peak);
    value(out, "short_writes_total", "counter", "Writes that were cut for want of that memory",
          fs->space->short_writes);
    value(out, "transfers", "gauge", "Uploads of a part or a file under way", fs->transfers);
    value(out, "names", "gauge", "Names known", fs->n_inodes);
    value(out, "errors_total", "counter", "Failures noted in the file errors",
          errors_count(fs->errors));
    value(out, "uptime_seconds", "gauge", "Time since the mount",
          (uint64_t)(clock_real().tv_sec - fs->start_s));
}

int stats_dump_locked(struct fs *fs, struct buf *out)
{
    ASSERT_HELD(&fs->lock);
    dump_service(fs, out);
    dump_engine(fs, out);
    dump_cache(fs, out);
    dump_core(fs, out);
    return out->eno;
}
