#!/usr/bin/env python3
"""What an operator does: snapshots that survive being killed, and restores.

usage: operator_test.py MNEME [TEST...]
"""

import os
import pathlib
import random
import shutil
import subprocess
import threading

import cli
from cli import NOT_CLEAN, NOT_FOUND, OK, REFUSED, CliTest

SEED = int(os.environ.get('MNEME_SEED', 20240731))
ROUNDS = 4


class Talker(threading.Thread):
    """Appends numbered entries, each by a process of its own, until stopped."""

    def __init__(self, server):
        super().__init__()
        self.server = server
        self.acknowledged = 0
        self.halt = threading.Event()

    def run(self):
        while not self.halt.is_set():
            text = f'Entry {self.acknowledged} of the long talk.'
            if cli.mneme(self.server, 'append', 'talk', '--text', text).code != OK:
                return  # The server was killed.
            self.acknowledged += 1

    def stop(self):
        self.halt.set()
        self.join()


class Operator(CliTest):

    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.snapshots = pathlib.Path(f'{self.server.data}-snapshots')
        self.targets = 0

    def talk(self):
        talker = Talker(self.server)
        talker.start()
        self.addCleanup(talker.stop)
        return talker

    def restore(self, snapshot):
        """The directory that the snapshot was restored into."""
        self.targets += 1
        target = str(self.folder / f'restored-{self.targets}')
        self.ok('restore', str(snapshot), '--data', target)
        return target

    def assert_restored(self, target, least):
        shown = self.ok('--data', target, 'show', 'talk', '-o', 'json').json()
        self.assertGreaterEqual(int(shown['entries']), least)
        verified = self.ok('--data', target, 'verify', '--all')
        self.assertIn('all clean', verified.out)

    def kill_soon(self, process):
        """kill -9 after up to 0.2 s."""
        try:
            process.wait(self.random.uniform(0, 0.2))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()

    def test_a_snapshot_while_others_write_has_all_that_was_acknowledged(self):
        talker = self.talk()
        while talker.acknowledged < 20:
            pass
        for name in ('one', 'two'):
            acknowledged = talker.acknowledged
            made = self.ok('snapshot', 'create', name, '-o', 'json').json()
            self.assert_restored(self.restore(made['directory']), acknowledged)
        talker.stop()
        listed = self.ok('snapshot', 'list', '-o', 'json').json()['snapshots']
        self.assertEqual([snapshot['name'] for snapshot in listed], ['one', 'two'])
        self.ok('snapshot', 'delete', 'one')
        self.assertFalse((self.snapshots / 'one').exists())

    def test_a_kill_during_a_snapshot_leaves_none_or_a_whole_one(self):
        for number in range(ROUNDS):
            talker = self.talk()
            while talker.acknowledged < 5:
                pass
            acknowledged = talker.acknowledged
            creating = cli.begin(self.server, 'snapshot', 'create', f's{number}')
            try:
                creating.wait(self.random.uniform(0.01, 0.1))
            except subprocess.TimeoutExpired:
                pass
            self.server.kill()
            creating.communicate()
            talker.stop()
            self.server.start()
            self.assert_clean('talk')
            listed = self.ok('snapshot', 'list', '-o', 'json').json()['snapshots']
            for snapshot in listed:
                if snapshot['name'] == f's{number}':
                    self.assert_restored(self.restore(snapshot['directory']), acknowledged)
        # What the kills left is gone after the next one.
        self.ok('snapshot', 'create', 'last')
        self.assertEqual([path.name for path in self.snapshots.glob('.*')], [])

    def test_a_kill_during_a_restore_is_seen_and_a_second_restore_mends_it(self):
        self.ok('append', 'talk', self.write('long.txt', cli.sentences(self.random, 2_000_000)))
        made = self.ok('snapshot', 'create', '-o', 'json').json()
        target = str(self.folder / 'target')
        unfinished = 0
        for _ in range(3 * ROUNDS):
            self.kill_soon(cli.begin(self.server, 'restore', made['directory'],
                                     '--data', target))
            opened = cli.mneme(self.server, '--data', target, 'sessions')
            if 'did not finish' in opened.err:
                self.assertEqual(opened.code, REFUSED, opened.err)
                unfinished += 1
                continue  # The next round restores over it.
            if opened.code == OK and 'talk' in opened.out:
                self.assert_restored(target, 1)
            shutil.rmtree(target, ignore_errors=True)
        if pathlib.Path(target).exists():
            self.ok('restore', made['directory'], '--data', target)
            self.assert_restored(target, 1)
        print(f'{unfinished} restores were caught half done', flush=True)

    def forgotten(self):
        return cli.mneme(self.server, 'verify', '--forgotten', '-o', 'json')

    def test_what_was_forgotten_is_found_until_it_has_left_the_disk(self):
        secret = 'The vault behind the mirror opens with the word xylophonist.'
        self.ok('append', 'talk', self.write('long.txt', cli.sentences(self.random, 200_000)))
        self.ok('append', 'talk', '--text', secret, '--source', 'secret')
        self.ok('snapshot', 'create', 'with-secret')
        self.ok('forget', 'talk', '--source', 'secret')
        while self.forgotten().json()['pending_operations'] != '0':
            pass
        self.ok('compact')
        # The snapshot still has it, and nothing else.
        found = self.forgotten()
        self.assertEqual(found.code, NOT_CLEAN, found.out + found.err)
        report = found.json()
        self.assertTrue(report['clean'], report)
        self.assertGreater(int(report['samples']), 0)
        self.assertEqual([one['snapshot'] for one in report['snapshots']], ['with-secret'])
        self.assertIn('with-secret', self.ok('doctor').out + self.ok('snapshot', 'list').out)
        self.ok('snapshot', 'delete', 'with-secret')
        self.assertIn('clean: none', self.ok('verify', '--forgotten').out)
        for path in self.server.data.rglob('*'):
            if path.is_file():
                self.assertNotIn(secret.encode(), path.read_bytes(), path)
        # A planted remnant is found: the search can fail.
        (self.server.data / 'core').write_bytes(b'x' * 5000 + secret.encode())
        planted = cli.mneme(self.server, 'verify', '--forgotten')
        self.assertEqual(planted.code, NOT_CLEAN)
        self.assertIn('core at byte', planted.out)
        (self.server.data / 'core').unlink()
        self.server.stop()
        offline = self.ok('--data', str(self.server.data), 'verify', '--forgotten')
        self.assertIn('clean: none', offline.out)
        self.server.start()

    def test_no_command_lets_a_second_process_open_the_directory(self):
        self.ok('append', 'talk', '--text', 'Something that is forgotten at once.')
        self.ok('forget', 'talk', '--entry', '1', '--wait')
        for command in (('verify', '--forgotten'), ('verify', '--all'), ('doctor',),
                        ('snapshot', 'create', 'one'), ('snapshot', 'list'), ('compact',),
                        ('export', 'talk', '--out', str(self.folder / 'out')),
                        ('verify', '--forgotten'), ('snapshot', 'delete', 'one')):
            self.ok(*command)
            self.assert_refused(('--data', str(self.server.data), 'sessions'), REFUSED,
                                'open in another process')

    def test_a_short_entry_is_searched_for_too(self):
        self.ok('append', 'talk', '--text', 'I moved to Rome.')
        self.assertIn('nothing to search for', self.ok('verify', '--forgotten').out)
        self.ok('forget', 'talk', '--entry', '1', '--wait')
        self.assertIn('clean: none', self.ok('verify', '--forgotten').out)

    def test_the_doctor_names_what_is_damaged(self):
        self.ok('append', 'talk', '--text', 'All is well that ends well.')
        healthy = self.ok('doctor')
        self.assertNotIn('ERROR', healthy.out)
        busy = cli.mneme(self.server, '--data', str(self.server.data), 'doctor')
        self.assertEqual(busy.code, NOT_CLEAN)
        self.assertIn('open in another process', busy.out)
        self.server.stop()
        alone = cli.mneme(self.server, 'doctor')
        self.assertEqual(alone.code, NOT_CLEAN)
        self.assertIn('no server answers', alone.out)
        self.ok('--data', str(self.server.data), 'compact')
        table = max(self.server.data.glob('*.sst'), key=lambda path: path.stat().st_size)
        content = bytearray(table.read_bytes())
        content[content.index(b'All is well')] ^= 1
        table.write_bytes(content)
        damaged = cli.mneme(self.server, '--data', str(self.server.data), 'doctor')
        self.assertEqual(damaged.code, NOT_CLEAN, damaged.out)
        self.assertIn('ERROR', damaged.out)
        self.assertIn('restore', damaged.out)
        content[content.index(b'll is well') - 1] ^= 1
        table.write_bytes(content)
        self.server.start()

    def test_verifying_no_session_is_not_clean(self):
        done = cli.mneme(self.server, 'verify', '--all', 'nobody')
        self.assertEqual(done.code, NOT_FOUND, done.out)
        self.assertIn('nothing was verified', done.err)

    def test_a_reading_command_makes_no_directory(self):
        missing = str(self.folder / 'missing')
        for command in (['sessions'], ['recall', 's', 'x'], ['verify', 's'],
                        ['snapshot', 'list'], ['compact']):
            done = cli.mneme(self.server, '--data', missing, *command, '-o', 'json')
            self.assertEqual(done.code, NOT_FOUND, done.err)
            self.assertEqual(done.error()['reason'], 'DATA_DIR_MISSING')
            self.assertFalse(os.path.exists(missing))
        self.ok('--data', missing, 'append', 's', '--text', 'Now it is there.')
        self.ok('--data', missing, 'recall', 's', 'there')


if __name__ == '__main__':
    cli.run()
