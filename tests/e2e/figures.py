#!/usr/bin/env python3
"""Measures what the README states and prints it as a Markdown table.

usage: figures.py BUILD_DIR SETS_DIR [--score SCORE_PY] [--sets books,locomo]
                  [--rounds 20] [--tokens 65536]

Each set is a folder of SETS_DIR with corpus.jsonl and queries.jsonl. SCORE_PY
scores a run file; its last line is JSON. The crash trial takes the first set.
Run it on a machine that does nothing else.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from serve import Server  # noqa: E402  (found through the path above)


def run(command):
    """Runs a program that must succeed; its output, shown as it comes."""
    print('$', *map(str, command), file=sys.stderr, flush=True)
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE,
                          text=True) as process:
        lines = []
        for line in process.stdout:
            print(line, end='', file=sys.stderr, flush=True)
            lines.append(line)
    if process.returncode != 0:
        sys.exit(f'{command[0]} ended with {process.returncode}')
    return ''.join(lines)


def last_json(text):
    return json.loads(text.strip().splitlines()[-1])


def peak_bytes(pid):
    """What a process held at most in physical memory."""
    status = pathlib.Path(f'/proc/{pid}/status').read_text()
    return int(status.split('VmHWM:')[1].split()[0]) << 10


def first_answer(mneme, server, queries):
    """Asks one question, as the first after a start."""
    query = json.loads(queries.read_text().splitlines()[0])
    sessions = json.loads(subprocess.check_output(
        [mneme, '--server', server.address, 'sessions', 'eval', '-o', 'json']))
    name = sessions['sessions'][0]['name']
    subprocess.check_output([mneme, '--server', server.address, 'recall', name,
                             query['text'], '-o', 'json'])


def measure_set(build, folder, score, scratch):
    mneme = build / 'mneme'
    out = scratch / f'{folder.name}.jsonl'
    with Server(mneme) as server:
        printed = run([build / 'tests' / 'eval' / 'mneme_eval', '--server', server.address,
                       folder, '--out', out])
        appended = re.search(r'([\d.]+) MB in ([\d.]+) s', printed)
        recall = re.search(r'p50 ([\d.]+) ms, p99 ([\d.]+) ms', printed)
        row = {'text': f'{appended[1]} MB', 'append': f'{appended[2]} s',
               'recall p50': f'{recall[1]} ms', 'recall p99': f'{recall[2]} ms',
               'peak memory': f'{peak_bytes(server.process.pid) / 1e6:.0f} MB'}
        server.kill()
        start = time.monotonic()
        server.start()
        ready = time.monotonic() - start
        first_answer(mneme, server, folder / 'queries.jsonl')
        row['reopen'] = f'{ready:.2f} s'
        row['reopen and answer'] = f'{time.monotonic() - start:.2f} s'
    if score:
        scored = last_json(run([sys.executable, score, '--queries', folder / 'queries.jsonl',
                                '--corpus', folder / 'corpus.jsonl', '--run', out]))
        row['R@10'] = f'{scored["overall"]["recall@10"]:.3f}'
    return row


def table(title, rows):
    """Rows by name: {name: {column: value}}."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    print(f'| {title} | ' + ' | '.join(columns) + ' |')
    print('| --- |' + ' ---: |' * len(columns))
    for name, row in rows.items():
        print(f'| {name} | ' + ' | '.join(str(row.get(c, '-')) for c in columns) + ' |')
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('build', type=pathlib.Path)
    parser.add_argument('sets_dir', type=pathlib.Path)
    parser.add_argument('--score', type=pathlib.Path)
    parser.add_argument('--sets', default='books,locomo')
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--tokens', type=int, default=65536)
    options = parser.parse_args()
    build = options.build.resolve()
    folders = [options.sets_dir / name for name in options.sets.split(',')]
    programs = build / 'tests' / 'e2e'
    with tempfile.TemporaryDirectory(prefix='mneme-figures-') as scratch:
        sets = {folder.name: measure_set(build, folder, options.score,
                                         pathlib.Path(scratch))
                for folder in folders}
    crash = last_json(run([programs / 'mneme_crash', '--mneme', build / 'mneme',
                           '--corpus', folders[0], '--rounds', options.rounds]))
    plane = last_json(run([programs / 'mneme_tensor_plane', '--mneme', build / 'mneme',
                           '--tokens', options.tokens]))
    print(f'{os.cpu_count()} processors, {time.strftime("%Y-%m-%d")}\n')
    table('text', sets)
    table('kill -9', {f'{folders[0].name}, {crash["parts"]} entries': {
        'kills': crash['stops_at_work'] + crash['kills_at_opening'],
        'acknowledged and lost': 0,  # Or the program would have failed.
        'equal answers': crash['equal_answers'],
        'reopen': f'{crash["reopen_seconds"]:.2f} s',
        'reopen and answer': f'{crash["first_answer_seconds"]:.2f} s'}})
    table('keys and values', {f'{plane["tokens"]} tokens, 3 layers': {
        'append': f'{plane["append_mb_per_second"]:.0f} MB/s',
        'attend, at most': f'{plane["attend_ms_max"]:.0f} ms',
        'decode step': f'{plane["decode_step_ms"]:.0f} ms',
        'output error': f'{plane["output_error"]:.1e}',
        'lse error': f'{plane["lse_error"]:.1e}',
        'merged error': f'{plane["merged_output_error"]:.1e}',
        'peak memory': f'{plane["peak_resident_bytes"] / 1e6:.0f} MB'}})


if __name__ == '__main__':
    main()
