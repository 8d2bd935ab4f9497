#!/usr/bin/env python3
"""Plants one violation of each rule of tidy.py in a tree and expects it found."""

import pathlib
import tempfile
import unittest

import tidy

CLEAN = {
    'base/clock.h': '#ifndef MNEME_BASE_CLOCK_H_\n#define MNEME_BASE_CLOCK_H_\n\n'
                    'int Now();\n\n#endif  // MNEME_BASE_CLOCK_H_\n',
    'base/clock.cc': '#include "base/clock.h"\n\n#include <mutex>\n\n'
                     'int Now() {\n  return 1;\n}\n',
    'memory/index.cc': '#include "memory/index.h"\n\n#include <faiss/Index.h>\n\n'
                       '#include "base/clock.h"\n',
    'memory/index.h': '// memory/index.h: an index.\n\n'
                      '#ifndef MNEME_MEMORY_INDEX_H_\n'
                      '#define MNEME_MEMORY_INDEX_H_\n\n'
                      '#endif  // MNEME_MEMORY_INDEX_H_\n',
    'main.cc': '#include "client/cli.h"\n#include "service/serve.h"\n',
    'tests/base/clock_test.cc': '#include "base/clock.h"\n',
    'tests/memory/index_test.cc': '#include "memory/index.h"\n'
                                  '#include <faiss/IndexFlat.h>\n',
    'build/release/generated.cc': '// TODO of a generator\n',
}


class TidyTest(unittest.TestCase):

    def rules(self, planted):
        """The rules and paths that a clean tree with `planted` breaks."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**CLEAN, **planted}.items():
                if text is None:
                    continue
                file = pathlib.Path(root, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding='utf-8')
            return {(finding.split(': ')[1], finding.split(':')[0])
                    for finding in tidy.Tidy(root).run()}

    def plant(self, path, text):
        return self.rules({path: CLEAN.get(path, '') + text})

    def test_a_clean_tree_has_no_findings(self):
        self.assertEqual(self.rules({}), set())

    def test_a_floor_that_includes_upwards_is_found(self):
        for path, include in (('base/clock.cc', 'memory/index.h'),
                              ('memory/index.cc', 'service/serve.h'),
                              ('memory/index.cc', 'proto/status.h'),
                              ('memory/index.cc', 'mneme/v1/tensor.pb.h'),
                              ('memory/index.cc', 'tests/testing/random.h'),
                              ('main.cc', 'memory/index.h')):
            with self.subTest(path=path, include=include):
                self.assertEqual(self.plant(path, f'#include "{include}"\n'),
                                 {('floor', path)})

    def test_a_third_party_in_two_files_is_found(self):
        for name in ('faiss/Index.h', 'rocksdb/db.h'):
            with self.subTest(name=name):
                found = self.rules({
                    'memory/index.cc': CLEAN['memory/index.cc'] + f'#include <{name}>\n',
                    'memory/index.h': CLEAN['memory/index.h'].replace(
                        '\n\n#endif', f'\n\n#include <{name}>\n\n#endif')})
                self.assertEqual(found, {('one-file', 'memory/index.cc'),
                                         ('one-file', 'memory/index.h')})

    def test_highway_outside_attention_is_found(self):
        self.assertEqual(self.plant('memory/index.cc', '#include <hwy/highway.h>\n'),
                         {('one-floor', 'memory/index.cc')})

    def test_a_plain_mutex_outside_base_is_found(self):
        for line in ('#include <mutex>', 'std::mutex m;', 'std::shared_mutex m;'):
            with self.subTest(line=line):
                self.assertEqual(self.plant('memory/index.cc', line + '\n'),
                                 {('mutex', 'memory/index.cc')})

    def test_unfinished_work_is_found(self):
        for word in ('TODO', 'FIXME'):
            with self.subTest(word=word):
                self.assertEqual(self.plant('base/clock.cc', f'// {word}: later\n'),
                                 {('unfinished', 'base/clock.cc')})

    def test_a_sleep_in_a_test_is_found(self):
        for call in ('std::this_thread::sleep_for(d);', 'usleep(1);', 'sleep(1);'):
            with self.subTest(call=call):
                self.assertEqual(self.plant('tests/base/clock_test.cc', call + '\n'),
                                 {('sleep', 'tests/base/clock_test.cc')})

    def test_a_path_of_a_machine_is_found(self):
        self.assertEqual(self.rules({'README.md': 'see /home/' + 'me/notes\n'}),
                         {('machine-path', 'README.md')})

    def test_a_source_without_a_test_is_found(self):
        self.assertEqual(self.rules({'tests/base/clock_test.cc': None}),
                         {('test', 'base/clock.cc')})

    def test_an_allowance_that_is_no_longer_needed_is_found(self):
        self.assertEqual(self.rules({'memory/log.cc': 'int Log();\n',
                                     'tests/memory/log_test.cc': '#include "memory/log.h"\n'}),
                         {('test', 'memory/log.cc')})

    def test_a_wrong_include_guard_is_found(self):
        for text in (CLEAN['base/clock.h'].replace('BASE', 'BASS'),
                     CLEAN['base/clock.h'].replace('#endif  // MNEME_BASE_CLOCK_H_', '#endif'),
                     '#pragma once\n'):
            with self.subTest(text=text):
                self.assertEqual(self.rules({'base/clock.h': text}),
                                 {('guard', 'base/clock.h')})

    def test_a_function_over_the_limit_is_found_and_one_at_it_is_not(self):
        for indent, head in (('', 'int Far(int a,\n    int b) {\n'),
                             ('  ', ' public:\n  void Far() const {\n'),
                             ('', 'TEST(Far, IsFar) {\n')):
            extra = head.count('\n') - (' public:' in head) + 1  # Head and brace.
            for over in (0, 1):
                body = f'{indent}  Call();\n' * (tidy.LINES_MAX - extra + over)
                with self.subTest(head=head, over=over):
                    self.assertEqual(
                        self.plant('base/clock.cc', f'{head}{body}{indent}}}\n'),
                        {('long-function', 'base/clock.cc')} if over else set())


if __name__ == '__main__':
    unittest.main()
