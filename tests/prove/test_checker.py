"""The checker finds each fault in small constructed histories, and nothing in correct ones."""
import unittest

import value
from checker import check
from history import Call, Disturbance, History, Run, Settings

LEASE = 3


class Story:
    """Builds a history of one id, `x`."""

    def __init__(self, faults=False, lease=LEASE):
        self.history = History(Settings(lease=lease, store_timeout=1, faults=faults))

    def run(self, number, begun, ended, status=0, **options):
        """Adds a run, and the call that started it, from 0.1 s before the run until 0.1 s after it."""
        run = Run(f'{number}.1', 'x', number, number, begun, ended, status if ended else None)
        self.history.runs[run.number] = run
        options = {'run': run.number, 'status': status, 'report': {'outcome': 'miss'}, **options}
        end = options.pop('call_ended', (ended or begun) + 0.1)
        return self.call(number, begun - 0.1, end, **options)

    def call(self, number, asked, ended, run=None, status=0, **options):
        report = options.pop('report', {'outcome': 'hit'})
        call = Call(number, options.pop('id', 'x'), number, asked, ended, status, options.pop('ttl', 1), run=run,
                    report=report, **options)
        self.history.calls[number] = call
        return call

    def fault(self, what, begun, ended):
        self.history.faults.append(Disturbance(what, begun, ended))

    def wrong(self):
        return check(self.history)[0]

    def explained(self):
        return dict(check(self.history)[1])


