#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""obs-local as its callers see it: test_service.py PATH_OF_OBS_LOCAL [unittest arguments]

Signs with OBS signatures of its own and needs nothing but Python's library.
"""
import base64
import email.utils
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

PROGRAM = sys.argv.pop(1) if len(sys.argv) > 1 else 'obs-local'
BUCKET = '/test-bucket/'


class Service:
    """A running obs-local, and one connection to it."""

    def __init__(self, folder, *args):
        self.folder = folder
        self.args = args
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [PROGRAM, '--data', self.folder, '--bucket', 'test-bucket', '--credential', 'AK:SK',
             '--credential-ro', 'AKRO:SKRO', *self.args], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.port = int(line.rsplit(':', 1)[1])
        self.connection = self.connect()

    def connect(self):
        return http.client.HTTPConnection('127.0.0.1', self.port, timeout=30)

    def stop(self, sig=signal.SIGTERM):
        self.connection.close()
        self.process.send_signal(sig)
        self.process.stdout.close()
        return self.process.wait(20)

    def request(self, method, path, sub='', query='', headers=None, body=b'', ak='AK', sk='SK',
                date=None, dialect='obs'):
        """`sub` is the part of the query that is signed; dialect 'amz': AWS V2."""
        headers = dict(headers or {})
        date = date or email.utils.formatdate(usegmt=True)
        own = ''.join('%s:%s\n' % (k.lower(), headers[k]) for k in sorted(headers, key=str.lower)
                      if k.lower().startswith('x-%s-' % dialect))
        text = '%s\n%s\n%s\n%s\n%s%s%s' % (method, headers.get('Content-MD5', ''),
                                         headers.get('Content-Type', ''), date, own, path,
                                         '?' + urllib.parse.unquote(sub) if sub else '')
        mac = hmac.new(sk.encode(), text.encode(), hashlib.sha1).digest()
        headers['Date'] = date
        scheme = 'OBS' if dialect == 'obs' else 'AWS'
        headers['Authorization'] = '%s %s:%s' % (scheme, ak, base64.b64encode(mac).decode())
        whole = '&'.join(q for q in (sub, query) if q)
        try:
            self.connection.request(method, path + ('?' + whole if whole else ''), body=body,
                                    headers=headers)
            answer = self.connection.getresponse()
            answer.text = answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise
        return answer

    def page(self, path, body=None):
        c = self.connect()
        c.request('GET' if body is None else 'POST', '/-/' + path,
                  body=body if body is None or isinstance(body, str) else json.dumps(body))
        answer = c.getresponse()
        text = answer.read()
        c.close()
        if answer.status != 200:
            raise ValueError(text)
        return json.loads(text)

    def faults(self, *rules):
        self.page('faults', list(rules))


def code(answer):
    found = re.search(rb'<Code>(.*?)</Code>', answer.text)
    return found.group(1).decode() if found else None


def field(answer, tag):
    found = re.search(b'<%s>(.*?)</%s>' % (tag.encode(), tag.encode()), answer.text)
    return urllib.parse.unquote(found.group(1).decode()) if found else None


def crc64(data):
    crc = 2**64 - 1
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xc96c5795d7870f42 if crc & 1 else 0)
    return str(crc ^ 2**64 - 1)


class Case(unittest.TestCase):
    args = ()

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix='obs-local-test-')
        cls.s = Service(cls.folder, *cls.args)

    @classmethod
    def tearDownClass(cls):
        status = cls.s.stop()
        shutil.rmtree(cls.folder)
        assert status == 0, 'obs-local ended with %d' % status

    def setUp(self):
        self.s.faults()

    def ok(self, *args, status=200, **kw):
        answer = self.s.request(*args, **kw)
        self.assertEqual(answer.status, status, answer.text)
        return answer

    def fails(self, want, *args, **kw):
        answer = self.s.request(*args, **kw)
        self.assertEqual((answer.status, code(answer)), want, answer.text)

    def dropped(self, *args, **kw):
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.s.request(*args, **kw)

    def initiate(self, path, **headers):
        return field(self.ok('POST', path, sub='uploads', headers=headers), 'UploadId')

    def part(self, path, upload, number, body):
        return self.ok('PUT', path, sub='partNumber=%d&uploadId=%s' % (number, upload),
                       body=body).getheader('ETag').strip('"')

    def complete(self, path, upload, *parts):
        body = '<CompleteMultipartUpload>%s</CompleteMultipartUpload>' % ''.join(
            '<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>' % p for p in parts)
        return self.s.request('POST', path, sub='uploadId=' + upload, body=body)


class Objects(Case):
    def test_ranges_and_conditions(self):
        k = BUCKET + 'range'
        etag = self.ok('PUT', k, body=b'0123456789').getheader('ETag')
        self.assertEqual(etag, '"781e5e245d69b566979b86e28d23f2c7"')
        for headers, status, body in (
                ({'Range': 'bytes=2-4'}, 206, b'234'), ({'Range': 'bytes=8-99'}, 206, b'89'),
                ({'Range': 'bytes=-2'}, 206, b'89'), ({'Range': 'bytes=5-2'}, 200, b'0123456789'),
                ({'If-None-Match': etag}, 304, b''), ({'If-Match': etag}, 200, b'0123456789')):
            self.assertEqual(self.ok('GET', k, headers=headers, status=status).text, body, headers)
        self.fails((416, 'InvalidRange'), 'GET', k, headers={'Range': 'bytes=10-'})
        self.fails((412, 'PreconditionFailed'), 'GET', k, headers={'If-Match': '"x"'})

    def test_errors(self):
        self.fails((404, 'NoSuchKey'), 'GET', BUCKET + 'none')
        self.fails((404, 'NoSuchBucket'), 'GET', '/no-bucket/none')
        head = self.s.request('HEAD', BUCKET + 'none')
        self.assertEqual(head.getheader('x-obs-error-code'), 'NoSuchKey')
        self.fails((403, 'SignatureDoesNotMatch'), 'GET', BUCKET, sk='wrong')
        self.fails((403, 'InvalidAccessKeyId'), 'GET', BUCKET, ak='NOBODY')
        self.fails((403, 'RequestTimeTooSkewed'), 'GET', BUCKET,
                   date='Tue, 15 Oct 2024 07:20:09 GMT')
        self.fails((403, 'AccessDenied'), 'PUT', BUCKET + 'ro', ak='AKRO', sk='SKRO')
        self.fails((400, 'KeyTooLongError'), 'PUT', BUCKET + 'k' * 1025)
        self.fails((400, 'MetadataTooLarge'), 'PUT', BUCKET + 'm',
                   headers={'x-obs-meta-a': 'y' * 8192})
        md5 = base64.b64encode(hashlib.md5(b'other').digest()).decode()
        self.fails((400, 'BadDigest'), 'PUT', BUCKET + 'm', body=b'this',
                   headers={'Content-MD5': md5})
        self.ok('PUT', BUCKET + 'k' * 1024)

    def test_metadata(self):
        k = BUCKET + 'meta'
        self.ok('PUT', k, body=b'1', headers={
            'x-obs-meta-a': '1', 'x-obs-meta-b': '2', 'x-obs-expires': '3',
            'x-obs-storage-class': 'WARM', 'Content-Type': 'text/x'})
        before = self.ok('HEAD', k)
        self.ok('PUT', k, sub='metadata',
                headers={'x-obs-meta-b': '3', 'x-obs-metadata-directive': 'REPLACE_NEW'})
        after = self.ok('HEAD', k)
        for name, value in (('x-obs-meta-a', '1'), ('x-obs-meta-b', '3'), ('x-obs-expires', '3'),
                            ('x-obs-storage-class', 'WARM'), ('Content-Type', 'text/x'),
                            ('ETag', before.getheader('ETag')),
                            ('Last-Modified', before.getheader('Last-Modified'))):
            self.assertEqual(after.getheader(name), value, name)
        self.ok('PUT', k, sub='metadata',
                headers={'x-obs-meta-c': '4', 'x-obs-metadata-directive': 'REPLACE'})
        last = self.ok('HEAD', k)
        self.assertIsNone(last.getheader('x-obs-meta-a'))
        self.assertEqual(last.getheader('x-obs-meta-c'), '4')
        self.assertEqual(last.getheader('x-obs-storage-class'), 'WARM')

    def test_copy(self):
        self.ok('PUT', BUCKET + 'from', body=b'abc', headers={'x-obs-meta-a': '1'})
        source = {'x-obs-copy-source': '/test-bucket/from'}
        copied = self.ok('PUT', BUCKET + 'to', headers=source)
        self.assertIn(b'900150983cd24fb0d6963f7d28e17f72', copied.text)
        self.assertEqual(self.ok('HEAD', BUCKET + 'to').getheader('x-obs-meta-a'), '1')
        self.fails((400, 'InvalidRequest'), 'PUT', BUCKET + 'from', headers=source)
        self.fails((412, 'PreconditionFailed'), 'PUT', BUCKET + 'to',
                   headers={**source, 'x-obs-copy-source-if-match': '"x"'})
        self.ok('PUT', BUCKET + 'from', headers={
            **source, 'x-obs-metadata-directive': 'REPLACE', 'x-obs-meta-b': '2'})
        self.assertIsNone(self.ok('HEAD', BUCKET + 'from').getheader('x-obs-meta-a'))

    def test_redirect(self):
        k = BUCKET + 'redirect'
        answer = self.ok('PUT', k, status=303, headers={'success-action-redirect': 'http://x/y'})
        self.assertIn('key=redirect', answer.getheader('Location'))
        self.ok('PUT', k, headers={'success-action-redirect': 'nonsense'})

    def test_anonymous(self):
        self.ok('PUT', BUCKET + 'open', body=b'abc', headers={'x-obs-acl': 'public-read'})
        self.ok('PUT', BUCKET + 'shut', body=b'abc')
        for name, status in (('open', 200), ('shut', 403), ('none', 403)):
            c = self.s.connect()
            c.request('GET', BUCKET + name)
            self.assertEqual(c.getresponse().status, status)
            c.close()
        self.ok('PUT', BUCKET + 'shut', sub='acl', headers={'x-obs-acl': 'public-read'})
        self.assertIn(b'Everyone', self.ok('GET', BUCKET + 'shut', sub='acl').text)

    def test_aws_grants(self):
        k = BUCKET + 'grants'
        both = {'x-%s-acl': 'private', 'x-%s-grant-read': 'id=a'}
        self.ok('PUT', k, body=b'abc', headers={n % 'obs': v for n, v in both.items()})
        for method, sub in (('PUT', ''), ('PUT', 'acl'), ('POST', 'uploads')):
            self.fails((400, 'InvalidRequest'), method, k, sub=sub, dialect='amz',
                         headers={n % 'amz': v for n, v in both.items()})
        self.assertEqual(self.ok('GET', k).text, b'abc')
        self.ok('PUT', k, dialect='amz', headers={'x-amz-grant-read': 'id=a'})
        self.fails((403, 'AccessDenied'), 'GET', k)
        self.assertNotIn(b'obs-local</ID></Grantee>', self.ok('GET', k, sub='acl').text)
        for grant in ('id=a,uri=http://acs.amazonaws.com/groups/global/AllUsers', 'id=obs-local'):
            self.ok('PUT', k, dialect='amz', headers={'x-amz-grant-read': grant})
            self.ok('GET', k)

    def test_virtual_host(self):
        c = self.s.connect()
        c.request('HEAD', '/?apiversion', headers={'Host': 'test-bucket.obs.example.com'})
        self.assertEqual(c.getresponse().getheader('x-obs-api'), '3.0')
        c.close()

    def test_listing(self):
        for name in ('l/a', 'l/b/1', 'l/b/2', 'l/c', 'l/d%20%01'):
            self.ok('PUT', BUCKET + name)
        found, marker = [], ''
        while True:
            page = self.ok('GET', BUCKET, query='prefix=l/&delimiter=/&max-keys=1&'
                           'encoding-type=url&marker=' + urllib.parse.quote(marker))
            found += re.findall(rb'<(?:Key|CommonPrefixes><Prefix)>(.*?)<', page.text)
            if field(page, 'IsTruncated') == 'false':
                break
            marker = field(page, 'NextMarker')
        self.assertEqual(found, [b'l/a', b'l/b/', b'l/c', b'l/d%20%01'])

    def test_batch_delete(self):
        for name in ('x1', 'x2'):
            self.ok('PUT', BUCKET + name)
        body = '<Delete><Object><Key>x1</Key></Object><Object><Key>x3</Key></Object></Delete>'
        md5 = base64.b64encode(hashlib.md5(body.encode()).digest()).decode()
        answer = self.ok('POST', BUCKET, sub='delete', body=body, headers={'Content-MD5': md5})
        self.assertEqual(answer.text.count(b'<Deleted>'), 2)
        self.assertEqual(self.s.request('HEAD', BUCKET + 'x1').status, 404)
        self.assertEqual(self.s.request('HEAD', BUCKET + 'x2').status, 200)


class Multipart(Case):
    def test_rules(self):
        k = BUCKET + 'parts'
        u = self.initiate(k, **{'x-obs-meta-a': '1'})
        one, two = self.part(k, u, 1, b'hello'), self.part(k, u, 2, b'world')
        for want, parts in (('EntityTooSmall', [(1, one), (2, two)]), ('InvalidPart', [(2, one)]),
                            ('InvalidPartOrder', [(2, two), (1, one)]), ('MalformedXML', [])):
            self.assertEqual(code(self.complete(k, u, *parts)), want)
        self.assertEqual(self.complete(k, u, (2, two)).status, 200)
        self.assertEqual(code(self.complete(k, u, (2, two))), 'NoSuchUpload')
        head = self.ok('HEAD', k)
        self.assertEqual(head.getheader('x-obs-uploadId'), u)
        self.assertEqual(head.getheader('x-obs-meta-a'), '1')
        self.assertEqual(self.ok('GET', k).text, b'world')

    def test_etag_gaps_and_pages(self):
        k = BUCKET + 'gaps'
        u = self.initiate(k)
        body = os.urandom(102400)
        tags = {n: self.part(k, u, n, body) for n in (1, 5, 9)}
        page = self.ok('GET', k, sub='uploadId=' + u, query='max-parts=2')
        self.assertEqual(re.findall(rb'<PartNumber>(\d+)<', page.text), [b'1', b'5'])
        self.assertEqual(field(page, 'NextPartNumberMarker'), '5')
        self.complete(k, u, (1, tags[1]), (9, tags[9]))
        want = hashlib.md5(hashlib.md5(body).digest() * 2).hexdigest() + '-2'
        self.assertEqual(self.ok('HEAD', k).getheader('ETag'), '"%s"' % want)
        self.assertEqual(self.ok('GET', k, status=206, headers={'Range': 'bytes=102000-103000'})
                         .text, (body + body)[102000:103001])

    def test_crc64(self):
        k, name = BUCKET + 'crc', 'x-obs-checksum-crc64ecma'
        self.assertEqual(crc64(b'123456789'), '11051210869376104954')
        self.fails((400, 'BadDigest'), 'PUT', k, body=b'x', headers={name: '1'})
        self.fails((400, 'InvalidDigest'), 'PUT', k, body=b'x', headers={name: '-1'})
        answer = self.ok('PUT', k, body=b'small', headers={name: crc64(b'small')})
        self.assertEqual(answer.getheader(name), crc64(b'small'))
        self.assertEqual(self.ok('HEAD', k).getheader(name), crc64(b'small'))
        u = self.initiate(k)
        pieces = [os.urandom(102400), b'end']
        tags = []
        for n, piece in enumerate(pieces, 1):
            answer = self.ok('PUT', k, sub='partNumber=%d&uploadId=%s' % (n, u), body=piece,
                             headers={name: crc64(piece)})
            self.assertEqual(answer.getheader(name), crc64(piece))
            tags.append((n, hashlib.md5(piece).hexdigest()))
        self.s.stop()
        self.s.start()  # what it knows of parts outlives it
        body = '<CompleteMultipartUpload>%s</CompleteMultipartUpload>' % ''.join(
            '<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>' % t for t in tags)
        self.fails((400, 'BadDigest'), 'POST', k, sub='uploadId=' + u, body=body, headers={name: '1'})
        whole = crc64(b''.join(pieces))
        self.s.faults({'operation': 'HeadObject', 'wrong_crc64': True})
        answer = self.ok('POST', k, sub='uploadId=' + u, body=body, headers={name: whole})
        self.assertEqual(answer.getheader(name), whole)
        self.assertNotIn(self.ok('HEAD', k).getheader(name), (whole, None))
        self.assertEqual(self.ok('HEAD', k).getheader(name), whole)

    def test_later_initiate_wins(self):
        k = BUCKET + 'winner'
        u = self.initiate(k)
        tag = self.part(k, u, 1, b'old')
        self.ok('PUT', k, body=b'new')
        self.assertEqual(self.complete(k, u, (1, tag)).status, 200)
        self.assertEqual(self.ok('GET', k).text, b'new')

    def test_copy_part(self):
        k = BUCKET + 'copied'
        self.ok('PUT', BUCKET + 'source', body=b'0123456789')
        u = self.initiate(k)
        answer = self.ok('PUT', k, sub='partNumber=1&uploadId=' + u, headers={
            'x-obs-copy-source': '/test-bucket/source',
            'x-obs-copy-source-range': 'bytes=2-4'})
        tag = hashlib.md5(b'234').hexdigest()
        self.assertIn(tag.encode(), answer.text)
        self.complete(k, u, (1, tag))
        self.assertEqual(self.ok('GET', k).text, b'234')

    def test_uploads_are_listed(self):
        for name in ('u/1', 'u/1', 'u/2'):
            self.initiate(BUCKET + name)
        found, key, upload = [], '', ''
        while True:
            page = self.ok('GET', BUCKET, sub='uploads', query='max-uploads=1&prefix=u/&key-marker='
                           '%s&upload-id-marker=%s' % (key, upload))
            found += re.findall(rb'<Upload><Key>(.*?)<', page.text)
            if field(page, 'IsTruncated') == 'false':
                break
            key, upload = field(page, 'NextKeyMarker'), field(page, 'NextUploadIdMarker')
        self.assertEqual(found, [b'u/1', b'u/1', b'u/2'])


class LastWins(Case):
    args = ('--complete-wins', 'last')

    def test_last_complete_wins(self):
        k = BUCKET + 'winner'
        u = self.initiate(k)
        tag = self.part(k, u, 1, b'old')
        self.ok('PUT', k, body=b'new')
        self.complete(k, u, (1, tag))
        self.assertEqual(self.ok('GET', k).text, b'old')


class Faults(Case):
    def test_turns(self):
        k = BUCKET + 'turns'
        self.ok('PUT', k)
        self.s.faults({'operation': 'GetObject', 'key': 'tu*', 'status': 503, 'count': 2,
                       'skip': 1})
        self.assertEqual([self.s.request('GET', k).status for _ in range(5)],
                         [200, 503, 503, 200, 200])
        self.assertEqual(self.s.page('faults')[0]['fired'], 2)

    def test_resets(self):
        for reset, status in (('early', 404), ('before', 404), ('after', 200)):
            self.s.faults({'operation': 'PutObject', 'reset': reset})
            self.dropped('PUT', BUCKET + reset, body=b'x' * 100000)
            self.assertEqual(self.s.request('HEAD', BUCKET + reset).status, status, reset)
        self.s.faults({'operation': 'PutObject', 'reset_after_bytes_in': 50000})
        self.dropped('PUT', BUCKET + 'middle', body=b'x' * 10000000)
        self.assertEqual(self.s.request('HEAD', BUCKET + 'middle').status, 404)

    def test_bodies(self):
        k = BUCKET + 'bodies'
        self.ok('PUT', k, body=b'x' * 1000000)
        for fault in ({'cut_after_bytes': 5000}, {'short_body': 1}):
            self.s.faults({'operation': 'GetObject', **fault})
            self.dropped('GET', k)
        self.s.faults({'operation': 'GetObject', 'long_body': 10})
        self.assertEqual(len(self.ok('GET', k).text), 1000010)
        self.s.faults({'operation': 'GetObject', 'stall': True})
        clear = threading.Timer(0.2, self.s.faults)
        clear.start()
        self.ok('GET', k)
        clear.join()

    def test_answers(self):
        k = BUCKET + 'answers'
        self.s.faults({'operation': 'PutObject', 'wrong_etag': True})
        self.assertNotEqual(self.ok('PUT', k, body=b'x').getheader('ETag'),
                            '"%s"' % hashlib.md5(b'x').hexdigest())
        self.s.faults({'operation': 'PutObject', 'status': 500, 'after': True})
        self.fails((500, 'InternalError'), 'PUT', BUCKET + 'stored')
        self.ok('HEAD', BUCKET + 'stored')
        self.s.faults({'operation': '*', 'expired_token': True})
        self.fails((403, 'ExpiredToken'), 'GET', k)
        u = self.initiate(k)
        tag = self.part(k, u, 1, b'x')
        self.s.faults({'operation': 'CompleteMultipartUpload', 'in_200': True})
        answer = self.complete(k, u, (1, tag))
        self.assertEqual((answer.status, code(answer)), (200, 'InternalError'))
        u = self.initiate(k)
        self.s.faults({'operation': 'UploadPart', 'drop_upload': True})
        self.fails((404, 'NoSuchUpload'), 'PUT', k, sub='partNumber=1&uploadId=' + u, body=b'x')

    def test_bad_rules(self):
        for bad in ('{}', '[{"nope":1}]', '[{"count":"x"}]', '[{"reset":"x"}]', 'x'):
            with self.assertRaises(ValueError):
                self.s.page('faults', bad)


class Pages(Case):
    def test_counters_and_log(self):
        self.s.page('reset', '')
        self.ok('PUT', BUCKET + 'counted', body=b'12345', headers={'x-obs-meta-a': 'b'})
        self.ok('GET', BUCKET + 'counted')
        counts = self.s.page('requests')
        self.assertEqual(counts['operations']['PutObject']['bytes_in'], 5)
        self.assertEqual(counts['operations']['GetObject']['bytes_out'], 5)
        self.assertEqual(counts['total']['status'], {'200': 2})
        self.assertEqual(counts['signatures']['obs'], 2)
        log = self.s.page('log?tail=2')
        self.assertEqual([e['op'] for e in log], ['PutObject', 'GetObject'])
        self.assertEqual(log[0]['headers']['x-obs-meta-a'], 'b')
        self.assertEqual(log[0]['headers']['authorization'], '***')

    def test_credentials(self):
        self.s.page('credentials', {'add': ['T:S:TOKEN']})
        good = {'x-obs-security-token': 'TOKEN'}
        self.ok('GET', BUCKET, headers=good, ak='T', sk='S')
        self.fails((403, 'InvalidToken'), 'GET', BUCKET, ak='T', sk='S')
        self.s.page('credentials', {'expire': ['T']})
        self.fails((403, 'ExpiredToken'), 'GET', BUCKET, headers=good, ak='T', sk='S')


class Folder(Case):
    def test_survives_kill(self):
        k = BUCKET + 'kept'
        bodies = {'%s%d' % (k, i): os.urandom(1000 * i) for i in range(20)}
        for path, body in bodies.items():
            self.ok('PUT', path, body=body, headers={'x-obs-meta-a': 'b c%25'})
        self.ok('DELETE', k + '0', status=204)
        u = self.initiate(BUCKET + 'open')
        tag = self.part(BUCKET + 'open', u, 1, b'part')
        self.s.stop(signal.SIGKILL)
        with open(os.path.join(self.folder, 'journal'), 'a') as journal:
            journal.write('P test-bucket half a li')
        self.s.start()
        self.assertEqual(self.s.request('HEAD', k + '0').status, 404)
        for path, body in list(bodies.items())[1:]:
            answer = self.ok('GET', path)
            self.assertEqual(answer.text, body)
            self.assertEqual(answer.getheader('x-obs-meta-a'), 'b c%25')
        self.assertEqual(self.complete(BUCKET + 'open', u, (1, tag)).status, 200)
        for path in list(bodies) + [BUCKET + 'open']:
            self.ok('DELETE', path, status=204)
        blobs = [f for _, _, files in os.walk(os.path.join(self.folder, 'blobs')) for f in files]
        self.assertEqual(blobs, [])

    def test_second_process_is_refused(self):
        run = subprocess.run([PROGRAM, '--data', self.folder], stderr=subprocess.PIPE, text=True,
                             timeout=20)
        self.assertEqual(run.returncode, 1)
        self.assertIn('in use', run.stderr)


class Delays(Case):
    args = ('--latency', '100', '--rate', '1000000')

    def test_latency_and_rate(self):
        begin = time.monotonic()
        self.ok('PUT', BUCKET + 'slow', body=b'x' * 300000)
        self.assertGreater(time.monotonic() - begin, 0.3)
        begin = time.monotonic()
        self.assertEqual(len(self.ok('GET', BUCKET + 'slow').text), 300000)
        self.assertGreater(time.monotonic() - begin, 0.3)


if __name__ == '__main__':
    unittest.main()
