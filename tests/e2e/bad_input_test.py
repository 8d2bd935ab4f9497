#!/usr/bin/env python3
"""What a person may hand to the command line that is wrong or huge.

usage: bad_input_test.py MNEME [TEST...]

MNEME_LONG_LINE_BYTES (default 8 MB) is the length of the long line.
"""

import json
import os
import pathlib
import random
import resource
import signal
import subprocess
import time

import cli
from cli import NOT_FOUND, OK, REFUSED, UNAVAILABLE, USAGE, CliTest
from serve import Server

LONG_LINE_BYTES = int(os.environ.get('MNEME_LONG_LINE_BYTES', 8_000_000))
DISK_BYTES = 12 << 20
SEED = int(os.environ.get('MNEME_SEED', 20240731))


class BadInput(CliTest):

    def setUp(self):
        super().setUp()
        self.ok('append', 's', '--text', 'The cat sat on the mat.')

    def test_an_empty_text_is_refused(self):
        for text in ('', ' \n '):
            self.assert_refused(['append', 's', '--text', text], USAGE, '--text',
                                'words', reason='INVALID_FIELD', session='s')

    def test_an_empty_or_blank_file_is_refused(self):
        self.assert_refused(['append', 's', self.write('empty.txt', '')], USAGE,
                            'empty.txt', 'is empty', reason='FILE_NOT_TEXT', session='s')
        self.assert_refused(['append', 's', self.write('blank.txt', ' \n\t\n')], USAGE,
                            'blank.txt', 'white space', reason='FILE_NOT_TEXT', session='s')

    def test_invalid_utf8_is_refused_before_anything_is_sent(self):
        # Three parts are good; the fourth has the bad byte.
        good = b'A good sentence. ' * 12_000
        path = self.write('bad.txt', good + b'\xc3\x28' + good)
        for session in ('s', 'new'):
            self.assert_refused(['append', session, path], USAGE, 'bad.txt',
                                f'invalid UTF-8 at byte {len(good)}',
                                reason='FILE_NOT_TEXT', session=session)
        self.assertIsNone(self.seq_next('new'))
        self.assert_refused(['append', 's', '--text', b'caf\xe9'], USAGE,
                            'invalid UTF-8 at byte 3', reason='INVALID_FIELD', session='s')

    def test_one_bad_file_among_good_ones_appends_none(self):
        paths = [self.write('good.txt', 'Good words.'), self.write('nul.bin', b'a\0b')]
        self.assert_refused(['append', 'new', *paths], USAGE, 'nul.bin', session='new')
        self.assertIsNone(self.seq_next('new'))

    def test_a_very_long_line_is_appended_whole_in_bounded_memory(self):
        line = cli.sentences(random.Random(SEED), LONG_LINE_BYTES).replace('.', ',')
        path = self.write('line.txt', line + ' the purple elephant waits at the end')
        append = cli.begin(self.server, 'append', 'long', path)
        done = cli.end(append)
        self.assertEqual(done.code, OK, done.err)
        client_bytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
        if self.server.sanitized():
            self.skipTest('a sanitizer keeps memory of its own')
        # Measured: 3.2 bytes a byte of text here, 5.7 in the server.
        self.assertLess(client_bytes, (128 << 20) + 6 * LONG_LINE_BYTES)
        status = pathlib.Path(f'/proc/{self.server.process.pid}/status').read_text()
        server_bytes = int(status.split('VmHWM:')[1].split()[0]) << 10
        self.assertLess(server_bytes, (256 << 20) + 10 * LONG_LINE_BYTES)
        print(json.dumps({'name': 'long_line', 'bytes': LONG_LINE_BYTES,
                          'client_peak_bytes': client_bytes,
                          'server_peak_bytes': server_bytes}))
        found = self.ok('recall', 'long', 'purple elephant', '-k', '1', '-o', 'json').json()
        self.assertIn('purple elephant waits at the end', found['passages'][0]['text'])
        self.assertEqual(int(found['passages'][0]['source_span']['end']),
                         os.path.getsize(path))
        self.assert_serves()

    def test_a_binary_file_is_refused(self):
        path = self.write('program', pathlib.Path(cli.MNEME).read_bytes()[:100_000])
        self.assert_refused(['append', 's', path], USAGE, 'program', 'not a text file',
                            'NUL at byte', reason='FILE_NOT_TEXT', session='s')

    def test_a_directory_is_refused(self):
        self.assert_refused(['append', 's', str(self.folder)], USAGE, str(self.folder),
                            'is a directory', reason='FILE_IS_DIRECTORY', session='s')

    def test_a_missing_file_is_named(self):
        self.assert_refused(['append', 's', str(self.folder / 'none.txt')], NOT_FOUND,
                            'none.txt', reason='FILE_UNREADABLE', session='s')

    def test_an_unknown_session_is_named(self):
        for command in (['recall', 'nobody', 'cat'], ['show', 'nobody'],
                        ['verify', 'nobody'], ['forget', 'nobody', '--entry', '1'],
                        ['context', 'nobody', 'cat', '--budget', '100']):
            self.assert_refused(command, NOT_FOUND, 'namespaces/default/sessions/nobody',
                                reason='SESSION_NOT_FOUND')

    def test_a_missing_session_is_answered_by_the_nearest_name(self):
        self.ok('append', 'team/diary', '--text', 'A door.')
        for command in (['recall', 'team/dairy', 'door'], ['show', 'team/dairy'],
                        ['fork', 'team/dairy', 'other'], ['verify', 'team/dairy']):
            self.assert_refused(command, NOT_FOUND, 'did you mean "team/diary"?',
                                reason='SESSION_NOT_FOUND')

    def test_a_ttl_of_nothing_is_refused(self):
        self.assert_refused(['ttl', 's', '0s'], USAGE, 'got 0s;', session='s')

    def test_asking_for_nothing_or_for_a_billion_is_refused(self):
        for k in ('0', '1000000000'):
            self.assert_refused(['recall', 's', 'cat', '-k', k], USAGE, k, '1 to 1000',
                                session='s')

    def test_a_budget_of_zero_is_refused(self):
        self.assert_refused(['context', 's', 'cat', '--budget', '0'], USAGE, '0',
                            '1 to 1000000', session='s')

    def test_an_empty_question_is_refused(self):
        self.assert_refused(['recall', 's', ''], USAGE, 'query', session='s')

    def test_a_second_server_on_the_directory_is_refused(self):
        second = subprocess.run(
            [cli.MNEME, 'serve', '--data', str(self.server.data), '--listen', '127.0.0.1:0',
             '--metrics-listen', ''], capture_output=True, text=True, timeout=60,
            check=False)
        self.assertEqual(second.returncode, REFUSED, second.stderr)
        self.assertIn(str(self.server.data), second.stderr)
        self.assertIn('open in another process', second.stderr)
        self.assert_serves()

    def test_a_misspelt_flag_or_key_of_a_server_is_named(self):
        config = self.write('mneme.toml', 'threds = 8\n')
        for flags, words in ((['--lisen', 'x'], ('"--lisen"', '"--listen"')),
                             (['--config', config], ('"threds"', '"threads"', config))):
            done = cli.mneme(self.server, 'serve', *flags)
            self.assertEqual(done.code, USAGE, done.err)
            self.assertTrue(done.err.startswith('mneme serve: unknown '), done.err)
            for word in words:
                self.assertIn(word, done.err)

    def test_a_second_server_on_the_addresses_is_told_the_flags(self):
        first = self.server.address
        for listen, metrics, named in ((first, first, '--listen'),
                                       ('127.0.0.1:0', first, '--metrics-listen')):
            second = subprocess.run(
                [cli.MNEME, 'serve', '--data', str(self.folder / 'second'), '--listen',
                 listen, '--metrics-listen', metrics], capture_output=True, text=True,
                timeout=60, check=False)
            self.assertEqual(second.returncode, REFUSED, second.stderr)
            self.assertIn(first, second.stderr)
            self.assertIn(f'with {named}', second.stderr)
        self.assert_serves()

    def test_a_command_without_a_server_says_so(self):
        self.server.kill()
        done = cli.mneme(self.server, '--timeout', '2', 'show', 's')
        self.assertEqual(done.code, UNAVAILABLE, done.err)
        self.assertIn(self.server.address, done.err)
        self.server.start()
        self.assert_serves()

    def test_a_client_that_is_killed_leaves_whole_parts(self):
        path = self.write('big.txt', cli.sentences(random.Random(SEED), 2_000_000))
        append = cli.begin(self.server, 'append', 'big', path)
        deadline = time.monotonic() + 60
        while not self.seq_next('big') and time.monotonic() < deadline:
            time.sleep(0.01)
        append.send_signal(signal.SIGKILL)
        cli.end(append)
        entries = self.entries('big')
        self.assertGreater(entries, 0)
        self.assert_clean('big')
        again = self.ok('append', 'big', path, '-o', 'json').json()['inputs'][0]
        # One part may have been under way when we counted.
        self.assertIn(again['replayed'] - entries, (0, 1))
        self.assertEqual(self.entries('big'), again['entries'])


