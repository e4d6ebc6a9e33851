#!/usr/bin/env python3
"""Another client of the local store, written from memolock-protocol(7) alone.

other_client.py STORE TAG ID put           stores standard input as an entry
                             show          describes the entry, then prints its standard output
                             hold FILE     takes the lock, begins a run, waits until FILE exists, and stores
                                           standard input as its output
                             wait          waits for the run in progress, and prints its output
"""
import fcntl
import hashlib
import os
import re
import select
import struct
import subprocess
import sys
import time

FIXED = struct.Struct('<8sBBBBHHIIqqqqqqQQQQQQ32sqQ')
PLAIN = b'-_.@,+'
RUNNING, KEPT = 0, 1


def xxh3(data):
    said = subprocess.run(['xxhsum', '-H3', '-'], input=data, capture_output=True, check=True).stdout
    return int(re.search(rb'[0-9a-f]{16}', said).group(), 16)  # its column depends on the version


def escaped(name):
    text = ''.join(chr(c) if chr(c).isascii() and chr(c).isalnum() or c in PLAIN else f'%{c:02x}' for c in name)
    if text.startswith('.'):
        text = '%2e' + text[1:]
    if len(text) <= 200:
        return text
    digest = hashlib.blake2b(struct.pack('<Q', len(name)) + name, digest_size=16)
    return f'{text[:167]}~{digest.hexdigest()}'


def encoded(tag, name, fate, token, out=b'', err=b''):
    words = [tag, name, b'elsewhere', b'', b'other', b'client']
    names = b''.join(struct.pack('<I', len(word)) + word for word in words)
    now = time.time_ns()
    hour = 3600 * 10**9
    fields = [b'memolock', 2, fate, 0, 0, 0, 0, 0, len(names), now - 10**9, now, 10**9, hour, 0, hour,
              len(out), len(err), xxh3(out), xxh3(err), 0, 0, token, os.getpid(), 0]
    front = FIXED.pack(*fields)
    return front[:160] + struct.pack('<Q', xxh3(front[:160] + names)) + names


def decoded(data):
    fields = FIXED.unpack(data[:FIXED.size])
    names_end = FIXED.size + fields[8]
    names, words = data[FIXED.size:names_end], []
    head = data[:11] + b'\0' + data[12:160]
    assert fields[0] == b'memolock' and fields[1] == 2 and fields[23] == xxh3(head + names)
    while names:
        (size,) = struct.unpack('<I', names[:4])
        words.append(names[4:4 + size])
        names = names[4 + size:]
    out = data[names_end:names_end + fields[15]]
    err = data[names_end + fields[15]:names_end + fields[15] + fields[16]]
    if fields[2] != RUNNING:
        assert xxh3(out) == fields[17] and xxh3(err) == fields[18]
    return fields, words, out, err


class Entry:
    def __init__(self, store, tag, name):
        self.tag, self.name = tag, name
        self.folder = os.path.join(store, escaped(tag))
        self.stem = os.path.join(self.folder, escaped(name))
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        os.chmod(store, 0o700)

    def make(self, ending, data):
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
        file = os.open(self.stem + ending, flags, 0o600)
        os.write(file, data)
        return file

    def put(self):
        out = sys.stdin.buffer.read()
        self.make('.draft', encoded(self.tag, self.name, KEPT, os.urandom(16).hex().encode(), out) + out)
        os.rename(self.stem + '.draft', self.stem + '.entry')

    def show(self):
        with open(self.stem + '.entry', 'rb') as file:
            fields, words, out, err = decoded(file.read())
        print(f'status={fields[5]} ttl={fields[12]} token={len(fields[21])} pid={fields[22]}')
        print(b'|'.join(words[:2] + words[4:]).decode(), err.decode(), sep='\n', flush=True)
        sys.stdout.buffer.write(out)

    def hold(self, signal):
        lock = os.open(self.stem + '.lock', os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.fcntl(lock, fcntl.F_OFD_SETLK, struct.pack('hhqqi', fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        assert os.path.samestat(os.fstat(lock), os.stat(self.stem + '.lock'))
        token = os.urandom(16).hex().encode()
        head = encoded(self.tag, self.name, RUNNING, token)
        run = self.make('.run', head)
        os.mkfifo(self.stem + '.wake', 0o600)
        wake = os.open(self.stem + '.wake', os.O_RDWR | os.O_NONBLOCK)
        while not os.path.exists(signal):
            time.sleep(0.01)
        out = sys.stdin.buffer.read()
        head = encoded(self.tag, self.name, KEPT, token, out)
        os.pwrite(run, out, len(head))
        os.pwrite(run, head[12:], 12)
        os.pwrite(run, head[:11], 0)
        os.rename(self.stem + '.run', self.stem + '.entry')
        os.unlink(self.stem + '.wake')
        os.unlink(self.stem + '.lock')
        os.close(lock)
        os.close(wake)

    def wait(self):
        wake = os.open(self.stem + '.wake', os.O_RDONLY | os.O_NONBLOCK)
        try:
            assert os.read(wake, 64) != b'', 'there is no run'
        except BlockingIOError:
            pass
        with open(self.stem + '.run', 'rb') as run:
            assert os.path.samestat(os.fstat(wake), os.stat(self.stem + '.wake'))
            print('waiting', file=sys.stderr, flush=True)
            poll = select.poll()
            poll.register(wake, 0)
            while not poll.poll()[0][1] & select.POLLHUP:
                pass
            fields, _, out, _ = decoded(run.read())
        assert fields[2] != RUNNING, 'the holder is dead'
        sys.stdout.buffer.write(out)


store, tag, name, verb = sys.argv[1:5]
getattr(Entry(store, tag.encode(), os.fsencode(name)), verb)(*sys.argv[5:])
