#!/usr/bin/env python3
"""Does mneme_golden tell right from wrong? Writes tiny cases by plain formulas,
breaks some, and expects pass, FAIL and skip where they belong. Of CASES, a
directory of cases that pass, it breaks one number of every output.

usage: self_test.py MNEME MNEME_GOLDEN [CASES]
"""

import fnmatch
import json
import math
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from serve import Server  # pylint: disable=wrong-import-position

HEADS, KV_HEADS, DIM, TOKENS, SEGMENT = 2, 1, 4, 7, 3
SEED = int(os.environ.get('MNEME_SEED', '7'))


def flat(value):
    return [x for part in value for x in flat(part)] if isinstance(value, list) else [value]


def shape(value):
    return [len(value), *shape(value[0])] if isinstance(value, list) else []


def write_case(path, tensors, outputs, params, tolerance=None):
    """A case file; tensors are nested lists, integers become I64."""
    header, data = {}, b''
    for name, value in sorted(tensors.items(),
                              key=lambda item: not isinstance(flat(item[1])[0], int)):
        numbers = flat(value)
        integer = isinstance(numbers[0], int)
        begin = len(data)
        data += struct.pack(f'<{len(numbers)}{"q" if integer else "f"}', *numbers)
        header[name] = {'dtype': 'I64' if integer else 'F32', 'shape': shape(value),
                        'data_offsets': [begin, len(data)]}
    header['__metadata__'] = {
        'method': path.parent.name, 'case': path.stem,
        'params': json.dumps(params), 'outputs': json.dumps(outputs),
        'inputs': json.dumps([name for name in tensors if name not in outputs]),
        'tolerance': json.dumps({name: tolerance or {'atol': 2e-5, 'rtol': 1e-5}
                                 for name in outputs})}
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack('<Q', len(text)) + text + data)


def read_header(path):
    """(header, first byte of the data) of a case file."""
    data = path.read_bytes()
    begin = 8 + struct.unpack_from('<Q', data)[0]
    return json.loads(data[8:begin]), begin


