#!/usr/bin/env python3
"""A server or a client that is asked to stop in the midst of a long append.

usage: drain_test.py MNEME [TEST...]
"""

import os
import random
import re
import signal
import time

import cli
from cli import INTERRUPTED, UNAVAILABLE, CliTest

SEED = int(os.environ.get('MNEME_SEED', 20240731))
BYTES = int(os.environ.get('MNEME_DRAIN_BYTES', 3_000_000))
WAIT_SECONDS = 60


class Drain(CliTest):

    def setUp(self):
        super().setUp()
        self.path = self.write('big.txt', cli.sentences(random.Random(SEED), BYTES))

    def begin_append(self):
        """Returns an append that has come some parts far."""
        append = cli.begin(self.server, 'append', 's', self.path)
        deadline = time.monotonic() + WAIT_SECONDS
        while not self.seq_next('s'):
            self.assertLess(time.monotonic(), deadline, 'the append did not begin')
            self.assertIsNone(append.poll(), 'the append ended too soon')
            time.sleep(0.01)
        return append

    def resume(self, at_least):
        """Appends the same file again: all of it is there once."""
        done = self.ok('append', 's', self.path, '-o', 'json').json()['inputs'][0]
        self.assertGreaterEqual(done['replayed'], at_least)
        self.assertLess(done['replayed'], done['entries'])
        self.assertEqual(self.entries('s'), done['entries'])
        self.assert_clean('s')
        whole = self.ok('append', 'whole', self.path, '-o', 'json').json()['inputs'][0]
        self.assertEqual(whole['entries'], done['entries'])
        self.assertEqual(self.seq_next('s'), self.seq_next('whole'))

    def test_a_stopped_server_keeps_what_it_acknowledged(self):
        append = self.begin_append()
        self.server.process.send_signal(signal.SIGTERM)
        code = self.server.process.wait(WAIT_SECONDS)
        self.assertEqual(code, 0, self.server.log())
        done = cli.end(append)
        self.assertEqual(done.code, UNAVAILABLE, done.err)
        # It says where it stopped: whatever is before was acknowledged.
        first_missing = int(re.search(r'text from byte (\d+)', done.err).group(1))
        self.assertGreater(first_missing, 0)
        self.server.start()
        entries = self.entries('s')
        self.assert_clean('s')
        found = self.ok('recall', 's', 'bacorfen', '-k', '1000', '-o', 'json').json()
        self.assertTrue(found['passages'])
        # Parts are 32 to 64 KiB.
        self.assertGreaterEqual(entries, first_missing // (64 << 10))
        begins = {int(passage['source_span']['begin']) - int(passage['span']['begin'])
                  for passage in found['passages']}
        self.assertLessEqual(max(begins), first_missing)
        self.resume(entries)

    def test_an_interrupted_append_says_how_to_resume(self):
        append = self.begin_append()
        append.send_signal(signal.SIGINT)
        done = cli.end(append)
        self.assertEqual(done.code, INTERRUPTED, done.err)
        stopped, total = map(int, re.search(r'stopped after (\d+) of (\d+) bytes',
                                            done.err).groups())
        self.assertEqual(total, os.path.getsize(self.path))
        self.assertLess(stopped, total)
        self.assertIn('the same command resumes', done.err)
        # What it calls remembered is what is there: nothing more is under way.
        entries = self.entries('s')
        self.assert_clean('s')
        self.resume(entries)

    def test_an_idle_server_stops_at_once(self):
        self.assert_serves()
        start = time.monotonic()
        self.server.process.send_signal(signal.SIGINT)
        self.assertEqual(self.server.process.wait(WAIT_SECONDS), 0, self.server.log())
        self.assertLess(time.monotonic() - start, 5)
        self.server.start()
        self.assert_serves()


if __name__ == '__main__':
    cli.run()
