#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""obsclient - changes and looks at a bucket of obs-local behind a mount's back, stdlib only.

  obsclient.py put KEY [FILE] [HEADER:VALUE]...  stores FILE (or standard input); prints the ETag
  obsclient.py get KEY [HEADER:VALUE]...         the content to standard output
  obsclient.py head KEY [HEADER:VALUE]...        one line "name: value" a header, sorted
  obsclient.py delete KEY...
  obsclient.py list [PREFIX]                     "KEY<tab>SIZE<tab>ETAG" a line, KEY as in Python's repr
                                                 if it is not printable
  obsclient.py fill PREFIX COUNT [SIZE]          PREFIX00000, PREFIX00001, .. many at a time
  obsclient.py uploads                           "KEY<tab>UPLOAD-ID" of each unfinished upload
  obsclient.py requests [OP]...                  how many of these operations (none: of all)
  obsclient.py bytes OP                          how many bytes these answers had
  obsclient.py signatures KIND                   how many requests were signed so (obs, v2, v4, ..)
  obsclient.py log [OP]                          "OP<tab>KEY<tab>STATUS<tab>BYTES-IN" a request
  obsclient.py sent OP KEY HEADER...             what the last of these requests said, a line a header ("-": none)
  obsclient.py sent-all OP KEY HEADER...         the same of each of them
  obsclient.py acl KEY                           the answer of GET ?acl (KEY "": of the bucket)
  obsclient.py set-acl KEY HEADER:VALUE...       PUT ?acl with these headers, else standard input as its body
  obsclient.py arrived OP HEADER                 "KEY<tab>VALUE" ("-": none) a request
  obsclient.py key-headers FILE                  the three HEADER:VALUE for the key in FILE (32 bytes)
  obsclient.py reset | faults JSON | credentials JSON | clock JSON
  obsclient.py etag FILE PART-SIZE               the ETag that FILE must have (no request)

