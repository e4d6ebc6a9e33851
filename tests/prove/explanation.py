"""Explains why two runs of one id can have overlapped, or one repeated another, during faults."""
import math

from facts import NOTICED, time_stopped

# How long ago a server can have acknowledged a write that its replica does not have.
LAG = 1.0
# How late an answer can be read during a delay, on a busy machine.
DELAY = 0.7
# Times are recorded slightly after the events.
SLACK = 0.5


def explain(facts, first, second):
    """The reason in a word or two; None if nothing in the history explains it. `second` started later."""
    makers = facts.maker(first), facts.maker(second)
    if None in makers:
        return 'unfinished call'  # the load ended before the call
    if any(call.has_store_error() or call.outcome() == 'bypass' for call in makers):
        return 'store error'
    if any(facts.is_background(run) and facts.faults_during(run.begun, (run.ended or run.begun) + NOTICED)
           for run in (first, second)):
        return 'store error'  # that was not reported to a caller
    if any(says_lost(line) for call in makers for line in call.messages) and may_lose_lease(facts, *makers):
        return 'lost lease'
    return (by_late_answer(facts, first, second) or by_disturbance(facts, first, second)
            or by_fault(facts, first, second))


def by_late_answer(facts, first, second):
    """A caller that gets a server's time late assumes an earlier time, and so an earlier end of its run."""
    if not facts.settings.lease or not first.ended or first.ended >= second.begun:
        return None
    makers = facts.maker(first), facts.maker(second)
    during = [each.what for each in facts.history.faults
              if each.begun < first.ended + NOTICED and each.ended + NOTICED > makers[0].asked]
    late = max(DELAY if 'delay' in during else 0,
               facts.settings.store_timeout if {'outage', 'failover'} & set(during) else 0,
               time_stopped(makers[0].disturbances))
    is_so = late and second.begun >= first.ended + min(maker.ttl for maker in makers) - late
    return 'late answer' if is_so else None


def says_lost(line):
    return 'lease was lost' in line or 'lease could not be renewed' in line


def may_lose_lease(facts, *calls):
    """Whether there was also a reason for it."""
    return any(call.disturbances or facts.faults_during(call.asked - facts.settings.lease, call.ended or math.inf)
               for call in calls)


def by_disturbance(facts, first, second):
    over = (facts.noticed_by(first) if first.ended else facts.over_by(first)) + SLACK
    for each in facts.maker(first).disturbances:
        if each.what != 'stop' and each.begun <= over:
            return 'killed holder'
    for call in (facts.maker(first), facts.maker(second)):
        for each in call.disturbances:
            if each.what == 'stop' and has_expired(facts, each.begun, second):
                return 'suspended holder'
    return None


def has_expired(facts, since, second):
    """Whether a lock last renewed before `since` can have expired before the run started."""
    return facts.settings.lease > 0 and second.begun >= since + facts.settings.lease * 2 / 3 - SLACK


def may_repeat_for(facts, jump, first, second):
    """Whether the first result looked old because of it, or older than a call with --refresh."""
    caller = facts.maker(second)
    since = min(first.begun - SLACK, caller.asked) if caller.refresh else first.begun - SLACK
    return first.ended and first.ended < second.begun and since <= jump.begun <= second.begun


def is_long(facts, fault):
    """Whether a lock can expire during it: renewed a third of a lease before, and again a timeout too late."""
    return fault.ended - fault.begun >= facts.settings.lease * 2 / 3 - facts.settings.store_timeout - SLACK


def by_fault(facts, first, second):
    for fault in facts.history.faults:
        if fault.what == 'emptied' and first.begun - SLACK <= fault.begun <= second.begun:
            return 'emptied store'
        if fault.what == 'jump' and not facts.settings.lease and may_repeat_for(facts, fault, first, second):
            return 'set clock'  # a server has its own clock
        if fault.what == 'failover' and second.begun >= fault.begun and is_in_doubt(facts, fault, first, second):
            return 'failover'
        if (fault.what in ('outage', 'failover') and is_long(facts, fault) and has_expired(facts, fault.begun, second)
                and facts.over_by(first) > second.begun
                and first.begun <= fault.ended and second.begun <= fault.ended + facts.settings.lease):
            return 'expired lease'
    return None


def is_in_doubt(facts, fault, first, second):
    """Whether writes of the first can be lost, or one of the callers can still use the old primary."""
    if first.begun <= fault.ended + LAG and facts.stored_by(first) >= fault.begun - LAG:
        return True
    return any(call.asked <= fault.ended + LAG and call.ended >= fault.begun
               for call in (facts.maker(first), facts.maker(second)) if call.ended)
