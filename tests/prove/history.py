"""The record of a load: a file with one JSON object per line, each written immediately.

All times are of CLOCK_BOOTTIME, in seconds. The events:

settings      the settings of the load: see Settings
begin, end    of a run, written by the command itself
call          of memolock, written by its caller when it has ended; "ended" is null if it never did
fault         a fault of the store begins, for all ids: see FAULTS; "heal" when it ends
left          something that still exists after all calls have ended, and should not
stall         the machine stood still, or had no time for the load: "begun", "ended"
"""
import dataclasses
import json
import os
import time

# outage    the store can be unreachable or refuse requests, but loses nothing
# failover  another server takes over: the last writes can be lost
# emptied   everything is lost
# move      keys move between servers: nothing is lost, and no call fails
# delay     replies are delayed by less than the store's timeout: no call fails, except that one with --wait
#           can give up
# jump      the clock of the machines is set: entries in a directory can seem too old
FAULTS = ('outage', 'failover', 'emptied', 'move', 'delay', 'jump')
# Those without a duration, and those that must not make a call fail.
AT_ONCE = ('emptied', 'jump')
HARMLESS = ('move', 'delay', 'jump')
# Those that must not delay a call.
COSTLESS = ('jump',)


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclasses.dataclass
class Settings:
    lease: float  # 0: a lock lasts as long as its holder
    store_timeout: float
    faults: bool  # whether the test causes faults


@dataclasses.dataclass
class Run:
    number: str
    id: str
    call: int
    parent: int  # the process that started it
    begun: float
    ended: float = None  # None: it was killed
    status: int = None


@dataclasses.dataclass
class Disturbance:
    """A disturbance of a call: kill, term, or stop, which has an end. Or a fault of the store: one of FAULTS."""
    what: str
    begun: float
    ended: float = None
    holder: bool = False  # whether the call held the lock


@dataclasses.dataclass
class Call:
    number: int
    id: str
    pid: int
    asked: float
    ended: float
    status: int  # negative: the signal that killed it
    ttl: float
    run: str = None  # the run whose output it got
    fault: str = ''  # what is wrong with the output
    empty: bool = False  # whether there was no output
    messages: list = dataclasses.field(default_factory=list)  # of memolock
    report: dict = dataclasses.field(default_factory=dict)
    wait: float = None
    stale: float = 0
    refresh: bool = False
    disturbances: list = dataclasses.field(default_factory=list)

    def outcome(self):
        return self.report.get('outcome', 'none')

    def has_store_error(self):
        """A killed call has no report, but can have reported the error in a message."""
        return bool(self.report.get('store_error')) or any(
            'without the store' in line for line in self.messages)


@dataclasses.dataclass
class History:
    settings: Settings
    runs: dict = dataclasses.field(default_factory=dict)
    calls: dict = dataclasses.field(default_factory=dict)
    faults: list = dataclasses.field(default_factory=list)
    left: list = dataclasses.field(default_factory=list)
    stalls: list = dataclasses.field(default_factory=list)

    def runs_of(self, name):
        return sorted((run for run in self.runs.values() if run.id == name), key=lambda run: run.begun)

    def ids(self):
        return sorted({run.id for run in self.runs.values()})


class Writer:
    """Appends events. Several threads can use it."""

    def __init__(self, path):
        self.path = path
        self.descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def note(self, event, **members):
        os.write(self.descriptor, (json.dumps({'event': event, **members}) + '\n').encode())


def call_from(event):
    disturbances = [Disturbance(*each) for each in event.pop('disturbances')]
    for each in disturbances:
        if each.what == 'stop' and each.ended is None:
            each.ended = event['ended']  # when a signal killed the call
    return Call(disturbances=disturbances, **event)


def add(history, event):
    kind = event.pop('event')
    if kind == 'begin':
        run = Run(event['run'], event['id'], event['call'], event['parent'], event['time'])
        history.runs[run.number] = run
    elif kind == 'end':
        run = history.runs[event['run']]
        run.ended, run.status = event['time'], event['status']
    elif kind == 'call':
        history.calls[event['number']] = call_from(event)
    elif kind == 'fault':
        assert event['what'] in FAULTS
        history.faults.append(Disturbance(event['what'], event['time']))
    elif kind == 'heal':
        lasting = [fault for fault in history.faults if fault.ended is None and fault.what not in AT_ONCE]
        lasting[0].ended = event['time']
    elif kind == 'stall':
        history.stalls.append(Disturbance('stall', event['begun'], event['ended']))
    elif kind == 'left':
        history.left.append(event['what'])


def read(path):
    with open(path, encoding='utf-8') as lines:
        events = [json.loads(line) for line in lines]
    settings = next(event for event in events if event['event'] == 'settings')
    settings.pop('event')
    history = History(Settings(**settings))
    for event in events:
        if 'event' in event:
            add(history, event)
    for fault in history.faults:
        fault.ended = fault.ended or (fault.begun if fault.what in AT_ONCE else float('inf'))
    return history
