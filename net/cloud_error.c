// SPDX-License-Identifier: Apache-2.0
// What a refusal of a cloud service means; see cloud.h.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/cloud.h"

/* By the code (DLI API, ModelArts API, API gateway: error codes); those of the gateway are written
 * APIG.nnnn here and come as APIGW.nnnn, too. Codes that several failures share are left to the
 * status. */
static const struct cloud_error_row code_rows[] = {
    {"APIG.0101", 0, ERR_GONE, -ENOENT,
     "the service does not offer this call (any more), or the endpoint is another service's"},
    {"APIG.0301", 0, ERR_REAUTH, -EACCES,
     "the service does not accept the keys: check access key, secret key and clock"},
    {"APIG.0307", 0, ERR_REAUTH, -EACCES, "the token has ended"},
    {"APIG.0302", 0, ERR_DENIED, -EACCES, "the account may not use this service"},
    {"APIG.0306", 0, ERR_DENIED, -EACCES, "the account may not use this service"},
    {"APIG.0308", 0, ERR_THROTTLED, -EAGAIN, "the service asks for fewer requests"},
    {"APIG.0310", 0, ERR_DENIED, -EACCES, "the project cannot be used: check project_id"},

    {"DLI.0001", 0, ERR_FATAL, -EINVAL, "DLI refuses a value of the request"},
    {"DLI.0002", 0, ERR_GONE, -ENOENT, "DLI does not find the object or package"},
    {"DLI.0003", 0, ERR_DENIED, -EACCES, "the right to change this group or package is missing"},
    {"DLI.0006", 0, ERR_CONFLICT, -EEXIST, "the package exists"},
    {"DLI.0007", 0, ERR_FATAL, -EOPNOTSUPP, "DLI does not support this"},
    {"DLI.0011", 0, ERR_DENIED, -EACCES, "DLI may not read the object: check the bucket's policy"},
    {"DLI.0012", 0, ERR_FATAL, -EIO, "the package is not available"},
    {"DLI.0013", 0, ERR_REAUTH, -EACCES, "DLI does not accept the keys or the token"},
    {"DLI.0014", 0, ERR_REAUTH, -EACCES, "DLI does not accept the keys or the token"},
    {"DLI.0015", 0, ERR_REAUTH, -EACCES, "DLI does not accept the token"},
    {"DLI.0016", 0, ERR_DENIED, -EACCES, "DLI does not know the user or its role"},
    {"DLI.0019", 0, ERR_FATAL, -ETIMEDOUT, "the task took too long on the service"},
    {"DLI.0023", 0, ERR_GONE, -ENOENT, "there is no such package"},
    {"DLI.0999", 0, ERR_RETRY, -EIO, "DLI has an internal error"},
    {"DLI.1028", 0, ERR_FATAL, -EDQUOT, "the quota of packages is used up"},

    {"ModelArts.0210", 0, ERR_DENIED, -EACCES, "keys and project do not belong together"},
    {"ModelArts.4100", 0, ERR_FATAL, -EINVAL, "two images of the folder differ in the suffix only"},
    {"ModelArts.4101", 0, ERR_FATAL, -EINVAL, "the folder has sub-folders"},
    {"ModelArts.4102", 0, ERR_FATAL, -EINVAL, "the folder has .txt files"},
    {"ModelArts.4103", 0, ERR_FATAL, -EINVAL, "the folder has .xml files"},
    {"ModelArts.4104", 0, ERR_FATAL, -EINVAL, "the folder has files that are no image or label"},
    {"ModelArts.4105", 0, ERR_FATAL, -EINVAL, "two files of the folder have the same content"},
    {"ModelArts.4106", 0, ERR_FATAL, -EINVAL, "two images of the folder differ in the suffix only"},
    {"ModelArts.4310", 0, ERR_DENIED, -EACCES, "ModelArts may not read the bucket"},
    {"ModelArts.4311", 0, ERR_GONE, -ENOENT, "ModelArts does not find the bucket"},
    {"ModelArts.4312", 0, ERR_GONE, -ENOENT, "ModelArts does not find the path in the bucket"},
    {"ModelArts.4313", 0, ERR_GONE, -ENOENT, "ModelArts does not find the path in the bucket"},
    {"ModelArts.4314", 0, ERR_DENIED, -EACCES, "ModelArts may not read the bucket"},
    {"ModelArts.4335", 0, ERR_DENIED, -EACCES, "ModelArts lacks an agency with access to OBS"},
    {"ModelArts.4336", 0, ERR_DENIED, -EACCES, NULL},
    {"ModelArts.4338", 0, ERR_GONE, -ENOENT, "there is no such data set or annotation job"},
    {"ModelArts.4343", 0, ERR_CONFLICT, -EBUSY, "the data set is being published"},
    {"ModelArts.4349", 0, ERR_CONFLICT, -EBUSY, "the data set is changing its version"},
    {"ModelArts.4352", 0, ERR_GONE, -ENOENT, "there is no such data set"},
    {"ModelArts.4355", 0, ERR_CONFLICT, -EBUSY, "a synchronisation is under way"},
    {"ModelArts.4356", 0, ERR_CONFLICT, -EBUSY, "an import is under way"},
    {"ModelArts.4360", 0, ERR_FATAL, -EIO, "the synchronisation failed on the service"},
    {"ModelArts.4374", 0, ERR_GONE, -ENOENT, "ModelArts does not find the path in the bucket"},
    {"ModelArts.4383", 0, ERR_FATAL, -EOPNOTSUPP, "data sets of this type cannot be synchronised"},
    {"ModelArts.4395", 0, ERR_THROTTLED, -EAGAIN, "the service asks for fewer requests"},
    {"ModelArts.4826", 0, ERR_FATAL, -EOPNOTSUPP, "ModelArts cannot read encrypted buckets"},
};