class CheckerTest(unittest.TestCase):
    def finds(self, story, *parts):
        wrong = story.wrong()
        self.assertEqual(len(wrong), len(parts), wrong)
        for text, part in zip(wrong, parts):
            self.assertIn(part, text)

    def one_run(self, **options):
        story = Story(**options)
        story.run(1, 10, 10.5)
        return story

    # ---- correct histories ----

    def test_a_run_a_wait_a_hit_and_a_run_when_that_is_old(self):
        story = self.one_run()
        story.call(2, 10.2, 10.55, '1.1')
        story.call(3, 11.4, 11.41, '1.1')
        story.run(4, 11.8, 12)
        self.finds(story)

    def test_a_failed_run_that_is_shared_and_not_kept(self):
        story = Story()
        story.run(1, 10, 10.5, status=3)
        story.call(2, 10.2, 10.55, '1.1', status=3)
        story.run(3, 10.7, 11)
        self.finds(story)

    def test_a_wait_that_is_over(self):
        story = self.one_run()
        story.call(2, 10.2, 10.4, None, status=124, wait=0.2, empty=True, fault='0 bytes')
        self.finds(story)

    def test_an_old_answer_that_was_asked_for(self):
        story = self.one_run()
        story.call(2, 12.4, 12.41, '1.1', stale=1)
        self.finds(story)

    # ---- answers ----

    def test_torn_output(self):
        story = self.one_run()
        story.call(2, 10.7, 10.71, '1.1', fault='12 bytes in place of 100')
        self.finds(story, 'in place of')

    def test_no_output(self):
        story = self.one_run()
        story.call(2, 10.7, 10.71, None, fault='0 bytes that are no value', empty=True)
        self.finds(story, 'no value')

    def test_no_output_in_place_of_ones_own(self):
        story = Story()
        story.run(1, 10, 10.5, run=None, fault='0 bytes', empty=True)
        self.finds(story, '0 bytes')

    def test_the_output_of_another_id(self):
        story = self.one_run()
        story.call(2, 10.7, 10.71, '1.1', id='y')
        self.finds(story, 'none of this id')

    def test_the_output_of_no_run(self):
        story = self.one_run()
        story.call(2, 10.7, 10.71, '7.7')
        self.finds(story, 'none of this id')

    def test_the_output_of_a_run_that_did_not_end(self):
        story = Story(faults=True)
        story.run(1, 10, None, disturbances=[Disturbance('kill', 10.2)], call_ended=10.2)
        story.call(2, 10.7, 10.71, '1.1')
        self.finds(story, 'did not end')

    def test_another_status(self):
        story = self.one_run()
        story.call(2, 10.7, 10.71, '1.1', status=1)
        self.finds(story, 'its status is 1')

    def test_an_error_of_memolocks_own(self):
        story = self.one_run()
        story.call(2, 10.7, 10.71, None, status=125, fault='0 bytes', empty=True)
        self.finds(story, 'its status is 125')

    def test_the_answer_of_another_run_than_ones_own(self):
        story = self.one_run()
        story.run(2, 11.8, 12.2, run='1.1')
        self.finds(story, 'it ran 2.1')

    def test_a_call_that_runs_twice(self):
        story = self.one_run()
        story.history.runs['1.2'] = Run('1.2', 'x', 1, 1, 10.55, 10.58, 1)
        self.assertIn('it ran the command 2 times', story.wrong()[0])

    def test_an_answer_that_is_too_old(self):
        story = self.one_run()
        story.call(2, 11.9, 11.91, '1.1', ttl=5)
        story.call(3, 11.2, 11.21, '1.1', ttl=0.3)
        story.call(4, 12.9, 12.91, '1.1', stale=1)
        self.finds(story, 's old, 1.0', 's old, 0.3', 's old, 2.0')

    def test_an_answer_that_came_late_to_the_store(self):
        story = Story(faults=True)
        story.run(1, 10, 10.5, call_ended=16, report={'outcome': 'miss', 'store_error': 'no answer'})
        story.fault('outage', 10.4, 15.6)
        story.call(2, 15.5, 15.8, '1.1', report={'outcome': 'waited'})
        story.call(3, 15.9, 15.91, '1.1')
        self.finds(story, 's old')

    def test_a_failure_that_was_kept(self):
        story = Story()
        story.run(1, 10, 10.5, status=3)
        story.call(2, 10.8, 10.81, '1.1', status=3)
        self.finds(story, 'failed run')

    def test_a_result_that_comes_late_since_its_holder_was_killed_while_the_store_was_away(self):
        for fault, parts in (('outage', []), ('delay', ['1.400 s old'])):
            story = Story(faults=True)
            story.run(1, 10, 10.5, disturbances=[Disturbance('kill', 10.55)], call_ended=10.6, report={})
            story.fault(fault, 10.3, 11.9)
            story.call(2, 12, 12.2, '1.1', report={'outcome': 'waited'})
            self.finds(story, *parts)

    def test_an_old_answer_to_who_wants_a_fresh_one(self):
        story = self.one_run()
        story.call(2, 10.1, 10.55, '1.1', refresh=True)
        self.finds(story, 'wanted a fresh run')

    # ---- runs ----

    def overlap(self, faults=True):
        story = Story(faults)
        story.run(1, 10, 12)
        story.run(2, 11, 13)
        return story

    def test_an_overlap(self):
        self.finds(self.overlap(faults=False), 'overlap')
        self.finds(self.overlap(), 'overlap')

    def test_a_repeat(self):
        story = self.one_run()
        story.run(2, 10.9, 11.2)
        self.finds(story, 'repeat')

    def test_a_repeat_by_who_wants_a_fresh_one(self):
        story = self.one_run()
        story.run(2, 10.9, 11.2, refresh=True)
        self.finds(story)

    def test_a_repeat_when_the_clock_has_been_set(self):
        for lease, at, begun, parts in ((0, 10.7, 10.9, []), (LEASE, 10.7, 10.9, ['repeat']),
                                        (0, 8, 10.9, ['repeat']), (0, 10.2, 10.4, ['overlap'])):
            story = Story(faults=True, lease=lease)
            story.run(1, 10, 10.5)
            story.run(2, begun, 11.2)
            story.fault('jump', at, at)
            self.finds(story, *parts)
        for refresh, parts in ((True, []), (False, ['repeat'])):
            story = Story(faults=True, lease=0)
            story.run(1, 11, 11.5)
            story.run(2, 11.9, 12.2, refresh=refresh).asked = 10.8
            story.fault('jump', 10.9, 10.9)
            story.history.runs['1.1'].begun = 11.45
            self.finds(story, *parts)

    def test_a_run_that_vanishes(self):
        story = Story()
        story.run(1, 10, None, fault='10 bytes')
        self.assertTrue(any('not ended' in text for text in story.wrong()))

    def explained_by(self, reason, change):
        story = self.overlap()
        change(story)
        self.finds(story)
        self.assertEqual({('overlap', reason): 1}, story.explained())

    def test_an_overlap_is_explained_by_what_is_on_record(self):
        def has_store_error(number):
            def change(story):
                story.history.calls[number].report.update(store_error='no answer')
                story.fault('outage', 10.5, 12)
            return change

        def loses_lease(story):
            story.history.calls[1].messages.append('the lease was lost to another holder')
            story.history.calls[1].disturbances.append(Disturbance('stop', 10.9, 11.1))

        def says_so_before_it_is_killed(story):
            call = story.history.calls[2]
            call.report, call.messages = {}, ['running the command without the store']
            call.disturbances.append(Disturbance('kill', 13.1))
            story.fault('outage', 10.5, 12)

        self.explained_by('store error', says_so_before_it_is_killed)
        self.explained_by('store error', has_store_error(1))
        self.explained_by('store error', has_store_error(2))
        self.explained_by('lost lease', loses_lease)
        self.explained_by('failover', lambda story: story.fault('failover', 10.5, 12))
        self.explained_by('emptied store', lambda story: story.fault('emptied', 10.5, 10.5))

    def test_an_overlap_is_not_explained_by_what_came_later_or_long_before(self):
        for what, begun, ended in (('failover', 11.5, 12), ('failover', 5, 7), ('emptied', 11.5, 11.5),
                                   ('outage', 10.5, 12), ('move', 10.5, 12), ('delay', 10.5, 12)):
            story = self.overlap()
            story.fault(what, begun, ended)
            self.finds(story, 'overlap')

    def test_one_who_still_is_at_the_old_primary(self):
        for asked, explained in ((9, True), (10.8, False)):
            story = Story(faults=True)
            story.run(1, 10.9, 12)
            story.run(2, 11, 13).asked = asked
            story.fault('failover', 8, 9.5)
            self.assertEqual(explained, story.wrong() == [])

    def test_an_outage_too_short_for_a_lease_to_end(self):
        for begun, ended, explained in ((9.5, 11.5, True), (9.5, 9.9, False), (12.9, 12.9, False)):
            story = Story(faults=True)
            story.run(1, 9.3, 13)
            story.run(2, 12.5, 14)
            story.fault('outage', begun, ended)
            self.assertEqual(explained, story.wrong() == [])

    def test_a_result_that_seemed_older_since_its_holder_learned_the_time_late(self):
        for what, begun, explained in (('delay', 11, True), ('delay', 10.7, False), ('outage', 10.7, True)):
            story = self.one_run(faults=True)
            story.fault(what, 9, 10.2)
            story.run(2, begun, 11.6)
            self.assertEqual({('repeat', 'late answer'): 1} if explained else {}, story.explained())

    def test_a_background_run_whose_store_failed(self):
        for at, explained in ((10.4, True), (14, False)):
            story = Story(faults=True)
            story.run(1, 10, 10.5, report={'outcome': 'stale'}, ttl=2)
            story.history.runs['1.1'].parent = 7
            story.history.calls[1].run = '0.1'
            story.history.runs['0.1'] = Run('0.1', 'x', 0, 0, 8.5, 8.8, 0)
            story.history.calls[0] = Call(0, 'x', 0, 8.4, 8.9, 0, 2, run='0.1', report={'outcome': 'miss'})
            story.history.calls[1].stale = 1
            story.run(2, 11, 11.4, ttl=2)
            story.fault('outage', at, at + 0.3)
            self.assertEqual(explained, not any('repeat: run 1.1' in text for text in story.wrong()))

    def test_a_call_that_never_ends_after_its_run_has(self):
        story = Story(faults=True)
        story.run(1, 10, 10.5, report={}).ended = None
        story.call(2, 10.6, 10.7, '1.1')
        story.fault('outage', 10.2, 10.8)
        self.assertTrue(any('has not ended' in text for text in story.wrong()))

    def test_going_without_the_store_for_no_reason(self):
        story = self.one_run(faults=True)
        story.history.calls[1].messages.append('no answer within 1s; running the command without the store')
        self.finds(story, 'miss')

    def test_a_lease_is_not_lost_for_no_reason(self):
        story = self.overlap()
        story.history.calls[1].messages.append('the lease was lost to another holder')
        self.finds(story, 'overlap')

    def test_a_late_answer_that_is_given_up_for_a_wait(self):
        for what, wait, parts in (('delay', 0.5, []), ('delay', None, ['no answer']), ('move', 0.5, ['no answer'])):
            story = self.one_run()
            story.fault(what, 10.6, 12)
            story.call(2, 10.6, 10.8, '1.1', wait=wait, report={'outcome': 'hit', 'store_error': 'no answer'})
            self.finds(story, *parts)

    def test_a_store_error_for_no_reason(self):
        for what, parts in (('outage', []), ('move', ['no answer']), ('delay', ['no answer'])):
            story = self.one_run(faults=True)
            story.fault(what, 9, 10.7)
            story.call(2, 10.6, 10.8, '1.1', report={'outcome': 'hit', 'store_error': 'no answer'})
            self.finds(story, *parts)

    def test_an_old_result_in_place_of_a_newer_one(self):
        story = Story(faults=True)
        story.run(1, 10, 10.5, call_ended=15, disturbances=[Disturbance('stop', 10.2, 14.9)])
        story.run(2, 13.5, 14)
        story.call(3, 14.3, 14.4, '2.1')
        story.call(4, 14.92, 14.94, '1.1')
        self.finds(story, 'it found run 1.1 where 3 had found 2.1')
        story.call(4, 15.1, 15.2, '1.1')
        self.finds(story)
        story.call(4, 14.92, 14.94, '1.1')
        story.fault('emptied', 14.5, 14.5)
        self.finds(story)

    def test_a_killed_holder(self):
        story = Story(faults=True)
        story.run(1, 10, None, disturbances=[Disturbance('kill', 10.2)], call_ended=10.2)
        story.run(2, 10.1, 10.5)
        self.finds(story)
        self.assertEqual({('overlap', 'killed holder'): 1}, story.explained())

    def test_a_suspended_holder_and_one_that_was_not_so_for_long(self):
        for begun, explained in ((14, True), (11, False)):
            story = Story(faults=True)
            story.run(1, 10, 15, disturbances=[Disturbance('stop', 10.2, 14.5)])
            story.run(2, begun, begun + 0.5)
            self.assertEqual(explained, story.wrong() == [])

    def test_a_lease_that_ends_while_the_store_is_out_of_reach(self):
        for begun, explained in ((13.5, True), (11.5, False)):
            story = Story(faults=True)
            story.run(1, 10, 15)
            story.run(2, begun, begun + 0.5)
            story.fault('outage', 11, 14)
            self.assertEqual(explained, story.wrong() == [])

    # ---- bounds ----

    def test_a_call_without_an_end(self):
        story = self.one_run()
        story.call(2, 10.7, None, None)
        self.finds(story, 'has not ended')

    def test_a_wait_that_takes_too_long(self):
        story = self.one_run(faults=True)
        story.call(2, 10.1, 30, '1.1')
        self.finds(story, 'are allowed')

    def test_a_wait_beyond_its_own_limit(self):
        story = self.one_run(faults=True)
        story.call(2, 10.1, 19.8, '1.1', wait=0.5)
        self.finds(story, 'are allowed')

    def test_a_machine_that_stands_still_lets_it_take_longer(self):
        for long, parts in (9, ['are allowed']), (15, []):
            story = self.one_run(faults=True)
            story.call(2, 10.1, 30, '1.1')
            story.history.stalls += [Disturbance('stall', 9, 11), Disturbance('stall', 12, 12 + long - 0.9)]
            self.finds(story, *parts)

    def test_a_result_is_as_old_as_the_time_at_which_a_stalled_holder_noticed_the_end(self):
        for stalled, parts in (False, ['run 1.1 was 1.3']), (True, []):
            story = Story()
            story.run(1, 10, 10.5, call_ended=15.2)
            story.call(2, 15.3, 15.35, '1.1')
            story.history.stalls += [Disturbance('stall', 10.55, 12)] * stalled
            self.finds(story, *parts)

    def test_a_fault_lets_it_take_longer(self):
        story = self.one_run(faults=True)
        story.call(2, 10.1, 22.5, '1.1')
        self.finds(story, 'are allowed')
        story.fault('outage', 10.2, 18)
        self.finds(story)

    def test_one_who_is_not_woken(self):
        story = Story()
        story.run(1, 10, 10.1, ttl=0.3)
        story.run(2, 10.6, 10.7, ttl=0.3)
        story.run(3, 15.2, 16.2, ttl=0.3)
        story.call(4, 9.8, 16.3, '3.1', ttl=0.3)
        self.finds(story, 'waited on though 1.1 and 2.1 had ended')

    def test_one_who_is_woken_late(self):
        story = self.one_run(lease=5)
        story.call(2, 10.3, 20.7, '1.1')
        self.finds(story, 'waited on though 1.1 had ended')
        story.call(2, 10.3, 20.4, '1.1')
        self.finds(story)

    def test_what_is_left_behind(self):
        story = self.one_run()
        story.history.left.append('a key')
        self.finds(story, 'a key')

    def test_nothing_at_all(self):
        self.finds(Story(), 'no call')


class ValueTest(unittest.TestCase):
    def test_a_value_is_whole(self):
        for length in (0, 1, 100_000):
            self.assertEqual(('7.8', 'x'), value.read(value.make('7.8', 'x', length)))

    def test_one_that_is_not(self):
        whole = value.make('7.8', 'x', 100)
        for bad in (b'', whole[:-1], whole[1:], whole + whole, whole + b'\n', whole.replace(b'7.8 ', b'7.9 ', 1)):
            with self.assertRaises(ValueError):
                value.read(bad)


if __name__ == '__main__':
    unittest.main()
