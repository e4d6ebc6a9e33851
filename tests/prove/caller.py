"""Callers of memolock. Each calls it repeatedly and records the results."""
import glob
import json
import os
import random
import subprocess
import sys
import threading

import value
from history import now

WORK = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'work')


class Calls:
    """Numbers the calls, and lists those in progress."""

    def __init__(self):
        self.lock = threading.Lock()
        self.last = 0
        self.active = {}

    def begin(self, caller_begins):
        with self.lock:
            self.last += 1
            call = self.active[self.last] = caller_begins(self.last)
        return call

    def end(self, call):
        with self.lock:
            del self.active[call.number]

    def going_on(self):
        with self.lock:
            return list(self.active.values())


def environment(clock):
    """The environment in which a dynamic memolock reads the clock from that file. Times of files are not changed."""
    if not clock:
        return None
    return {**os.environ, 'LD_PRELOAD': glob.glob('/usr/lib/*/faketime/libfaketimeMT.so.1')[0],
            'FAKETIME_TIMESTAMP_FILE': os.path.abspath(clock), 'FAKETIME_NO_CACHE': '1',
            'FAKETIME_DONT_FAKE_MONOTONIC': '1', 'NO_FAKE_STAT': '1'}


class OngoingCall:
    def __init__(self, number, plan, words):
        self.number = number
        self.plan = plan
        self.disturbances = []  # as history.Disturbance
        self.asked = now()
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=environment(plan['clock']))

    def is_holder(self):
        """Whether it has started a command."""
        pid = self.process.pid
        try:
            with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as children:
                return children.read() != ''
        except OSError:
            return False


def random_plan(settings, ids):
    """The options and the command of a call."""
    chance = random.random()
    length = random.randrange(2000)
    if chance < 0.45:
        length = random.randrange(100_000)
    elif chance < 0.46:
        length = random.randrange(3 << 20)
    plan = {'id': random.choice(ids), 'ttl': round(random.uniform(0.3, 2), 3), 'wait': None, 'stale': 0,
            'refresh': False, 'seconds': random.uniform(0.05, 0.6), 'length': length,
            'status': random.choice([1, 2, 3]) if random.random() < 0.08 else 0, 'lease': settings['lease'],
            'clock': settings['clock']}
    kind = random.random()
    if kind < 0.1:
        plan['wait'] = round(random.uniform(0.1, 1), 3)
    elif kind < 0.2:
        plan['stale'] = 1
    elif kind < 0.25:
        plan['refresh'] = True
    return plan


class Caller(threading.Thread):
    def __init__(self, memolock, writer, calls, settings, ids, until):
        """`memolock`: the words of the command that starts it."""
        super().__init__(daemon=True)
        self.memolock, self.writer, self.calls = memolock, writer, calls
        self.settings, self.ids, self.until = settings, ids, until

    def run(self):
        pause = random.uniform(0, 1.5)  # so that not all start at the same time
        while now() + pause < self.until:
            threading.Event().wait(pause)
            self.call(random_plan(self.settings, self.ids))
            pause = random.uniform(0, 0.4)

    def call(self, plan):
        report = f'{self.writer.path}.report.{self.native_id}'
        call = self.calls.begin(
            lambda number: OngoingCall(number, plan, self.words(number, plan, report)))
        out, err = call.process.communicate()
        ended = now()
        self.calls.end(call)
        note_call(self.writer, call, ended, answer_in(out, err), last_line(report))

    def words(self, number, plan, report):
        options = ['--tag', 'prove', '--id', plan['id'], '--ttl', f"{plan['ttl']}s", '--report', report]
        if plan['lease']:
            options += ['--lease', f"{plan['lease']}s"]
        if plan['wait'] is not None:
            options += ['--wait', f"{plan['wait']}s"]
        if plan['stale']:
            options += ['--stale', f"{plan['stale']}s"]
        if plan['refresh']:
            options.append('--refresh')
        plain = ['env', '-u', 'LD_PRELOAD'] if plan['clock'] else []  # the command uses the real clock
        return [*self.memolock, 'get', *options, '--', *plain, sys.executable, '-SEB', WORK, self.writer.path, str(number),
                plan['id'], f"{plan['seconds']:.3f}", str(plan['length']), str(plan['status'])]


def answer_in(out, err):
    """The run whose output it got, what is wrong with the output, and the messages of memolock."""
    lines = err.decode(errors='replace').splitlines()
    messages = [line for line in lines if line.startswith('memolock: ')]
    rest = [line for line in lines if not line.startswith('memolock: ')]
    answer = {'messages': messages, 'empty': out == b'' and not rest, 'run': None, 'fault': ''}
    try:
        answer["run"], _ = value.read(out)
        answer['fault'] = fault_of_stderr(rest, answer['run'])
    except ValueError as error:
        answer['fault'] = str(error)
    return answer


def fault_of_stderr(lines, run):
    if lines == [f'this is run {run}']:
        return ''
    return f'the stderr of run {run} is {lines}'


def last_line(path):
    """Reads and removes the report of the call that has just ended; {} if it was killed before it had one."""
    try:
        with open(path, encoding='utf-8') as report:
            line = report.read()
        os.unlink(path)
    except OSError:
        return {}
    return json.loads(line) if line else {}


def note_call(writer, call, ended, answer, report):
    plan = {name: call.plan[name] for name in ('id', 'ttl', 'wait', 'stale', 'refresh')}
    writer.note('call', number=call.number, pid=call.process.pid, asked=call.asked, ended=ended,
                status=call.process.returncode, disturbances=call.disturbances, report=report, **plan, **answer)
