"""The command line against a server, for tests that look as a user does."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from serve import Server  # noqa: E402  (found through the path above)

OK, FAILED, USAGE, NOT_FOUND, UNAVAILABLE, REFUSED, NOT_CLEAN = range(7)
INTERRUPTED = 130
CALL_SECONDS = 600  # The long line of a long run takes minutes.

MNEME = None  # Set by run().


class Done:
    """How a command ended."""

    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout.decode(errors='replace')
        self.err = process.stderr.decode(errors='replace')

    def json(self):
        return json.loads(self.out)

    def error(self):
        """The one line of JSON that -o json prints for an error."""
        return json.loads(self.err.strip().splitlines()[-1])['error']


def environment(server):
    return {**os.environ, 'MNEME_SERVER': server.address}


def mneme(server, *arguments, stdin=b''):
    """Runs one command; arguments may be bytes."""
    return Done(subprocess.run([MNEME, *arguments], input=stdin, check=False,
                               env=environment(server), capture_output=True,
                               timeout=CALL_SECONDS))


def begin(server, *arguments):
    """Starts a command that the test will interrupt."""
    return subprocess.Popen([MNEME, *arguments], env=environment(server),
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def end(process):
    """Waits for what begin() started."""
    out, err = process.communicate(timeout=CALL_SECONDS)
    return Done(subprocess.CompletedProcess(process.args, process.returncode, out, err))


class CliTest(unittest.TestCase):
    """A server and a folder for each test."""

    server_arguments = ()
    longMessage = True
    maxDiff = 2000

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='mneme-e2e-')
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.server = Server(MNEME, arguments=self.server_arguments)
        self.server.__enter__()
        self.addCleanup(self.server.__exit__)

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def ok(self, *arguments, **keywords):
        """Runs a command that must succeed."""
        done = mneme(self.server, *arguments, **keywords)
        self.assertEqual(done.code, OK, f'{arguments[:2]}: {done.err}')
        return done

    def seq_next(self, session):
        """Where the session's log ends; None without a session."""
        done = mneme(self.server, 'show', session, '-o', 'json')
        if done.code == NOT_FOUND:
            return None
        self.assertEqual(done.code, OK, done.err)
        return int(done.json()['seq_next'])

    def entries(self, session):
        return int(self.ok('show', session, '-o', 'json').json()['entries'])

    def assert_refused(self, arguments, code, *words, reason=None, session=None):
        """The command ends with `code`, says every one of `words`, and leaves
        the session as it was; then the server still serves."""
        before = self.seq_next(session) if session else None
        plain = mneme(self.server, *arguments)
        self.assertEqual(plain.code, code, plain.err)
        for word in words:
            self.assertIn(word, plain.err)
        self.assertEqual(plain.out, '')
        error = mneme(self.server, *arguments, '-o', 'json').error()
        if reason:
            self.assertEqual(error['reason'], reason)
        if session:
            self.assertEqual(self.seq_next(session), before)
        self.assert_serves()

    def assert_serves(self):
        self.ok('append', 'alive', '--text', 'The server still serves.')
        found = self.ok('recall', 'alive', 'still serves', '-k', '1', '-o', 'json')
        self.assertEqual(found.json()['passages'][0]['text'], 'The server still serves.')

    def assert_clean(self, session):
        done = mneme(self.server, 'verify', session)
        self.assertEqual(done.code, OK, done.out + done.err)


def sentences(random, byte_count):
    """About that many bytes of invented sentences."""
    syllables = ['ba', 'cor', 'du', 'fen', 'gi', 'hol', 'jam', 'ke', 'lo', 'mir']
    words = [a + b + c for a in syllables for b in syllables for c in syllables]
    text, size = [], 0
    while size < byte_count:
        line = ' '.join(random.choices(words, k=random.randint(5, 15))) + '.'
        text.append(line)
        size += len(line) + 1
    return ' '.join(text)


def run():
    """main() of a test script: its first argument is the path of mneme."""
    global MNEME
    if len(sys.argv) < 2:
        sys.exit(f'usage: {sys.argv[0]} MNEME [TEST...]')
    MNEME = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=2)
