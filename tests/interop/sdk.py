# SPDX-License-Identifier: Apache-2.0
"""sdk.py - what sdk.sh asks of Huawei's SDK, virtual-host style and OBS signature

  put KEY FILE [NAME=VALUE]...     user metadata NAME
  get KEY FILE [NAME=VALUE]...     the object must have this user metadata
  list PREFIX KEY...               the listing must be these
  delete KEY
  upload-crc64 KEY FILE        uploadFile with a CRC-64; prints what the service answers
  upload KEY FILE                  uploadFile as its documentation shows
  upload-fails KEY FILE            the same while the service refuses part 3: it must fail
"""
import http.client
import json
import os
import socket
import sys

from obs import ObsClient

BUCKET = "bkt"

# Python does not know that names below localhost mean this machine.
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: resolve(
    "127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **more)


def client():
    with open(os.environ["OBS_KEYS"]) as f:
        ak, sk = f.readline().strip().split(":")[:2]
    return ObsClient(access_key_id=ak, secret_access_key=sk, is_secure=False,
                     server=f"http://localhost:{os.environ['OBS_PORT']}")


def good(answer):
    if answer.status >= 300:
        sys.exit(f"{answer.status} {answer.errorCode} {answer.errorMessage}")
    return answer


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
