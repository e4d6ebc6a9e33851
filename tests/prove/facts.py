"""Facts derived from a history: when the result of a run was stored, how long a call can take."""
import math

from history import COSTLESS, HARMLESS

# How much later than expected something can happen because the machine is busy, or a process stands still for some
# seconds.
GRACE = 5
# After this time a background run that was killed is over.
KILLED_WITHIN = 2.5
# How long it can take until memolock notices the end of its command, also if it stands still.
NOTICED = 3.5
# How many times in a row a call can wait for a server in vain: the look-up, the lock, the watch, and the last
# attempt to reconnect.
ATTEMPTS = 4


def time_stalled(stalls, begun, ended):
    return sum(max(0, min(each.ended, ended) - max(each.begun, begun)) for each in stalls)


def time_stopped(events):
    return sum(each.ended - each.begun for each in events if each.what == 'stop' and each.ended)


class Facts:
    def __init__(self, history):
        self.history = history
        self.settings = history.settings
        self.longest_run = max((run.ended - run.begun for run in history.runs.values() if run.ended), default=0)
        self.runs = {name: history.runs_of(name) for name in history.ids()}
        self.calls = {name: [] for name in self.runs}
        for call in history.calls.values():
            self.calls.setdefault(call.id, []).append(call)
        self.disturbances = {name: [each for call in calls for each in call.disturbances]
                             for name, calls in self.calls.items()}

    def maker(self, run):
        """The call that started the run; None if it was not recorded."""
        return self.history.calls.get(run.call)

    def is_background(self, run):
        maker = self.maker(run)
        return maker is None or run.parent != maker.pid

    def runs_by(self, call):
        """The runs that it has started itself: one, or none. Without background runs."""
        return [run for run in self.runs.get(call.id, [])
                if run.call == call.number and not self.is_background(run)]

    def stored_by(self, run):
        """The latest time at which its result can have been stored."""
        if run.ended is None:
            return -math.inf
        if self.is_background(run):
            return run.ended + GRACE + (self.store_patience() if self.settings.faults else 0)
        maker = self.maker(run)
        late = []
        if maker.has_store_error() or not maker.report:  # the request could still be on its way
            late = [each.ended + self.settings.lease for each in self.faults_during(run.ended, maker.ended or math.inf)]
        return max([run.ended, maker.ended or math.inf, *late])

    def noticed_by(self, run):
        """The latest time at which memolock noticed the end of its command; it cannot while it is suspended or the
        machine is stalled."""
        disturbances = self.maker(run).disturbances if self.maker(run) else []
        stops = [each.ended for each in disturbances if each.ended and each.begun < run.ended + NOTICED]
        noticed = max([run.ended, *stops]) + NOTICED
        return noticed + time_stalled(self.history.stalls, run.ended, noticed)

    def over_by(self, run):
        """When it had ended or was killed."""
        if run.ended is not None:
            return run.ended
        maker = self.maker(run)
        ends = [each.begun for each in maker.disturbances if each.what != 'stop'] if maker else []
        return min(ends, default=math.inf) if not self.is_background(run) else run.begun + KILLED_WITHIN

    def time_run(self, runs):
        return sum(self.over_by(run) - run.begun for run in runs)

    def faults_during(self, begun, ended):
        """The harmful faults of the store at that time, or shortly before."""
        return [each for each in self.history.faults
                if each.what not in HARMLESS and each.begun < ended and each.ended + GRACE > begun]

    def is_late(self, begun, ended):
        """Whether replies were delayed at that time, or shortly before."""
        return any(each.what == 'delay' and each.begun < ended and each.ended + GRACE > begun
                   for each in self.history.faults)

    def store_patience(self):
        return 1.5 * self.settings.lease + ATTEMPTS * self.settings.store_timeout

    def bound(self, lost=0, faults=0):
        """How long a call can take while this many holders are lost and the store has this many faults."""
        run = self.longest_run
        return ((1 + lost) * (run + 1.5 * self.settings.lease)
                + faults * (run + ATTEMPTS * self.settings.store_timeout) + GRACE)

    def bound_of(self, call):
        since = call.asked - self.settings.lease
        faults = [each for each in self.history.faults
                  if each.what not in COSTLESS and each.begun < call.ended and each.ended > since]
        lost = [each for each in self.disturbances[call.id]
                if each.holder and each.begun < call.ended and (each.ended or each.begun) > since]
        own_stop = time_stopped(call.disturbances) + time_stalled(self.history.stalls, call.asked, call.ended or math.inf)
        limit = self.bound(len(lost), len(faults)) + own_stop
        if not self.settings.lease:
            limit += time_stopped(lost)  # without a lease, no caller acquires the lock of a suspended holder
        if call.refresh and any(each.what == 'jump' and call.asked <= each.begun <= call.ended
                                for each in self.history.faults):
            # All runs then look older than the call, so calls with --refresh run one after the other.
            limit += self.time_run(run for run in self.runs.get(call.id, [])
                                   if call.asked < run.begun < call.ended and self.over_by(run) < math.inf)
        if call.wait is None:
            return limit
        own = self.time_run(self.runs_by(call))
        patience = ATTEMPTS * self.settings.store_timeout
        publishing = self.settings.lease if own and self.settings.faults else 0
        return min(limit, call.wait + own + patience + publishing + own_stop + GRACE)
