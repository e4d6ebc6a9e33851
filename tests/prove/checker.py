"""Compares the history of a load with what memolock promises. Each rule yields its violations, as text."""
import collections

from explanation import explain
from facts import GRACE, Facts, time_stopped

# Times are recorded slightly before or after the events.
TOLERANCE = 0.05


def shown(call):
    said = f' {call.messages[-1:]}' if call.messages else ''
    return f'call {call.number} of {call.id} ({call.outcome()}, {call.asked:.3f} to {call.ended or 0:.3f}){said}'


def answers(facts):
    """Each answer is exactly one complete value of a run of that id, has its status, and is not too old."""
    for call in facts.history.calls.values():
        if call.ended is None or any(each.what != 'stop' for each in call.disturbances):
            continue
        fault = fault_of_answer(facts, call)
        if fault:
            yield f'{shown(call)}: {fault}'


def fault_of_answer(facts, call):
    own = facts.runs_by(call)
    if len(own) > 1:
        return f'it ran the command {len(own)} times'
    if call.status == 124 and call.wait is not None and call.empty and not own:
        return None
    if call.fault:
        return f'{call.fault}; its status is {call.status}'
    run = facts.history.runs.get(call.run)
    if run is None or run.id != call.id:
        return f'it got the output of run {call.run}, which is none of this id'
    if own and run is not own[0]:
        return f'it ran {own[0].number}, and got the output of run {run.number}'
    if run.ended is None:
        return f'it got the output of run {run.number}, which did not end'
    if run.status != call.status:
        return f'its status is {call.status}, that of run {run.number} is {run.status}'
    return None if own else fault_of_age(facts, call, run)


def fault_of_age(facts, call, run):
    if call.refresh and run.begun < call.asked:
        return f'it wanted a fresh run, and got run {run.number} of {call.asked - run.begun:.3f} s before'
    since_stored = call.asked - facts.stored_by(run)
    if run.status != 0 and since_stored > TOLERANCE:
        return f'it got the failed run {run.number}, which had ended {since_stored:.3f} s before'
    maker = facts.maker(run)
    # A waiter shares a run before it is stored; for other callers the age is counted from the run's end.
    age = since_stored if call.outcome() == 'waited' else max(since_stored, call.asked - facts.noticed_by(run))
    allowed = min(call.ttl, maker.ttl if maker else call.ttl) + call.stale
    if age > allowed + TOLERANCE:
        return f'run {run.number} was {age:.3f} s old, {allowed:.3f} s are allowed'
    return None


def steps_back(facts):
    """No call finds an old result in the store if a newer one was found before and should still be there."""
    for calls in facts.calls.values():
        hits = [call for call in calls
                if call.outcome() in ('hit', 'stale') and call.ended and call.run in facts.history.runs]
        found = {}  # for each run, the first call to end that found it
        for call in sorted(hits, key=lambda call: call.ended):
            found.setdefault(call.run, call)
        for call in hits:
            run = facts.history.runs[call.run]
            for earlier in found.values():
                newer = facts.history.runs[earlier.run]
                if (newer.begun > run.begun and earlier.ended < call.asked and is_kept(facts, newer, call.ended)
                        and not facts.faults_during(run.begun, call.ended)):
                    yield f'{shown(call)}: it found run {run.number} where {earlier.number} had found {newer.number}'
                    break


def is_kept(facts, run, until):
    maker = facts.maker(run)
    return maker and run.ended and until < run.ended + maker.ttl - TOLERANCE


def store_errors(facts):
    """A store does not fail without a fault."""
    for call in facts.history.calls.values():
        if call.has_store_error() and not may_fail(facts, call):
            yield f"{shown(call)}: {call.report.get('store_error', 'it went without the store')}"


def may_fail(facts, call):
    """Whether the store had a fault. A call that gives up on a late answer for --wait reports an error too."""
    ended = call.ended or call.asked
    return facts.faults_during(call.asked, ended) or (call.wait is not None and facts.is_late(call.asked, ended))


def collisions(facts):
    """The overlaps and the repeats: the kind, the earlier run, the later run."""
    for runs in facts.runs.values():
        for at, second in enumerate(runs):
            for first in runs[:at]:
                if facts.over_by(first) > second.begun:
                    yield 'overlap', first, second
            before = [run for run in runs[:at] if run.ended and run.ended < second.begun and run.status == 0]
            last = max(before, key=lambda run: run.ended, default=None)
            if last and is_repeat(facts, last, second):
                yield 'repeat', last, second


def is_repeat(facts, first, second):
    """Whether the result of the first run was fresh for the caller that started the second."""
    makers = [facts.maker(first), facts.maker(second)]
    if None in makers:
        return False
    # A call with --refresh uses any run that acquired the lock after the server reported its time to the call.
    began = first.begun - time_stopped(makers[0].disturbances)
    if makers[1].refresh and (began < makers[1].asked + GRACE
                              or facts.faults_during(makers[1].asked, second.begun)):
        return False
    return second.begun < first.ended + min(maker.ttl for maker in makers) - TOLERANCE


def runs(facts, explained):
    """No two runs of an id overlap, and none repeats a fresh result, unless the history explains it."""
    for what, first, second in collisions(facts):
        reason = explain(facts, first, second) if facts.settings.faults else None
        if reason:
            explained[what, reason] += 1
        else:
            yield (f'{what}: run {first.number} of {first.id}, {first.begun:.3f} to {first.ended or 0:.3f}, '
                   f'and run {second.number} at {second.begun:.3f}')


def ends(facts):
    """Each run that started has ended, unless it was killed."""
    for run in facts.history.runs.values():
        maker = facts.maker(run)
        if run.ended is None and maker and not any(each.what != 'stop' for each in maker.disturbances):
            yield f'run {run.number} of {run.id} has begun, and not ended'


def bounds(facts):
    """Each call has ended, and in time."""
    for call in facts.history.calls.values():
        what = shown(call)
        if call.ended is None:
            yield f'{what} has not ended'
            continue
        took, bound = call.ended - call.asked, facts.bound_of(call)
        if took > bound:
            yield f'{what} took {took:.3f} s, {bound:.3f} s are allowed'
        elif not facts.settings.faults and passed_over(facts, call):
            yield f'{what} waited on though {passed_over(facts, call)} had ended'


def passed_over(facts, call):
    """The runs whose result it could have got long before; it was not woken."""
    own = facts.runs_by(call)
    until = own[0].begun if own else call.ended
    usable = [run for run in facts.runs.get(call.id, []) if run not in own and run.ended
              and call.asked < (run.begun if call.refresh else run.ended or 0)]
    for many, patience in ((1, 2 * GRACE), (2, GRACE)):
        ended = [run.number for run in usable if facts.stored_by(run) < until - patience]
        if len(ended) >= many:
            return ' and '.join(ended)
    return None


def left_behind(facts):
    for what in facts.history.left:
        yield f'left behind: {what}'


def check(history):
    """The violations, as text, and the number of explained collisions by (kind, reason)."""
    facts = Facts(history)
    explained = collections.Counter()
    wrong = [*answers(facts), *steps_back(facts), *store_errors(facts), *runs(facts, explained), *ends(facts),
             *bounds(facts), *left_behind(facts)]
    if not history.calls:
        wrong.append('no call was made')
    return wrong, explained
