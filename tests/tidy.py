#!/usr/bin/env python3
"""Checks what no compiler checks: floors, rooms, names, and what must not be there.

usage: tidy.py ROOT    prints one `path:line: rule: what` a finding; exit code 1
when there is any. tidy_test.py plants one of each and expects it found.
"""

import pathlib
import re
import sys

# A floor includes itself and only these floors.
FLOORS = {
    'base': set(),
    'attention': {'base'},
    'proto': {'base'},
    'memory': {'attention', 'base'},
    'service': {'memory', 'attention', 'base', 'proto'},
    'client': {'proto', 'base'},
}
MAIN_INCLUDES = {'client', 'service'}  # main.cc joins the two ends of the house.

# Third parties that hide in one file each, or on one floor; tests use them as
# oracles.
ONE_FILE = {'faiss': 'FAISS', 'rocksdb': 'RocksDB'}
ONE_FLOOR = {'hwy': 'attention'}

# Sources without a test that includes their header, and why.
UNTESTED = {
    'attention/rope_ramp.cc': 'yarn_test and ntk_test compare whole tables',
    'client/cli.cc': 'driven as a command line by tests that link RunCli',
    'memory/key_reader.cc': 'attend_test and knn_search_test read through it',
    'memory/log.cc': 'session_test cuts appends at every border of a block',
    'memory/sealing.cc': 'session_test seals, reopens and damages segments',
    'memory/verify.cc': 'every test of a session ends with it',
    'service/library_threads.cc': 'sets counters of other libraries',
    'service/stop_signal.cc': 'serve_test and the end-to-end tests stop servers',
}

LINES_MAX = 90  # Of a function: what fits two screens.

# Directories that are not ours to judge.
SKIPPED = {'.git', 'build', '.cache', '__pycache__'}
# Files that must name what they forbid.
SELF = {'tests/tidy.py', 'tests/tidy_test.py'}
TEXT = {'.cc', '.h', '.py', '.sh', '.md', '.txt', '.proto', '.json', '.yml',
        '.yaml', '.cmake', ''}

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^">]+)[">]')
MUTEX = re.compile(r'std::(recursive_|shared_|timed_)?mutex\b'
                   r'|#\s*include\s+<(mutex|shared_mutex)>')
SLEEP = re.compile(r'\b(sleep_for|sleep_until|usleep|nanosleep|SleepFor)\b'
                   r'|(?<![\w.:])sleep\s*\(')
UNFINISHED = re.compile(r'\b(TODO|FIXME|XXX)\b')
MACHINE_PATH = re.compile(r'(?<![\w.$}])/(work|home|root|Users)/\w')
# A function's head, once clang-format has been over it; what ends in `;` is none.
FUNCTION = re.compile(r'^(\s*)[A-Za-z_~].*\(')
NOT_FUNCTION = re.compile(r'^\s*(if|for|while|switch|return|else|do|catch|case'
                          r'|namespace|class|struct|enum|union|using|static_assert'
                          r'|#)\b')


