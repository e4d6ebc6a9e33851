"""The output of a run: a value that names its run and its id, and shows whether it is complete."""
import re
import zlib

HEAD = re.compile(rb'run=(\S+) id=(\S+) length=(\d+)\n')
TAIL = re.compile(rb'sum=([0-9a-f]{8})\n')
TAIL_SIZE = len(b'sum=00000000\n')


def make(run, name, length):
    head = f'run={run} id={name} length={length}\n'.encode()
    word = f'{run} '.encode()
    body = (word * (length // len(word) + 1))[:length]
    return head + body + b'sum=%08x\n' % zlib.crc32(head + body)


def read(output):
    """The run and the id of exactly one complete value. Raises ValueError with the reason."""
    head = HEAD.match(output)
    if not head:
        raise ValueError(f'{len(output)} bytes that are no value: {output[:60]!r}')
    size = head.end() + int(head[3]) + TAIL_SIZE
    if len(output) != size:
        raise ValueError(f'{len(output)} bytes in place of {size} of run {head[1].decode()}')
    tail = TAIL.fullmatch(output[-TAIL_SIZE:])
    if not tail or int(tail[1], 16) != zlib.crc32(output[:-TAIL_SIZE]):
        raise ValueError(f'the sum of run {head[1].decode()} is wrong')
    return head[1].decode(), head[2].decode()
