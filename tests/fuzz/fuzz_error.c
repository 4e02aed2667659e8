// SPDX-License-Identifier: Apache-2.0
// The meaning of arbitrary answers: lines of code, message, request id, Retry-After; the first two
// bytes give status and operation.
#include "net/error.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    char *text = fuzz_string(data + 4, size - 4);
    char *fields[4] = {text, "", "", ""};
    for (int i = 1; i < 4; i++) {
        char *at = strchr(fields[i - 1], '\n');
        if (!at)
            break;
        *at = 0;
        fields[i] = at + 1;
    }
    const struct error_answer a = {
        .failure = (enum net_failure)(data[2] % (NET_FAILURE_COUNT + 1)),
        .detail = fields[1],
        .status = data[0] * 4,
        .op = (int)(data[1] % (OBS_OP_COUNT + 2)) - 1,
        .dialect = (enum obs_dialect)(data[3] & 1),
        .code = fields[0],
        .message = fields[1],
        .request_id = fields[2],
        .right = fields[3],
    };
    struct err e;
    int rc = error_from_answer(&a, &e);
    FUZZ_CHECK(rc == e.eno && rc <= 0);
    FUZZ_CHECK(rc == 0 || e.msg[0]);
    fuzz_check_line(e.code);
    fuzz_check_line(e.request_id);

    int64_t asked = error_retry_after_ms(fields[3], 1728976809);
    FUZZ_CHECK(asked >= 0 && asked <= 300000);
    int64_t wait = error_backoff_ms(data[0], e.cls, data[1] * UINT64_C(0x123456789abcdef), asked);
    FUZZ_CHECK(wait >= asked && wait <= 375000);
    free(text);
    return 0;
}