class FullDisk(CliTest):

    def fill(self):
        """Appends until it fails; returns how often it succeeded, and how it ended."""
        letters = random.Random(SEED)
        for appended in range(400):
            path = self.write('fill.txt', cli.sentences(letters, 60_000))
            done = cli.mneme(self.server, 'append', 'full', path, '--source',
                             f'fill-{appended}', '-o', 'json')
            if done.code != OK:
                return appended, done
        return self.fail('the disk did not fill up')

    def check_full_disk(self, reasons, make_room):
        """Whatever was acknowledged is there; the rest is refused until there is
        room and the server was started again."""
        appended, done = self.fill()
        self.assertGreater(appended, 0)
        self.assertEqual(done.code, UNAVAILABLE, done.err)
        self.assertIn(done.error()['reason'], reasons)
        self.assertIn('store:', done.error()['message'])
        self.assertEqual(self.entries('full'), appended)
        found = self.ok('recall', 'full', 'bacorfen', '-k', '5', '-o', 'json').json()
        self.assertEqual(len(found['passages']), 5)
        again = cli.mneme(self.server, 'append', 'full', '--text', 'More.', '-o', 'json')
        self.assertEqual(again.code, UNAVAILABLE, again.err)
        self.assertIn('reopen the server', again.error()['message'])
        self.assertEqual(self.entries('full'), appended)

        self.server.stop()
        make_room()
        self.server.start()
        # The append that failed may have reached the log, as one whose answer
        # was lost.
        entries = self.entries('full')
        self.assertIn(entries, (appended, appended + 1))
        self.assert_clean('full')
        self.ok('append', 'full', '--text', 'There is room again.')
        self.assertEqual(self.entries('full'), entries + 1)
        self.assert_serves()

    def use_server(self, *arguments, **keywords):
        self.server.__exit__()
        self.server = Server(*arguments, **keywords)
        self.server.__enter__()
        self.addCleanup(self.server.__exit__)

    def test_a_full_disk_loses_nothing(self):
        mount = self.folder / 'disk'
        mount.mkdir()
        command = ['mount', '-t', 'tmpfs', '-o', f'size={DISK_BYTES}', 'tmpfs', str(mount)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True,
                                               check=False).returncode != 0:
            self.skipTest('no small disk: mounting a tmpfs needs root')
        self.addCleanup(subprocess.run, ['umount', '-l', str(mount)], check=True)
        self.use_server(cli.MNEME, data=mount / 'data')
        self.check_full_disk(('DISK_FULL',), lambda: subprocess.run(
            ['mount', '-o', f'remount,size={8 * DISK_BYTES}', str(mount)], check=True))

    def test_a_file_that_may_not_grow_loses_nothing(self):
        # As with a full disk, but for everyone: the write fails with EFBIG.
        limited = self.folder / 'limited'
        limited.write_text("#!/bin/sh\ntrap '' XFSZ\n"
                           f'ulimit -f {DISK_BYTES // 512}\nexec "{cli.MNEME}" "$@"\n')
        limited.chmod(0o700)
        self.use_server(limited)
        def unlimited():
            self.server.mneme = cli.MNEME
        self.check_full_disk(('STORE_FAILED', 'DISK_FULL'), unlimited)


if __name__ == '__main__':
    cli.run()
