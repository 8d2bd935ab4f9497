#!/usr/bin/env python3
"""A transformer that keeps its keys and values in Mneme, and its perplexity.

usage: perplexity.py MNEME [TEXT] [--length N] [--sequences N] [--markdown]

starts a server and reads sequences of TEXT (GPL-3 of /usr/share/common-licenses
when absent) with a small model, by several methods, each with the attention of
NumPy alone and through Mneme. Prints the perplexity a byte by the position in
the sequence. Exits with 1 when the two ways disagree, or when a method does not
do what it was published for; with 77 when there is no such text.
"""

import argparse
import pathlib
import sys
import time
import traceback

import grpc
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / 'python')]
from attention import LocalMemory, rope, yarn  # noqa: E402
from model import Model, losses  # noqa: E402
from serve import Server  # noqa: E402
from session_memory import SessionMemory  # noqa: E402
from wire import Wire  # noqa: E402

DEFAULT_TEXT = pathlib.Path('/usr/share/common-licenses/GPL-3')
BUCKETS = (0, 256, 512, 1024, 2048, 4096, 8192, 16384)
CHUNK = 64
SINKS = 4
# In nats, of any byte's loss with and without Mneme: no perplexity differs by
# more than 0.5 %. Both ways are float32 and differ by rounding, by some 1e-4.
AGREEMENT = 0.005
# Beyond the trained length, how many times the perplexity of the window alone.
EXPLODED = 4  # At least; 6 to 18 was seen.
EXTENDED = 3  # At most; 1.1 to 2.1 was seen.
STREAMED = 1.25  # At most; 1 was seen.


class Method:
    """A way to read a long text with a model that was trained on short ones."""

    def __init__(self, name, rotary, profile, sinks=0, window=None):
        self.name = name
        self.rotary = rotary
        self.profile = profile  # What it is in Mneme, but for the geometry.
        self.sinks = sinks  # What it is in NumPy.
        self.window = window


def methods(model, length):
    """The chunk that is read belongs to the window, and with it no distance is
    above the trained length."""
    trained = model.trained_length
    window = trained - CHUNK
    rest = window - SINKS
    factor = length / trained
    plain = rope(model.theta, model.head_dim)
    extended = yarn(model.theta, model.head_dim, factor, trained)
    plain_wire = {'family': 'POSITION_FAMILY_ROPE', 'theta': model.theta}
    extended_wire = {
        'family': 'POSITION_FAMILY_YARN', 'theta': model.theta,
        'yarn': {'factor': factor, 'original_length': trained}}
    ranks = {'policy': 'POSITION_POLICY_CACHE_RANK'}
    return {
        'rope': Method(
            'everything, RoPE', plain,
            {'position': plain_wire, 'window': {'tokens': window}, 'knn': {}}),
        'yarn': Method(
            f'everything, YaRN x{factor:g}', extended,
            {'position': extended_wire, 'window': {'tokens': window},
             'knn': {}}),
        'window': Method(
            f'window of {window}', plain,
            {'position': plain_wire, 'window': {'tokens': window}},
            window=window),
        'streaming': Method(
            f'StreamingLLM, {SINKS} sinks and {rest}', plain,
            {'position': plain_wire,
             'sink': {'tokens': SINKS, 'positions': ranks},
             'window': {'tokens': rest, 'positions': ranks}},
            sinks=SINKS, window=rest),
    }


def cut(text, length, count):
    """`count` sequences, evenly from all of the text; one byte more than
    `length`, which is only predicted."""
    starts = np.linspace(0, len(text) - length - 1, count).astype(int)
    return [text[start:start + length + 1] for start in starts]


def measure(model, wire, sequences, wanted):
    """{(key, 'NumPy' or 'Mneme'): losses [sequences, length]}."""
    geometry = {'layers': model.layers, 'query_heads': model.query_heads,
                'kv_heads': model.kv_heads, 'key_dim': model.head_dim,
                'data_type': 'DATA_TYPE_FLOAT32'}
    found = {}
    for key, method in wanted.items():
        found[key, 'NumPy'] = np.stack([
            losses(model, sequence,
                   LocalMemory(method.rotary, method.sinks, method.window),
                   CHUNK)
            for sequence in sequences])
        found[key, 'Mneme'] = np.stack([
            losses(model, sequence,
                   SessionMemory(wire, f'namespaces/{key}/sessions/{number}',
                                 method.rotary, {**geometry, **method.profile}),
                   CHUNK)
            for number, sequence in enumerate(sequences)])
    return found