static const struct cloud_error_row status_rows[] = {
    {NULL, 400, ERR_FATAL, -EINVAL, "the service refuses the request"},
    {NULL, 401, ERR_REAUTH, -EACCES, "the service does not accept the keys: check them"},
    {NULL, 403, ERR_DENIED, -EACCES, NULL},
    {NULL, 404, ERR_GONE, -ENOENT, "the service does not find it"},
    {NULL, 405, ERR_FATAL, -EOPNOTSUPP, "the service does not offer this call"},
    {NULL, 407, ERR_FATAL, -EACCES, "the proxy asks for a password"},
    {NULL, 408, ERR_RETRY, -ETIMEDOUT, "the service waited too long for the request"},
    {NULL, 409, ERR_CONFLICT, -EBUSY, "the request clashes with another one"},
    {NULL, 413, ERR_FATAL, -EFBIG, "the request is larger than the service allows"},
    {NULL, 414, ERR_FATAL, -ENAMETOOLONG, "the name is too long for the service"},
    {NULL, 429, ERR_THROTTLED, -EAGAIN, "the service asks for fewer requests"},
    {NULL, 500, ERR_RETRY, -EIO, "the service has an internal error"},
    {NULL, 501, ERR_FATAL, -EOPNOTSUPP, "the service does not support this"},
    {NULL, 502, ERR_RETRY, -EIO, "a gateway does not reach the service"},
    {NULL, 503, ERR_THROTTLED, -EIO, "the service is overloaded"},
    {NULL, 504, ERR_RETRY, -ETIMEDOUT, "a gateway waited too long for the service"},
};

enum {
    N_CODES = sizeof(code_rows) / sizeof(*code_rows),
    N_STATUS = sizeof(status_rows) / sizeof(*status_rows),
};

static const struct cloud_error_row row_server = {NULL, 0, ERR_FATAL, -EIO,
                                                  "the service has an error"};
static const struct cloud_error_row row_client = {NULL, 0, ERR_FATAL, -EINVAL,
                                                  "the service refuses the request"};
static const struct cloud_error_row row_said_no = {NULL, 0, ERR_FATAL, -EIO,
                                                   "the service reports a failure"};
static const struct cloud_error_row row_bad_answer = {NULL, 0, ERR_FATAL, -EIO,
                                                      "the answer is not what the service sends"};

bool cloud_error_row(size_t i, struct cloud_error_row *ret)
{
    if (i < N_CODES)
        *ret = code_rows[i];
    else if (i < N_CODES + N_STATUS)
        *ret = status_rows[i - N_CODES];
    return i < N_CODES + N_STATUS;
}

static bool code_is(const char *code, const char *row)
{
    if (strncmp(code, "APIGW.", 6) == 0 && strncmp(row, "APIG.", 5) == 0)
        return strcmp(code + 6, row + 5) == 0;
    return strcmp(code, row) == 0;
}

static const struct cloud_error_row *find_row(int status, const char *code)
{
    for (size_t i = 0; code[0] && i < N_CODES; i++) {
        if (code_is(code, code_rows[i].code))
            return &code_rows[i];
    }
    for (size_t i = 0; i < N_STATUS; i++) {
        if (status_rows[i].status == status)
            return &status_rows[i];
    }
    if (status >= 500)
        return &row_server;
    if (status >= 400)
        return &row_client;
    return status / 100 == 2 ? &row_said_no : &row_bad_answer;
}

/* What to do first, then the service's own words. */
static void describe(const struct cloud_error_row *row, const struct svc_error *fault,
                     const char *right, struct err *ret)
{
    char advice[160];
    size_t n = strlen(fault->msg);

    if (row->advice)
        (void)snprintf(advice, sizeof(advice), "%s", row->advice);
    else if (right && right[0])
        (void)snprintf(advice, sizeof(advice), "access denied: the right %.100s is missing", right);
    else
        (void)snprintf(advice, sizeof(advice), "access denied: a right is missing");
    while (n && (fault->msg[n - 1] == '.' || fault->msg[n - 1] == ' '))
        n--;
    if (n)
        (void)snprintf(ret->msg, sizeof(ret->msg), "%.120s (%.*s)", advice, n < 125 ? (int)n : 125,
                       fault->msg);
    else
        (void)snprintf(ret->msg, sizeof(ret->msg), "%s", advice);
}

int cloud_error(int status, const struct svc_error *fault, const char *right, struct err *ret)
{
    err_clear(ret);
    ret->http = status;
    (void)snprintf(ret->request_id, sizeof(ret->request_id), "%s", fault->request_id);
    if (status / 100 == 2 && !fault->code[0])
        return 0;

    const struct cloud_error_row *row = find_row(status, fault->code);
    ret->cls = row->cls;
    ret->eno = row->eno;
    (void)snprintf(ret->code, sizeof(ret->code), "%s", fault->code);
    describe(row, fault, right, ret);
    return ret->eno;
}
