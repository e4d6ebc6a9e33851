"""Kills, interrupts and suspends calls in progress, and records this with the calls."""
import random
import signal
import threading

from history import now


class Nemesis(threading.Thread):
    def __init__(self, calls, lease, until):
        super().__init__(daemon=True)
        self.calls, self.lease, self.until = calls, lease, until

    def run(self):
        while now() < self.until:
            threading.Event().wait(random.uniform(0.05, 0.4))
            call = self.victim()
            if call:
                random.choice([self.kill, self.term, self.suspend, self.suspend])(call)

    def victim(self):
        """A random call, in half of the cases a holder, since there are more waiters. Each call at most once."""
        calls = [call for call in self.calls.going_on() if not call.disturbances]
        holders = [call for call in calls if call.is_holder()]
        choice = holders if holders and random.random() < 0.5 else calls
        return random.choice(choice) if choice else None

    def kill(self, call):
        self.hit(call, 'kill', signal.SIGKILL)

    def term(self, call):
        self.hit(call, 'term', signal.SIGTERM)

    def suspend(self, call):
        """Suspends it for less or more than a lease."""
        lease = self.lease or 0.6
        length = random.choice([random.uniform(0, lease / 2), random.uniform(lease, lease * 2)])
        record = self.hit(call, 'stop', signal.SIGSTOP)
        threading.Timer(length, self.resume, [call, record]).start()

    @staticmethod
    def resume(call, record):
        record[2] = now()
        if random.random() < 0.5:
            Nemesis.hit(call, 'term', signal.SIGTERM)
        call.process.send_signal(signal.SIGCONT)

    @staticmethod
    def hit(call, what, number):
        record = [what, now(), None, call.is_holder()]
        call.disturbances.append(record)
        call.process.send_signal(number)
        return record
