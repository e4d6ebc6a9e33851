#!/usr/bin/env python3
"""Simulates a Redis server and its network with more waiters than one machine can run.

usage: bench/simulate.py [bench/curves.csv]

A discrete-event simulation: callers on many hosts request one entry within a second, wait for its run, are notified of
its end, and read the entry. The server is a queue that serves one request at a time, with an outgoing network link.
Both have the speeds that ./dev curves measured. Each wait for the network takes one round trip.
"""
import collections
import csv
import dataclasses
import heapq
import random
import sys

HOSTS = 1000
ROUND_TRIP = 0.0005  # seconds
RUN = 30.0  # seconds that the command takes
LEASE = 10.0
CHECKS = 2 * RUN / LEASE / 3  # the lock is renewed every third of a lease; waiters check when it would expire
OVERHEAD = 600  # bytes of a reply in addition to the value
MESSAGE = 80  # bytes of a message in addition to the value


@dataclasses.dataclass
class Speeds:
    request: float  # seconds of the server's time for one request of a caller
    message: float  # the same for one message to one caller
    requests: int  # of a waiting caller, without the checks


def measured(path):
    """The speeds at 500 waiters, where the cost of the run itself is negligible."""
    points = collections.defaultdict(dict)
    with open(path, newline="") as file:
        for series, x, y in csv.reader(file):
            points[series][int(x)] = float(y)
    time = points["redis server time of a caller us"][500] / 1e6
    requests = round(points["redis requests of a caller"][500])
    message = points["redis server time of a message us"][500] / 1e6
    return Speeds(request=time / requests, message=message, requests=requests)


class Server:
    """Serves requests in order of arrival. Replies are sent one after the other."""

    def __init__(self, bandwidth):
        self.bandwidth = bandwidth  # bytes per second
        self.free_at = self.line_free_at = 0.0
        self.busy = 0.0
        self.sent = 0

    def serve(self, at, time, size):
        """When the reply to a request that arrives `at` has been sent."""
        self.free_at = max(self.free_at, at) + time
        self.busy += time
        self.line_free_at = max(self.line_free_at, self.free_at) + size / self.bandwidth
        self.sent += size
        return self.line_free_at


def simulate(waiters, size, bandwidth, speeds):
    """Simulates one run. Returns the values of its row in the table."""
    random.seed(1)
    server = Server(bandwidth)
    slowest = 0.0
    # Before the end of the run: all requests except the last one of each caller, each after the previous reply.
    arrivals = [(random.random(), speeds.requests - 1) for _ in range(waiters)]
    heapq.heapify(arrivals)
    slowest_start = 0.0
    while arrivals:
        at, left = heapq.heappop(arrivals)
        done = server.serve(at, speeds.request, OVERHEAD)
        slowest = max(slowest, done - at)
        if left > 1:
            heapq.heappush(arrivals, (done + ROUND_TRIP, left - 1))
        else:
            slowest_start = max(slowest_start, done)
    gathering = slowest_start
    checks = CHECKS * waiters
    check_load = checks * speeds.request / RUN
    # At the end of the run: the server copies a message for each waiter, which then looks up the entry.
    end = max(RUN, slowest_start)
    server.free_at = server.line_free_at = end
    told = [server.serve(end, speeds.message, size + MESSAGE) for _ in range(waiters)]
    last = 0.0
    for at in told:
        last = max(last, server.serve(at + ROUND_TRIP, speeds.request, size + OVERHEAD))
        slowest = max(slowest, last - at - ROUND_TRIP)
    return gathering, slowest, check_load, last - end, waiters * (size + MESSAGE), server.sent


def main():
    speeds = measured(sys.argv[1] if len(sys.argv) > 1 else "bench/curves.csv")
    print(f"{speeds.requests} requests of each caller, {speeds.request * 1e6:.0f} us of the server's time each;"
          f" {speeds.message * 1e6:.1f} us for a message to one")
    print(f"{'waiters':>8} {'value':>8} {'line':>9} {'all wait':>9} {'slowest answer':>14} {'checks':>7}"
          f" {'last told':>10} {'buffers':>10} {'sent':>10}")
    for waiters in (1000, 10000, 100000):
        for size in (100, 10 << 10, 1 << 20):
            for gbit in (1, 10):
                gathering, slowest, load, lag, buffers, sent = simulate(waiters, size, gbit * 125e6, speeds)
                print(
                    f"{waiters:>8} {size:>8} {gbit:>3} Gbit/s {gathering:>8.2f}s {slowest:>13.2f}s {load:>7.1%}"
                    f" {lag:>9.2f}s {buffers / 2**20:>6.0f} MiB {sent / 2**20:>6.0f} MiB"
                )


if __name__ == "__main__":
    main()