class Tidy:
    """One run over one tree."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.findings = []
        self.files = {}  # Path relative to the root -> lines.
        for path in sorted(self.root.rglob('*')):
            relative = path.relative_to(self.root)
            if SKIPPED & set(relative.parts) or not path.is_file():
                continue
            if path.suffix not in TEXT:
                continue
            try:
                text = path.read_text(encoding='utf-8')
            except UnicodeDecodeError:
                continue  # Test data, not text.
            self.files[relative.as_posix()] = text.splitlines()

    def report(self, path, line, rule, what):
        self.findings.append(f'{path}:{line}: {rule}: {what}')

    def sources(self):
        for path, lines in self.files.items():
            if path.endswith(('.cc', '.h')):
                yield path, lines

    def run(self):
        for check in (self.check_floors, self.check_third_parties,
                      self.check_guards, self.check_tests, self.check_words,
                      self.check_functions):
            check()
        return sorted(self.findings)

    def check_floors(self):
        """A floor includes only the floors below it along a line."""
        for path, lines in self.sources():
            floor = path.split('/')[0]
            if floor in FLOORS:
                allowed = FLOORS[floor] | {floor}
            elif path == 'main.cc':
                allowed = MAIN_INCLUDES
            else:
                continue  # Tests see the whole house.
            for number, line in enumerate(lines, 1):
                match = INCLUDE.match(line)
                if not match or '/' not in match[1]:
                    continue
                # Generated headers of the wire live under mneme/ and google/rpc.
                into = match[1].split('/')[0]
                if match[1].startswith(('mneme/v1/', 'google/rpc/')):
                    into = 'proto'
                if into == 'tests' or into in FLOORS and into not in allowed:
                    self.report(path, number, 'floor',
                                f'{floor} must not include "{match[1]}"')

    def check_third_parties(self):
        """FAISS and RocksDB hide in one file each, Highway on one floor."""
        for name, title in ONE_FILE.items():
            users = [(path, number) for path, number, include in self.includes()
                     if include.startswith(name + '/')
                     and not path.startswith('tests/')]
            if len({path for path, _ in users}) > 1:
                for path, number in users:
                    self.report(path, number, 'one-file',
                                f'{title} is included in more than one file')
        for name, floor in ONE_FLOOR.items():
            for path, number, include in self.includes():
                if (include.startswith(name + '/')
                        and path.split('/')[0] not in (floor, 'tests')):
                    self.report(path, number, 'one-floor',
                                f'<{include}> belongs to {floor}')

    def includes(self):
        for path, lines in self.sources():
            for number, line in enumerate(lines, 1):
                match = INCLUDE.match(line)
                if match:
                    yield path, number, match[1]

    def check_guards(self):
        """MNEME_<PATH>_H_, defined and closed."""
        for path, lines in self.sources():
            if not path.endswith('.h'):
                continue
            guard = 'MNEME_' + re.sub(r'\W', '_', path).upper() + '_'
            code = [line for line in lines if line and not line.startswith('//')]
            wanted = [f'#ifndef {guard}', f'#define {guard}']
            if code[:2] != wanted or f'#endif  // {guard}' not in code[-1:]:
                self.report(path, 1, 'guard', f'expected {guard}')

    def check_tests(self):
        """Every source of a floor has a test that includes its header."""
        tested = {include for path, _, include in self.includes()
                  if path.startswith('tests/')}
        for path, _ in self.sources():
            if (path.split('/')[0] in FLOORS and path.endswith('.cc')
                    and path[:-3] + '.h' not in tested and path not in UNTESTED):
                self.report(path, 1, 'test', 'no test includes its header')
        for path in UNTESTED:
            if path in self.files and path[:-3] + '.h' in tested:
                self.report(path, 1, 'test', 'has a test now: strike it off '
                            'UNTESTED in tests/tidy.py')

    def check_words(self):
        for path, lines in self.files.items():
            if path in SELF:
                continue
            code = path.endswith(('.cc', '.h'))
            for number, line in enumerate(lines, 1):
                if UNFINISHED.search(line):
                    self.report(path, number, 'unfinished', line.strip())
                if MACHINE_PATH.search(line):
                    self.report(path, number, 'machine-path', line.strip())
                if code and not path.startswith('base/') and MUTEX.search(line):
                    self.report(path, number, 'mutex', 'use base/mutex.h')
                # Other processes cannot be waited for in any other way.
                if (path.startswith('tests/')
                        and not path.startswith('tests/e2e/')
                        and path.endswith(('.cc', '.h'))
                        and SLEEP.search(line)):
                    self.report(path, number, 'sleep',
                                'wait for what you wait for, not for a time')

    def check_functions(self):
        """Functions of more than LINES_MAX lines, counted head to brace."""
        for path, lines in self.sources():
            for number, end in functions(lines):
                if end - number + 1 > LINES_MAX:
                    self.report(path, number, 'long-function',
                                f'{end - number + 1} lines, {LINES_MAX} allowed')


def functions(lines):
    """(first line, last line) of each function, by clang-format's
    layout: the closing brace stands alone, indented as the head."""
    number = 0
    while number < len(lines):
        line = lines[number]
        match = FUNCTION.match(line)
        if not match or NOT_FUNCTION.match(line):
            number += 1
            continue
        head = number
        while head < len(lines) and not lines[head].rstrip().endswith(('{', ';', '}')):
            head += 1
        if head >= len(lines) or not lines[head].rstrip().endswith('{'):
            number = head + 1
            continue
        closing = re.compile('^' + match[1] + r'}')
        end = head + 1
        while end < len(lines) and not closing.match(lines[end]):
            end += 1
        yield number + 1, end + 1
        number = end + 1


def main(arguments):
    if len(arguments) != 2:
        print('usage: tidy.py ROOT', file=sys.stderr)
        return 2
    tidy = Tidy(arguments[1])
    findings = tidy.run()
    for finding in findings:
        print(finding)
    print(f'tidy: {len(findings)} findings in {len(tidy.files)} files')
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))
