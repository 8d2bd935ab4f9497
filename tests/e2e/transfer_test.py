#!/usr/bin/env python3
"""A session leaves one server and comes back into another.

usage: transfer_test.py MNEME [TEST...]
"""

import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import struct

import cli
from cli import INTERRUPTED, NOT_FOUND, REFUSED, USAGE, CliTest

SEED = int(os.environ.get('MNEME_SEED', 20240731))


def read_safetensors(path):
    """Header and data, by the format's own description."""
    raw = pathlib.Path(path).read_bytes()
    size = struct.unpack('<Q', raw[:8])[0]
    return json.loads(raw[8:8 + size]), raw[8 + size:]


class Transfer(CliTest):

    def tell(self, session, byte_count=60_000):
        letters = random.Random(SEED)
        for name in ('first', 'secret', 'last'):
            path = self.write(f'{name}.txt', cli.sentences(letters, byte_count))
            self.ok('append', session, path, '--source', name)
        self.ok('forget', session, '--source', 'secret')

    def export(self, session):
        out = self.folder / 'out'
        shutil.rmtree(out, ignore_errors=True)
        self.ok('export', session, '--out', str(out))
        return out

    def answers(self, session):
        recalled = self.ok('recall', session, 'bacorfen gihol', '-k', '20', '-o', 'json').json()
        packed = self.ok('context', session, 'lomirke', '--budget', '500').out
        return recalled['passages'], recalled['seq_next'], packed

    def test_text_answers_the_same_and_a_program_can_read_it(self):
        self.tell('s')
        out = self.export('s')
        self.ok('import', str(out), '--session', 'copy')
        self.assertEqual(self.answers('copy'), self.answers('s'))
        self.assert_clean('copy')
        self.server.kill()
        self.server.start()
        self.assertEqual(self.answers('copy'), self.answers('s'))

        end = json.loads((out / 'end.json').read_text())
        for name, facts in end['files'].items():
            data = (out / name).read_bytes()
            self.assertEqual(facts['bytes'], len(data))
            self.assertEqual(facts['sha256'], hashlib.sha256(data).hexdigest())
        lines = (out / 'entries.jsonl').read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        self.assertEqual(len(entries), end['entries'])
        self.assertEqual(sum(entry['seq_count'] for entry in entries), end['tokens'])
        self.assertNotIn('secret', {entry['source'] for entry in entries})
        self.assertEqual(json.loads((out / 'session.json').read_text())['version'], 1)

    def test_tensors_answer_the_same_and_a_program_can_read_them(self):
        tokens, heads, dim = 3000, 2, 16
        numbers = random.Random(SEED)
        self.ok('create', 't', '--profile', 'longllama', '--set', 'layers=1',
                '--set', f'kv_heads={heads}', '--set', f'query_heads={heads}',
                '--set', f'key_dim={dim}', '--set', f'value_dim={dim}',
                '--set', 'data_type=float32')
        size = heads * tokens * dim
        header = json.dumps({
            name: {'dtype': 'F32', 'shape': [1, heads, tokens, dim],
                   'data_offsets': [at * 4 * size, (at + 1) * 4 * size]}
            for at, name in enumerate(('keys', 'values'))}).encode()
        data = struct.pack(f'<{2 * size}f', *(numbers.gauss(0, 1) for _ in range(2 * size)))
        file = self.write('kv.safetensors', struct.pack('<Q', len(header)) + header + data)
        self.ok('append', 't', '--tensors', file)
        out = self.export('t')
        self.ok('import', str(out), '--session', 't2')
        header, raw = read_safetensors(out / 'tokens-000000.safetensors')
        begin, end = header['keys']['data_offsets']
        self.assertEqual(header['keys']['shape'], [1, heads, tokens, dim])
        self.assertEqual(raw[begin:end], data[:4 * size])
        self.assertEqual(header['__metadata__']['seq_first'], '0')

        query = self.write('q.safetensors', struct.pack('<Q', 76) + json.dumps(
            {'q': {'dtype': 'F32', 'shape': [heads, 1, dim],
                   'data_offsets': [0, heads * dim * 4]}}).encode().ljust(76)
            + data[:heads * dim * 4])
        for session in ('t', 't2'):
            self.ok('attend', session, '--in', query, '--out',
                    str(self.folder / f'{session}.safetensors'))
        self.assertEqual((self.folder / 't.safetensors').read_bytes(),
                         (self.folder / 't2.safetensors').read_bytes())

    def test_mistakes_are_named_and_make_nothing(self):
        self.tell('s', 3_000)
        out = self.export('s')
        self.assert_refused(('export', 's', '--out', str(out)), REFUSED, str(out))
        self.assert_refused(('export', 'nobody', '--out', str(self.folder / 'new')), NOT_FOUND)
        self.assertFalse((self.folder / 'new').exists())
        self.assert_refused(('import', str(out), '--session', 's'), REFUSED,
                            reason='SESSION_EXISTS', session='s')
        self.assert_refused(('import', str(self.folder / 'none'), '--session', 'x'), NOT_FOUND)
        with open(out / 'entries.jsonl', 'ab') as file:
            file.write(b'{}\n')
        for dry in ((), ('--dry-run',)):
            self.assert_refused(('import', str(out), '--session', 'x', *dry), USAGE,
                                'entries.jsonl', reason='EXPORT_CHANGED')
        (out / 'end.json').unlink()
        self.assert_refused(('import', str(out), '--session', 'x'), USAGE, 'end.json',
                            reason='EXPORT_INCOMPLETE')
        self.assertIsNone(self.seq_next('x'))

    def test_a_server_that_is_killed_during_an_import_has_all_of_it_or_nothing(self):
        self.tell('s', 1_500_000)
        out = self.export('s')
        before = self.ok('stats', '-o', 'json').json()['server']
        killed = 0
        for delay in range(6):
            process = cli.begin(self.server, 'import', str(out), '--session', 'copy')
            try:
                process.wait(timeout=0.02 + 0.1 * delay)
            except cli.subprocess.TimeoutExpired:
                killed += 1
            self.server.kill()
            done = cli.end(process)
            self.server.start()
            # It may die between the import's last write and the answer.
            if done.code == 0 or self.seq_next('copy') is not None:
                self.assertEqual(self.answers('copy'), self.answers('s'))
                self.assert_clean('copy')
                self.ok('delete', 'copy', '--yes')
                continue
            after = self.ok('stats', '-o', 'json').json()['server']
            self.assertEqual(after['sessions'], before['sessions'])
        self.assertGreater(killed, 0)
        self.ok('import', str(out), '--session', 'copy')
        self.assertEqual(self.answers('copy'), self.answers('s'))
        self.assert_clean('copy')

    def test_ctrl_c_ends_an_import_and_an_export(self):
        self.tell('s', 1_500_000)
        out = self.export('s')
        for arguments in (('import', str(out), '--session', 'copy'),
                          ('export', 's', '--out', str(self.folder / 'half'))):
            process = cli.begin(self.server, *arguments)
            try:
                process.wait(timeout=0.05)
            except cli.subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
            done = cli.end(process)
            if done.code == 0:
                continue  # It was faster.
            self.assertIn(done.code, (INTERRUPTED, -signal.SIGINT), done.err)
        if self.seq_next('copy') is not None:
            self.assert_clean('copy')
        self.assertEqual([path.name for path in self.folder.glob('half.*')], [])


if __name__ == '__main__':
    cli.run()
