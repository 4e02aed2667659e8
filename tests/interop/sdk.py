# SPDX-License-Identifier: Apache-2.0
"""sdk.py - what sdk.sh asks of Huawei's SDK, virtual-host style and OBS signature

  put KEY FILE [NAME=VALUE]...     user metadata NAME
  get KEY FILE [NAME=VALUE]...     the object must have this user metadata
  list PREFIX KEY...               the listing must be these
  delete KEY
  upload-crc64 KEY FILE        uploadFile with a CRC-64; prints what the service answers
  upload KEY FILE                  uploadFile as its documentation shows
  upload-fails KEY FILE            the same while the service refuses part 3: it must fail
  upload-all KEY FILE RECORD       uploadFile with each of its parameters; then they are read back
  upload-killed KEY FILE RECORD    uploadFile one part at a time, record in RECORD: ten parts of 3 MiB
  upload-paused KEY FILE RECORD    uploadFileAsync of ten such parts: paused, looked at, resumed
  upload-cancelled KEY FILE RECORD the same, given up instead
  example FILE                     the example of the documentation in FILE, which has its own names; run in its folder
"""
import http.client
import json
import os
import sys
import time

from obs import (ExtensionGrant, HeadPermission, Permission, SseKmsHeader, StorageClass,
                 UploadFileHeader)

from sdkclient import BUCKET, SERVER, client, expect, good, keys

def pairs(words):
    return dict(w.split("=", 1) for w in words)


def set_faults(rules):
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["OBS_PORT"]), timeout=20)
    connection.request("POST", "/-/faults", json.dumps(rules))
    assert connection.getresponse().status == 200


def get(obs, key, path, expected):
    good(obs.getObject(BUCKET, key, downloadPath=path))
    head = good(obs.getObjectMetadata(BUCKET, key))
    found = {n.lower().rpartition("x-obs-meta-")[2]: v for n, v in head.header}
    for name, value in expected.items():
        got = found.get(name)
        if name == "mtime":
            same = got is not None and float(got) == float(value)
        else:
            same = got == value
        if not same:
            sys.exit(f"metadata {name} is {got!r}, not {value!r}; all: {found}")


def upload(obs, key, path):
    return obs.uploadFile(BUCKET, key, path, 10 * 1024 * 1024, 5, True, encoding_type="url")


def upload_all(obs, key, path, record):
    seen = []
    headers = UploadFileHeader(
        acl=HeadPermission.BUCKET_OWNER_FULL_CONTROL, websiteRedirectLocation="/elsewhere",
        contentType="text/x-all", sseHeader=SseKmsHeader.getInstance(), storageClass=StorageClass.WARM,
        successActionRedirect="http://example.com/done", expires=7,
        extensionGrants=[ExtensionGrant(granteeId="someone", permission=Permission.READ)])
    answer = good(obs.uploadFile(
        BUCKET, key, path, partSize=5 * 1024 * 1024, taskNum=3, enableCheckpoint=True,
        checkpointFile=record, checkSum=True, metadata={"colour": "blue"},
        progressCallback=lambda done, total, seconds: seen.append((done, total)), headers=headers,
        extensionHeaders={"x-obs-meta-extra": "1"}, encoding_type="url"))
    size = os.path.getsize(path)
    if not seen or seen[-1] != (size, size):
        sys.exit(f"progress: {seen[-3:]}")
    if answer.body.key != key or answer.body.bucket != BUCKET or not answer.body.etag:
        sys.exit(f"answer: {answer.body}")
    head = good(obs.getObjectMetadata(BUCKET, key))
    found = {n.lower().removeprefix("x-obs-"): v for n, v in head.header}
    found.update((n.removeprefix("meta-"), v) for n, v in list(found.items()))
    for name, value in {"colour": "blue", "extra": "1", "storage-class": "WARM",
                        "website-redirect-location": "/elsewhere"}.items():
        if found.get(name) != value:
            sys.exit(f"{name} is {found.get(name)!r}, not {value!r}: {found}")
    if head.body.contentType != "text/x-all" or "kms" not in str(found):
        sys.exit(f"content type or encryption: {found}")
    if not any("expir" in name for name in found):
        sys.exit(f"it does not expire: {found}")
    grantees = str(good(obs.getObjectAcl(BUCKET, key)).body.grants)
    if "someone" not in grantees:
        sys.exit(f"grants: {grantees}")


