"""The summary of a history, as a table."""
import collections

from facts import ATTEMPTS, GRACE, Facts


def waited(facts, call):
    """How long it took, without its own run."""
    return call.ended - call.asked - facts.time_run(facts.runs_by(call))


def rows(history, explained):
    facts = Facts(history)
    calls = [call for call in history.calls.values() if call.ended is not None]
    by_outcome = collections.Counter(call.outcome() for call in calls)
    whole = [call for call in calls if not call.disturbances]
    yield 'calls', len(history.calls)
    for name, outcome in (('hits', 'hit'), ('waits', 'waited'), ('misses', 'miss'), ('stale', 'stale'),
                          ('timed out', 'timeout'), ('uncached', 'bypass'), ('interrupted', 'interrupted')):
        yield name, by_outcome[outcome]
    yield 'runs', len(history.runs)
    yield 'store errors', sum(1 for call in calls if call.report.get('store_error'))
    for what in ('kill', 'stop', 'term'):
        yield f'calls hit by {what}', sum(1 for call in calls for each in call.disturbances if each.what == what)
    yield 'faults of the store', len(history.faults)
    for what in ('overlap', 'repeat'):
        reasons = {reason: count for (kind, reason), count in sorted(explained.items()) if kind == what}
        in_words = ', '.join(f'{count} {reason}' for reason, count in reasons.items())
        yield f'{what}s explained', f'{sum(reasons.values())}' + (f' ({in_words})' if in_words else '')
    yield 'longest call', f'{max((call.ended - call.asked for call in whole), default=0):.2f} s'
    yield 'longest wait', f'{max((waited(facts, call) for call in whole), default=0):.2f} s'
    yield 'nearest to its bound', nearest(facts, calls)
    lease, timeout = history.settings.lease, history.settings.store_timeout
    yield 'bound', (f'{facts.bound():.2f} s (run {facts.longest_run:.2f} + 1.5 x lease {lease:g} + {GRACE:g})'
                    ', the same again for each holder that is lost')
    yield 'and for each fault', (f'{facts.bound(faults=1) - facts.bound():.2f} s (run'
                                 f' + {ATTEMPTS} x store timeout {timeout:g})')


def nearest(facts, calls):
    shares = [((call.ended - call.asked) / facts.bound_of(call), call) for call in calls]
    share, call = max(shares, key=lambda each: each[0], default=(0, None))
    return f'{share:.0%} ({call.ended - call.asked:.2f} of {facts.bound_of(call):.2f} s)' if call else '-'


def table(history, explained):
    return '\n'.join(f'{name:<24}{value}' for name, value in rows(history, explained))
