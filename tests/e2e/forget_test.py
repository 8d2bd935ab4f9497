#!/usr/bin/env python3
"""What a person wants forgotten is gone, and stays gone.

usage: forget_test.py MNEME [TEST...]
"""

import os
import random

import cli
from cli import NOT_FOUND, CliTest

SEED = int(os.environ.get('MNEME_SEED', 20240731))
SECRET = 'The vault opens with the word xylophonist.'


class Forget(CliTest):

    def setUp(self):
        super().setUp()
        letters = random.Random(SEED)
        # Long enough that the secret has left the window, and is sealed.
        before, after = (cli.sentences(letters, 300_000) for _ in range(2))
        self.secret = self.write('secret.txt', f'{SECRET} {cli.sentences(letters, 9_000)}')
        for path in (self.write('before.txt', before), self.secret,
                     self.write('after.txt', after)):
            self.ok('append', 's', path)

    def found(self):
        """Whether anything recalled or packed has the secret."""
        recalled = self.ok('recall', 's', SECRET, '-k', '1000', '-o', 'json').out
        packed = self.ok('context', 's', SECRET, '--budget', '2000').out
        self.assertEqual('xylophonist' in recalled.lower(), 'xylophonist' in packed.lower())
        return 'xylophonist' in recalled.lower()

    def sources(self):
        recalled = self.ok('recall', 's', 'bacorfen', '-k', '1000', '-o', 'json').json()
        return {passage['source'] for passage in recalled['passages']}

    def test_a_forgotten_source_stays_forgotten_until_it_is_told_again(self):
        self.assertTrue(self.found())
        entries, seq = self.entries('s'), self.seq_next('s')
        dry = self.ok('forget', 's', '--source', self.secret, '--dry-run')
        self.assertIn('would forget 1 ', dry.out)
        self.assertTrue(self.found())

        self.ok('forget', 's', '--source', self.secret)
        self.assertFalse(self.found())
        self.assertNotIn(self.secret, self.sources())
        self.assertEqual(self.entries('s'), entries - 1)
        self.assertEqual(self.seq_next('s'), seq)  # The others keep their places.
        self.assert_clean('s')
        again = cli.mneme(self.server, 'forget', 's', '--source', self.secret)
        self.assertEqual(again.code, NOT_FOUND, again.err)
        self.assertIn(self.secret, again.err)

        for restart in (self.server.kill, self.server.stop):
            restart()
            self.server.start()
            self.assertFalse(self.found())
            self.assertEqual(self.entries('s'), entries - 1)
            self.assert_clean('s')

        # Not a repetition of what is gone: it is told anew, and remembered.
        told = self.ok('append', 's', self.secret, '-o', 'json').json()['inputs'][0]
        self.assertEqual(told['replayed'], 0)
        self.assertTrue(self.found())
        self.assertGreater(self.seq_next('s'), seq)
        self.assert_clean('s')

    def test_a_forgotten_entry_takes_nothing_else_along(self):
        top = self.ok('recall', 's', SECRET, '-k', '1', '-o', 'json').json()['passages'][0]
        self.assertIn('xylophonist', top['text'])
        others = self.sources() - {self.secret}
        self.ok('forget', 's', '--entry', str(top['entry']))
        self.assertFalse(self.found())
        self.assertEqual(self.sources(), others)
        self.assert_clean('s')


if __name__ == '__main__':
    cli.run()