def perplexities(found, borders):
    """Of losses, by bucket."""
    return [float(np.exp(found[:, begin:end].mean()))
            for begin, end in zip(borders, borders[1:])]


def table(wanted, found, borders, markdown):
    names = [f'[{begin}, {end})' for begin, end in zip(borders, borders[1:])]
    rows = [['method', 'attention by', *names]]
    for (key, way), loss in found.items():
        numbers = perplexities(loss, borders)
        rows.append([wanted[key].name, way, *(f'{n:.3f}' for n in numbers)])
    if markdown:
        rows.insert(1, ['---', '---', *('---:' for _ in names)])
        return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)
    widths = [max(map(len, column)) for column in zip(*rows)]
    return '\n'.join(
        '  '.join(cell.ljust(width) if column < 2 else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(row, widths)))
        for row in rows)


def check(found, borders):
    """What every run must show; returns the largest difference of a loss."""
    apart = 0
    for (key, way), loss in found.items():
        expect(np.isfinite(loss).all(), f'{key} by {way} is finite')
        difference = np.abs(loss - found[key, 'NumPy']).max()
        expect(difference <= AGREEMENT,
               f'{key}: no loss differs by more than {AGREEMENT}, the largest '
               f'difference is {difference:.2g}')
        apart = max(apart, difference)
    rope_, yarn_, window, streaming = (
        perplexities(found[key, 'Mneme'], borders)
        for key in ('rope', 'yarn', 'window', 'streaming'))
    for bucket, begin in enumerate(borders[1:-1], 1):
        expect(rope_[bucket] >= EXPLODED * window[bucket],
               f'RoPE explodes from {begin}')
        expect(yarn_[bucket] <= EXTENDED * window[bucket],
               f'YaRN does not explode from {begin}')
        expect(streaming[bucket] <= STREAMED * window[bucket],
               f'StreamingLLM is as good as its window from {begin}')
    return apart


def expect(condition, what):
    if not condition:
        raise AssertionError(f'not so: {what}')


def main():
    parser = argparse.ArgumentParser(
        usage=__doc__.split('usage: ')[1].split('\n\n')[0])
    parser.add_argument('mneme', type=pathlib.Path)
    parser.add_argument('text', nargs='?', type=pathlib.Path,
                        default=DEFAULT_TEXT)
    parser.add_argument('--length', type=int, default=1024)
    parser.add_argument('--sequences', type=int, default=4)
    parser.add_argument('--markdown', action='store_true')
    arguments = parser.parse_args()
    if not arguments.text.exists():
        print(f'model: SKIPPED, there is no {arguments.text}')
        return 77
    text = arguments.text.read_bytes()
    if not 512 <= arguments.length <= BUCKETS[-1]:
        parser.error(f'--length must be 512 to {BUCKETS[-1]}')
    if arguments.sequences < 1:
        parser.error('--sequences must be at least 1')
    if len(text) <= arguments.length:
        parser.error(f'{arguments.text} has only {len(text)} bytes')

    model = Model(HERE / 'weights.npz')
    wanted = methods(model, arguments.length)
    borders = [b for b in BUCKETS if b < arguments.length] + [arguments.length]
    sequences = cut(text, arguments.length, arguments.sequences)
    started = time.monotonic()
    try:
        with Server(arguments.mneme) as server:
            with grpc.insecure_channel(server.address) as channel:
                found = measure(model, Wire(channel), sequences, wanted)
        print(f'Perplexity a byte of {arguments.text.name}, '
              f'{arguments.sequences} x {arguments.length} bytes, by position; '
              f'trained at {model.trained_length}:\n')
        print(table(wanted, found, borders, arguments.markdown), flush=True)
        apart = check(found, borders)
    except (AssertionError, grpc.RpcError, RuntimeError):
        traceback.print_exc()
        return 1
    print(f'\nmodel: ok, no loss differs by more than {apart:.1e}, '
          f'{time.monotonic() - started:.0f} s')
    return 0


if __name__ == '__main__':
    sys.exit(main())