def stored_parts(obs, key):
    """How many parts the service has of the only upload of the key."""
    [upload] = good(obs.listMultipartUploads(BUCKET)).body.upload
    return len(good(obs.listParts(BUCKET, key, upload.uploadId)).body.parts)


def wait_for(what, condition):
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    sys.exit(f"{what} does not come")


def paused_task(obs, key, path, record):
    """A task that was paused when at least two of its parts were stored, and what it has then."""
    def recorded():
        try:
            with open(record) as f:
                return sum(bool(p["isCompleted"]) for p in json.load(f)["uploadParts"])
        except (OSError, ValueError, KeyError):
            return 0

    task = obs.uploadFileAsync(BUCKET, key, path, 3 * 1024 * 1024, 1, True, record)
    wait_for("a second part", lambda: recorded() >= 2)
    task.pause()
    expect("state", task.status, "paused")
    before = -1
    while before != (now := stored_parts(obs, key)):  # the part under way ends
        before = now
        time.sleep(2)
    if not 2 <= now < 10:
        sys.exit(f"{now} parts are stored: it is not paused")
    expect("in the record", recorded(), now)
    return task, now


def upload_paused(obs, key, path, record):
    task, _ = paused_task(obs, key, path, record)
    expect("visible while it is paused", obs.getObjectMetadata(BUCKET, key).status, 404)
    task.resume()
    stored = good(task.wait_for_completion(120))
    expect("state", task.status, "completed")
    expect("key", stored.body.key, key)
    if not stored.body.etag.strip('"').endswith("-10"):
        sys.exit(f"ETag: {stored.body.etag}")


def upload_cancelled(obs, key, path, record):
    task, _ = paused_task(obs, key, path, record)
    task.cancel()
    task._pause_event.set()  # the SDK's own thread still waits for a resume
    try:
        task.wait_for_completion(120)
    except Exception as e:  # the SDK raises a plain Exception
        print("cancelled:", e)
    else:
        sys.exit("it was completed")
    wait_for("the end of the upload", lambda: not good(obs.listMultipartUploads(BUCKET)).body.upload)
    expect("visible", obs.getObjectMetadata(BUCKET, key).status, 404)


def example(path):
    """Unchanged but for the endpoint; the keys come from where it takes them."""
    with open(path) as f:
        text = f.read()
    os.environ["AccessKeyID"], os.environ["SecretAccessKey"] = keys()
    if "https://your-endpoint" not in text:
        sys.exit("the example has no place for the endpoint")
    exec(compile(text.replace("https://your-endpoint", SERVER), path, "exec"), {"__name__": "__main__"})


def main(command, *words):
    obs = client()
    if command == "put":
        good(obs.putFile(BUCKET, words[0], words[1], metadata=pairs(words[2:])))
    elif command == "get":
        get(obs, words[0], words[1], pairs(words[2:]))
    elif command == "list":
        keys = [o.key for o in good(obs.listObjects(BUCKET, prefix=words[0])).body.contents]
        if keys != list(words[1:]):
            sys.exit(f"listed: {keys}")
    elif command == "delete":
        good(obs.deleteObject(BUCKET, words[0]))
    elif command == "upload":
        good(upload(obs, *words))
    elif command == "upload-crc64":
        stored = good(obs.uploadFile(BUCKET, *words, 10 * 1024 * 1024, 2, isAttachCrc64=True))
        print(stored.body.crc64)
    elif command == "upload-all":
        upload_all(obs, *words)
    elif command == "upload-paused":
        upload_paused(obs, *words)
    elif command == "upload-cancelled":
        upload_cancelled(obs, *words)
    elif command == "example":
        example(words[0])
    elif command == "upload-killed":
        good(obs.uploadFile(BUCKET, words[0], words[1], 3 * 1024 * 1024, 1, True, words[2]))
    elif command == "upload-fails":
        set_faults([{"operation": "UploadPart", "query": "*partNumber=3*", "count": -1, "status": 500}])
        try:
            failed = upload(obs, *words).status >= 300
        except Exception as e:  # the SDK raises a plain Exception
            print("uploadFile:", e)
            failed = True
        set_faults([])
        if not failed:
            sys.exit("the upload did not fail")
    else:
        sys.exit(__doc__)


main(*sys.argv[1:])