A KEY is taken as it is, except that \\n, \\xHH stand for bytes if it begins with "b:".
From the environment: OBS_PORT, OBS_KEYS (file with AK:SK), OBS_BUCKET (bkt), OBS_CA (then it is https),
OBS_CLOCK (seconds that the service is ahead).
"""
import base64
import concurrent.futures
import email.utils
import hashlib
import hmac
import http.client
import json
import os
import ssl
import sys
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ET

SIGNED = {"acl", "delete", "metadata", "partNumber", "uploadId", "uploads"}


def connect(port):
    authority = os.environ.get("OBS_CA")
    if not authority:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    context = ssl.create_default_context(cafile=authority)
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)


class Client:
    """One bucket, path style, OBS signature; one connection a thread."""

    def __init__(self, port, ak, sk, bucket):
        self.port, self.ak, self.sk, self.bucket = port, ak, sk, bucket
        self.local = threading.local()

    def _connection(self):
        if not hasattr(self.local, "c"):
            self.local.c = connect(self.port)
        return self.local.c

    def _sign(self, method, path, query, headers):
        lines = [method, headers.get("Content-MD5", ""), headers.get("Content-Type", ""), ""]
        lines += [f"{n.lower()}:{v}" for n, v in sorted(headers.items(), key=lambda h: h[0].lower())
                  if n.lower().startswith("x-obs-")]
        signed = sorted((n, v) for n, v in query.items() if n in SIGNED)
        resource = path
        if signed:
            resource += "?" + "&".join(n if v is None else f"{n}={v}" for n, v in signed)
        lines.append(resource)
        digest = hmac.new(self.sk.encode(), "\n".join(lines).encode(), hashlib.sha1).digest()
        return f"OBS {self.ak}:{base64.b64encode(digest).decode()}"

    def request(self, method, key=b"", query=None, headers=None, body=None):
        """(status, headers with small letters, body); raises on a status of 300 and more."""
        query, headers = query or {}, dict(headers or {})
        headers["x-obs-date"] = email.utils.formatdate(time.time() + int(os.environ.get("OBS_CLOCK", 0)), usegmt=True)
        path = f"/{self.bucket}/" + urllib.parse.quote(key, safe="-_.~/")
        headers["Authorization"] = self._sign(method, path, query, headers)
        text = "&".join(n if v is None else f"{n}={urllib.parse.quote(v, safe='')}"
                        for n, v in query.items())
        connection = self._connection()
        connection.request(method, path + ("?" + text if text else ""), body, headers)
        answer = connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {data.decode(errors='replace')}")
        return answer.status, {n.lower(): v for n, v in answer.getheaders()}, data

    def put(self, key, body, headers=None):
        return self.request("PUT", key, headers=headers, body=body)[1]["etag"].strip('"')

    def pages(self, query, item, next_names):
        """All `item` elements of a paged listing, as dictionaries of their children."""
        query = dict(query, **{"encoding-type": "url"})
        while True:
            root = strip(ET.fromstring(self.request("GET", query=query)[2]))
            for node in root.iter(item):
                yield {child.tag: child.text or "" for child in node}
            if root.findtext("IsTruncated") != "true":
                return
            for name, source in next_names.items():
                query[name] = urllib.parse.unquote_plus(root.findtext(source) or "")

    def list(self, prefix):
        for c in self.pages({"prefix": prefix}, "Contents", {"marker": "NextMarker"}):
            yield urllib.parse.unquote_to_bytes(c["Key"].replace("+", " ")), int(c["Size"]), \
                c["ETag"].strip('"')


def strip(root):
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
    return root


def key_bytes(text):
    if text.startswith("b:"):
        return text[2:].encode("utf-8", "surrogateescape").decode("unicode_escape").encode("latin-1")
    return os.fsencode(text)


def shown(key):
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return repr(key)
    return text if text.isprintable() else repr(key)


def admin(port, method, path, body=None):
    connection = connect(port)
    connection.request(method, path, body)
    answer = connection.getresponse()
    data = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {data.decode(errors='replace')}")
    return json.loads(data)


def etag_of(path, part_size):
    """A single PUT up to part_size, else parts of that size."""
    digests = []
    with open(path, "rb") as f:
        while True:
            data = f.read(part_size)
            if not data and digests:
                break
            digests.append(hashlib.md5(data))
            if len(data) < part_size:
                break
    if len(digests) == 1:
        return digests[0].hexdigest()
    return hashlib.md5(b"".join(d.digest() for d in digests)).hexdigest() + f"-{len(digests)}"


def arrived(port, op, header):
    for r in admin(port, "GET", f"/-/log?tail=100000&op={op}"):
        print(r["key"], r["headers"].get(header.lower(), "-"), sep="\t")


def key_headers(path):
    with open(path, "rb") as f:
        key = f.read()
    prefix = "x-obs-server-side-encryption-customer-"
    print(prefix + "algorithm:AES256", prefix + "key:" + base64.b64encode(key).decode(),
          prefix + "key-MD5:" + base64.b64encode(hashlib.md5(key).digest()).decode(), sep="\n")


def given(arguments):
    return dict(a.split(":", 1) for a in arguments if ":" in a)


def put(client, key, arguments):
    files = [a for a in arguments if ":" not in a]
    headers = given(arguments)
    if files:
        with open(files[0], "rb") as f:
            body = f.read()
    else:
        body = sys.stdin.buffer.read()
    print(client.put(key_bytes(key), body, headers))


def fill(client, prefix, count, size=0):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: client.put(key_bytes(f"{prefix}{i:05d}"), b"x" * int(size)),
                      range(int(count))))


def requests(port, ops):
    stats = admin(port, "GET", "/-/requests")
    if not ops:
        print(stats["total"]["count"])
    else:
        print(sum(stats["operations"].get(op, {"count": 0})["count"] for op in ops))


def log(port, op=None):
    for r in admin(port, "GET", "/-/log?tail=100000" + (f"&op={op}" if op else "")):
        if not r["op"].startswith("/"):
            print(r["op"], r["key"], r["status"], r["bytes_in"], sep="\t")


def sent(port, op, key, *headers, last=True):
    found = [r for r in admin(port, "GET", f"/-/log?tail=100000&op={op}") if r["key"] == key]
    for r in found[-1:] if last else found:
        print("\n".join(r["headers"].get(name.lower(), "-") for name in headers))


def main(command, *arguments):
    if command == "etag":
        print(etag_of(arguments[0], int(arguments[1])))
        return
    if command == "key-headers":
        key_headers(arguments[0])
        return
    port = int(os.environ["OBS_PORT"])
    with open(os.environ["OBS_KEYS"]) as f:
        ak, sk = f.readline().strip().split(":")[:2]
    client = Client(port, ak, sk, os.environ.get("OBS_BUCKET", "bkt"))
    if command == "put":
        put(client, arguments[0], arguments[1:])
    elif command == "get":
        answer = client.request("GET", key_bytes(arguments[0]), headers=given(arguments[1:]))
        sys.stdout.buffer.write(answer[2])
    elif command == "head":
        answer = client.request("HEAD", key_bytes(arguments[0]), headers=given(arguments[1:]))
        for name, value in sorted(answer[1].items()):
            print(f"{name}: {value}")
    elif command == "delete":
        for key in arguments:
            client.request("DELETE", key_bytes(key))
    elif command == "list":
        for key, size, etag in client.list(arguments[0] if arguments else ""):
            print(shown(key), size, etag, sep="\t")
    elif command == "uploads":
        names = {"key-marker": "NextKeyMarker", "upload-id-marker": "NextUploadIdMarker"}
        for u in client.pages({"uploads": None}, "Upload", names):
            print(urllib.parse.unquote_plus(u["Key"]), u["UploadId"], sep="\t")
    elif command == "fill":
        fill(client, *arguments)
    elif command == "requests":
        requests(port, arguments)
    elif command == "bytes":
        op = admin(port, "GET", "/-/requests")["operations"].get(arguments[0], {})
        print(op.get("bytes_out", 0))
    elif command == "signatures":
        print(admin(port, "GET", "/-/requests")["signatures"][arguments[0]])
    elif command == "arrived":
        arrived(port, *arguments)
    elif command == "log":
        log(port, *arguments)
    elif command == "sent":
        sent(port, *arguments)
    elif command == "sent-all":
        sent(port, *arguments, last=False)
    elif command == "acl":
        print(client.request("GET", key_bytes(arguments[0]), {"acl": None})[2].decode())
    elif command == "set-acl":
        body = b"" if arguments[1:] else sys.stdin.buffer.read()
        client.request("PUT", key_bytes(arguments[0]), {"acl": None}, given(arguments[1:]), body)
    elif command == "reset":
        admin(port, "POST", "/-/reset")
    elif command in ("faults", "credentials", "clock"):
        admin(port, "POST", "/-/" + command, arguments[0])
    else:
        sys.exit(f"obsclient.py: unknown command '{command}'")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except RuntimeError as problem:
        sys.exit(f"obsclient.py: {problem}")