def with_a_number_changed(path, output, rng):
    """The bytes of a case in which one number of an output is beyond tolerance."""
    header, begin = read_header(path)
    data, tensor = bytearray(path.read_bytes()), header[output]
    tolerance = json.loads(header['__metadata__']['tolerance'])[output]
    code = {'F32': 'f', 'F64': 'd', 'I64': 'q'}[tensor['dtype']]
    size = struct.calcsize(code)
    first, last = tensor['data_offsets']
    at = begin + first + size * rng.randrange((last - first) // size)
    number = struct.unpack_from('<' + code, data, at)[0]
    if code == 'q':
        number += 1
    else:
        # What is right may itself be off by all that is allowed.
        allowed = tolerance.get('atol', 0) + tolerance.get('rtol', 0) * abs(number)
        number += 4 * allowed or 1e-3 * max(1, abs(number))
    struct.pack_into('<' + code, data, at, number)
    return bytes(data)


def rotate(row, position, interleaved=False):
    """RoPE with theta 10000 (arXiv 2104.09864, eq. 15)."""
    turned, half = list(row), len(row) // 2
    for j in range(half):
        angle = position * 10000 ** (-2 * j / len(row))
        a, b = (2 * j, 2 * j + 1) if interleaved else (j, j + half)
        turned[a] = row[a] * math.cos(angle) - row[b] * math.sin(angle)
        turned[b] = row[a] * math.sin(angle) + row[b] * math.cos(angle)
    return turned


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def softmax_read(query, keys, values):
    """(out, lse) of one row."""
    logits = [dot(query, key) / math.sqrt(DIM) for key in keys]
    top = max(logits)
    weights = [math.exp(logit - top) for logit in logits]
    total = sum(weights)
    return ([dot(weights, column) / total for column in zip(*values)],
            top + math.log(total))


def phi(row):
    """elu(x) + 1 (arXiv 2404.07143, section 2.1.2)."""
    return [x + 1 if x > 0 else math.exp(x) for x in row]


class Cases:
    """The cases, each computed in double from rounded inputs."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.random = random.Random(SEED)

    def numbers(self, *sizes):
        if not sizes:
            value = self.random.gauss(0, 1)
            return struct.unpack('<f', struct.pack('<f', value))[0]
        return [self.numbers(*sizes[1:]) for _ in range(sizes[0])]

    def heads(self):
        return (self.numbers(HEADS, TOKENS, DIM), self.numbers(KV_HEADS, TOKENS, DIM),
                self.numbers(KV_HEADS, TOKENS, DIM))

    def attention(self, case, change=0.0, tolerance=None):
        q, k, v = self.heads()
        out, lse = [], []
        for rows in q:
            reads = [softmax_read(rotate(row, t),
                                  [rotate(key, p) for p, key in enumerate(k[0][:t + 1])],
                                  v[0][:t + 1]) for t, row in enumerate(rows)]
            out.append([read[0] for read in reads])
            lse.append([read[1] for read in reads])
        out[1][3][2] += change
        at = list(range(TOKENS))
        write_case(self.root / 'attention' / f'{case}.safetensors',
                   {'q': q, 'k': k, 'v': v, 'positions_q': at, 'positions_k': at,
                    'out': out, 'lse': lse}, ['out', 'lse'],
                   {'causal': True, 'rope_theta': 10000.0, 'scale': 1 / math.sqrt(DIM)},
                   tolerance)

    def rope(self, case, tolerance=None):
        q, k, _ = self.heads()
        at = [10 * t + 5 for t in range(TOKENS)]
        turned = {name: [[rotate(row, p, interleaved=True)
                          for row, p in zip(rows, at)] for rows in heads]
                  for name, heads in (('q_rot', q), ('k_rot', k))}
        write_case(self.root / 'rope_default' / f'{case}.safetensors',
                   {'q': q, 'k': k, 'positions': at, **turned}, list(turned),
                   {'theta': 10000, 'rotary_dim': DIM, 'convention': 'interleaved'},
                   tolerance)

    def infini(self, case, update='linear', written_tail=False):
        """Eq. 2-6 of arXiv 2404.07143, with a short last segment."""
        q, k, v = self.heads()
        gate = self.numbers(HEADS)
        m = [[0.0] * DIM for _ in range(DIM)]
        z = [0.0] * DIM
        out = [[] for _ in range(HEADS)]
        states, sums = [], []
        for begin in range(0, TOKENS, SEGMENT):
            end = min(begin + SEGMENT, TOKENS)
            for h, t in ((h, t) for h in range(HEADS) for t in range(begin, end)):
                local, _ = softmax_read(
                    rotate(q[h][t], t),
                    [rotate(k[0][p], p) for p in range(begin, t + 1)],
                    v[0][begin:t + 1])
                features = phi(q[h][t])
                memory = ([dot(features, column) / dot(features, z)
                           for column in zip(*m)] if begin else [0.0] * DIM)
                g = 1 / (1 + math.exp(-gate[h]))  # Weight on memory.
                if not begin and not written_tail:
                    g = 0.0
                elif not written_tail:
                    g = 1 - g  # These cases gate the local part.
                out[h].append([g * a + (1 - g) * b for a, b in zip(memory, local)])
            if end - begin < SEGMENT and not written_tail:
                break
            m_new, z_new = m, z
            for t in range(begin, end):
                features = phi(k[0][t])
                known = [0.0] * DIM
                if update == 'delta' and begin:
                    known = [dot(features, column) / dot(features, z)
                             for column in zip(*m)]
                z_new = [a + b for a, b in zip(z_new, features)]
                m_new = [[a + f * (x - y) for a, x, y in zip(row, v[0][t], known)]
                         for row, f in zip(m_new, features)]
            m, z = m_new, z_new
            states.append([m])
            sums.append([z])
        write_case(self.root / 'infini' / f'{case}.safetensors',
                   {'q': q, 'k': k, 'v': v, 'gate': gate, 'out': out,
                    'M': states, 'z': sums}, ['out', 'M', 'z'],
                   {'update': update, 'segment_length': SEGMENT,
                    'scale': 1 / math.sqrt(DIM), 'rope_theta': 10000.0,
                    'rope': 'half_split', 'gqa_memory_map': 'interleave',
                    'gate_on': 'memory' if written_tail else 'local',
                    'first_segment': 'memory_is_zero' if written_tail else 'local_only',
                    'variant': 'beomi' if written_tail else 'lucidrains'})


def smallest_cases(root):
    """(method, output) -> the smallest file that has numbers there; no quirks."""
    quirks = root / 'QUIRKS.txt'
    patterns = [line.split('#')[0].strip() for line in
                (quirks.read_text().splitlines() if quirks.exists() else [])]
    smallest = {}
    for path in sorted(root.glob('*/*.safetensors'),
                       key=lambda path: (path.stat().st_size, path)):
        method = path.parent.name
        if any(fnmatch.fnmatch(f'{method}/{path.stem}', pattern)
               for pattern in patterns):
            continue
        header, _ = read_header(path)
        for output in json.loads(header['__metadata__']['outputs']):
            if not output.endswith('_ref32') and math.prod(header[output]['shape']):
                smallest.setdefault((method, output), path)
    return smallest


class GoldenSelfTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.server = Server(MNEME)
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__, None, None, None)

    def golden(self, root):
        done = subprocess.run([GOLDEN, '--server', self.server.address, root],
                              capture_output=True, text=True, timeout=60, check=False)
        *lines, total = done.stdout.splitlines()
        results = {line.split()[1]: (line.split()[0], line) for line in lines}
        return done.returncode, results, total

    def test_right_cases_pass(self):
        with tempfile.TemporaryDirectory() as root:
            cases = Cases(root)
            cases.attention('right')
            cases.rope('right')
            cases.infini('right')
            cases.infini('delta', update='delta')
            cases.infini('tail_written', written_tail=True)
            code, results, total = self.golden(root)
            self.assertEqual({name: result[0] for name, result in results.items()},
                             dict.fromkeys(('attention/right', 'infini/delta',
                                            'infini/right', 'infini/tail_written',
                                            'rope_default/right'), 'pass'), results)
            self.assertEqual((code, total), (0, '5 passed, 0 failed'))

    def test_wrong_and_broken_cases_fail_with_the_reason(self):
        with tempfile.TemporaryDirectory() as root:
            cases = Cases(root)
            cases.attention('right')
            cases.attention('a_number_changed', change=1e-3)
            cases.rope('not_exact', tolerance={'exact': True})
            cases.rope('no_tolerance', tolerance={'atol': 1})
            whole = (cases.root / 'attention/right.safetensors').read_bytes()
            for name, data in (('cut', whole[:-5]), ('cut_in_header', whole[:40]),
                               ('empty', b''), ('huge_header', b'\xff' * 16)):
                (cases.root / f'attention/{name}.safetensors').write_bytes(data)
            code, results, total = self.golden(root)
            self.assertEqual((code, total), (1, '1 passed, 7 failed'), results)
            for name, (result, line) in results.items():
                passed = name == 'attention/right'
                self.assertEqual(result, 'pass' if passed else 'FAIL', line)
                self.assertEqual(len(line.split()) == 3, passed, line)
            line = results['attention/a_number_changed'][1]
            self.assertIn('out[1,3,2]', line)
            self.assertAlmostEqual(float(line.split()[2]), 1e-3, delta=1e-5)

    def test_quirks_are_skipped_and_what_is_unknown_fails(self):
        with tempfile.TemporaryDirectory() as root:
            cases = Cases(root)
            cases.rope('right')
            cases.attention('odd_number', change=1.0)
            alien = cases.root / 'alien/case.safetensors'
            alien.parent.mkdir()
            alien.write_bytes((cases.root / 'rope_default/right.safetensors').read_bytes())
            (cases.root / 'QUIRKS.txt').write_text('# Not required.\nattention/odd_*\n')
            code, results, total = self.golden(root)
            self.assertEqual((code, total), (1, '1 passed, 1 failed, 1 skipped'))
            self.assertEqual(results['attention/odd_number'][1],
                             'skip attention/odd_number - quirk')
            self.assertEqual(results['alien/case'][1],
                             'FAIL alien/case - unknown method')

    def test_one_wrong_number_in_any_output_of_any_method_fails(self):
        if not CASES or not pathlib.Path(CASES).is_dir():
            print(f'skipped: no cases at {CASES}', flush=True)
            self.skipTest(f'no cases at {CASES}')
        smallest = smallest_cases(pathlib.Path(CASES))
        self.assertTrue(smallest, f'no cases under {CASES}')
        rng = random.Random(SEED)
        with tempfile.TemporaryDirectory() as root:
            for (method, output), path in smallest.items():
                broken = pathlib.Path(root, method, f'{output}.safetensors')
                broken.parent.mkdir(exist_ok=True)
                broken.write_bytes(with_a_number_changed(path, output, rng))
            code, results, total = self.golden(root)
            self.assertEqual((code, total), (1, f'0 passed, {len(smallest)} failed'))
            for method, output in smallest:
                line = results[f'{method}/{output}'][1]
                self.assertRegex(line, fr'^FAIL {method}/{output} \S+ {output}\[')

    def test_a_directory_without_cases_is_an_error(self):
        with tempfile.TemporaryDirectory() as root:
            done = subprocess.run([GOLDEN, '--server', self.server.address, root],
                                  capture_output=True, check=False)
            self.assertEqual(done.returncode, 2)


if __name__ == '__main__':
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    MNEME, GOLDEN, CASES = (*sys.argv[1:], None)[:3]
    print('MNEME_SEED', SEED, flush=True)
    unittest.main(argv=sys.argv[:1])
