#!/usr/bin/env python3
"""Starts a server on a free port with a directory of its own, and stops it.

usage: serve.py MNEME [--data DIR] -- COMMAND [ARGUMENT...]

runs COMMAND beside the server: `{}` in its arguments becomes the server's
address, which is also in MNEME_SERVER. Exits as COMMAND did. Without --data the
directory is temporary. Scripts import Server instead.
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

START_SECONDS = 60  # A sanitizer's build on a busy machine needs a while.
STOP_SECONDS = 30


class Server:
    """One `mneme serve`, alive inside `with`; start() again after kill()."""

    def __init__(self, mneme, data=None, arguments=(), metrics=''):
        self.mneme = str(mneme)
        self.arguments = list(arguments)
        self.metrics = metrics  # host:port; '': not served.
        self.scratch = tempfile.TemporaryDirectory(prefix='mneme-')
        self.data = pathlib.Path(data or pathlib.Path(self.scratch.name, 'data'))
        self.log_path = pathlib.Path(self.scratch.name, 'server.log')
        self.address = None
        self.process = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.scratch.cleanup()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            self.scratch.cleanup()

    def sanitized(self):
        """Whether the binary was built with AddressSanitizer."""
        return b'__asan_init' in pathlib.Path(self.mneme).read_bytes()

    def start(self):
        """Returns when the server serves; RuntimeError with its log if it does not."""
        ready = pathlib.Path(self.scratch.name, 'ready')
        ready.unlink(missing_ok=True)
        with open(self.log_path, 'ab') as log:
            # A session of its own: Ctrl-C in the terminal reaches us alone, and
            # we stop the server in order.
            self.process = subprocess.Popen(
                [self.mneme, 'serve', '--data', str(self.data),
                 '--listen', '127.0.0.1:0', '--metrics-listen', self.metrics,
                 '--log-level', 'warning',
                 '--ready-file', str(ready), *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            text = ready.read_text() if ready.exists() else ''
            if text.endswith('\n'):
                self.address = text.strip()
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f'the server did not start:\n{self.log()}')

    def log(self):
        return self.log_path.read_text(errors='replace')

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Stops in order; RuntimeError when it has crashed or does not stop."""
        if self.process is None or self.process.returncode == -signal.SIGKILL:
            return
        self.process.terminate()
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f'the server did not stop:\n{self.log()}') from None
        if code not in (0, -signal.SIGTERM):
            raise RuntimeError(f'the server ended with {code}:\n{self.log()}')


def main(arguments):
    if '--' not in arguments or len(arguments) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    split = arguments.index('--')
    ours, command = arguments[1:split], arguments[split + 1:]
    data = None
    if ours[1:2] == ['--data'] and len(ours) == 3:
        data = ours[2]
    elif len(ours) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    # Whoever stops us stops the server too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with Server(ours[0], data) as server:
            command = [argument.replace('{}', server.address)
                       for argument in command]
            code = subprocess.call(command, env={**os.environ,
                                                 'MNEME_SERVER': server.address})
            return code if code >= 0 else 128 - code
    except KeyboardInterrupt:
        return 130
    except (RuntimeError, OSError) as error:
        print(f'serve.py: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main(sys.argv))
