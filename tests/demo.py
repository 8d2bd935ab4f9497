#!/usr/bin/env python3
"""The main job, end to end: remember a document, ask, survive a kill -9.

usage: demo.py MNEME [FILE]

Without FILE, the document is the licence texts that every Debian has. Everything
is in a temporary directory and gone at the end, also after Ctrl-C.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

from serve import Server

LICENCES = pathlib.Path('/usr/share/common-licenses')
LICENCE_QUESTIONS = (
    'Is there any warranty?',
    'What must I do when I distribute a modified version?',
    'Which patent rights do contributors grant?',
)
# Long enough that a kill comes in the midst of it.
SECOND_BYTES = 6_000_000
WAIT_SECONDS = 120


class Failed(Exception):
    """Something did not do what the demonstration promises."""


def check(condition, what):
    if not condition:
        raise Failed(what)
    print(f'  ok: {what}')


def heading(text):
    print(f'\n== {text}', flush=True)


def licences():
    """The distinct licence texts, links resolved."""
    files = sorted({path.resolve() for path in LICENCES.glob('*') if path.is_file()})
    texts = []
    for path in files:
        text = path.read_text(encoding='utf-8', errors='replace')
        if text not in texts:
            texts.append(text)
    return '\n\n'.join(texts)


def questions_from(text):
    """Three questions out of a document that we know nothing about: the longest
    words of a sentence near its beginning, middle and end."""
    questions = []
    for part in (1 / 6, 1 / 2, 5 / 6):
        near = text[int(len(text) * part):][:2000]
        sentences = re.split(r'(?<=[.!?。])\s+|\n\s*\n', near)
        sentence = max(sentences[1:] or sentences, key=lambda s: len(s[:200]))
        words = sorted(set(re.findall(r'\w+', sentence[:300])), key=len)[-6:]
        if words:
            questions.append(' '.join(words)[:400])
    return questions


class Demo:
    """One run against one server."""

    def __init__(self, mneme, server, folder):
        self.mneme = mneme
        self.server = server
        self.folder = folder

    def run(self, *arguments, show=True):
        """Runs a command of the CLI in the folder; its output when not shown."""
        if show:
            quoted = ' '.join(f'"{a}"' if ' ' in a else a for a in arguments)
            print(f'\n$ mneme {quoted}', flush=True)
        done = subprocess.run([self.mneme, *arguments], cwd=self.folder,
                              env=self.environment(), text=True, check=False,
                              stdout=None if show else subprocess.PIPE)
        if done.returncode != 0:
            raise Failed(f'mneme {arguments[0]} ended with {done.returncode}')
        return done.stdout

    def environment(self):
        return {**os.environ, 'MNEME_SERVER': self.server.address}

    def answers(self, questions):
        return [json.loads(self.run('recall', 'demo', question, '-k', '20',
                                    '-o', 'json', show=False))
                for question in questions]

    def tokens_of(self, session):
        """Seq of the session's end; 0 while it does not exist."""
        done = subprocess.run([self.mneme, 'show', session, '-o', 'json'],
                              env=self.environment(), text=True, check=False,
                              capture_output=True)
        return int(json.loads(done.stdout)['seq_next']) if done.returncode == 0 else 0

    def kill_in_the_midst(self):
        """Kills the server while a second document is being appended; returns
        the seq that was acknowledged before."""
        with subprocess.Popen([self.mneme, 'append', 'second', 'second.txt'],
                              cwd=self.folder, env=self.environment(),
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as append:
            try:
                deadline = time.monotonic() + WAIT_SECONDS
                while not (acknowledged := self.tokens_of('second')):
                    if append.poll() is not None or time.monotonic() > deadline:
                        raise Failed('the second append did not get under way')
                    time.sleep(0.01)
                self.server.kill()
                code = append.wait(WAIT_SECONDS)
            finally:
                append.kill()
        check(code != 0, f'the append was cut off (exit code {code})')
        return acknowledged


def demonstrate(mneme, text, questions, server, folder):
    demo = Demo(mneme, server, folder)
    heading('Remember a document')
    (folder / 'document.txt').write_bytes(text)
    demo.run('append', 'demo', 'document.txt')

    heading('Ask what it says')
    for question in questions:
        demo.run('recall', 'demo', question, '-k', '2', '--explain')
    heading('A context block for a prompt')
    demo.run('context', 'demo', questions[0], '--budget', '300')

    heading('Kill the server (kill -9) while it appends a second document')
    before = demo.answers(questions)
    check(all(answer['passages'] for answer in before), 'every question has an answer')
    (folder / 'second.txt').write_bytes(b'\n\n'.join(
        [text] * max(1, SECOND_BYTES // len(text))))
    acknowledged = demo.kill_in_the_midst()
    server.start()
    heading('Start it again: nothing acknowledged is lost')
    check(demo.tokens_of('second') >= acknowledged,
          f'all {acknowledged} acknowledged tokens of the second document are there')
    check(demo.answers(questions) == before, 'the same answers as before the kill')
    demo.run('verify', 'demo')
    demo.run('verify', 'second')

    heading('The same command resumes')
    demo.run('append', 'second', 'second.txt')
    demo.run('verify', 'second')


def main(arguments):
    if len(arguments) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    # SIGTERM cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    mneme = str(pathlib.Path(arguments[1]).resolve())
    try:
        if len(arguments) == 3:
            text = pathlib.Path(arguments[2]).read_bytes()
            questions = questions_from(text.decode('utf-8'))
        else:
            text = licences().encode('utf-8')
            questions = LICENCE_QUESTIONS
        if not questions:
            raise Failed('there are no words in that file')
        with tempfile.TemporaryDirectory(prefix='mneme-demo-') as folder:
            with Server(mneme) as server:
                demonstrate(mneme, text, questions, server, pathlib.Path(folder))
    except KeyboardInterrupt:
        print('\ndemo: interrupted; everything is cleaned up', file=sys.stderr)
        return 130
    except (Failed, RuntimeError, OSError, UnicodeDecodeError) as error:
        print(f'\ndemo: FAILED: {error}', file=sys.stderr)
        return 1
    print('\ndemo: ok')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))
