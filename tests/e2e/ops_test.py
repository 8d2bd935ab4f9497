#!/usr/bin/env python3
"""Every metric that the alerts and the dashboard name is served by a server.

usage: ops_test.py MNEME     exit code 77 when promtool is not there to check the
rules and the scrape too; all else was checked then.
"""

import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from serve import Server  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPS = ROOT / 'doc' / 'ops'
MNEME = sys.argv.pop(1)
SESSION = 'sesame'
SKIPPED = []


def named(text):
    return set(re.findall(r'\bmneme_[a-z0-9_]+', text))


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def call(server, *arguments):
    """Runs a command against the server; its exit code."""
    return subprocess.run(
        [MNEME, *map(str, arguments), '--server', server.address],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    ).returncode


def scrape():
    """The text of /metrics of a server that did a little of everything."""
    metrics = f'127.0.0.1:{free_port()}'
    with Server(MNEME, metrics=metrics) as server, \
            tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch, 'a.txt')
        path.write_text('The lighthouse was built in 1822. It still stands.\n',
                        encoding='utf-8')
        for arguments in (('append', SESSION, path),
                          ('recall', SESSION, 'When was the lighthouse built?')):
            if call(server, *arguments):
                raise AssertionError(f'{arguments[0]} failed')
        if not call(server, 'recall', 'nobody', 'x'):
            raise AssertionError('recall of what is not there succeeded')
        with urllib.request.urlopen(f'http://{metrics}/metrics') as response:
            return response.read().decode()


class Ops(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.text = scrape()
        cls.samples = {re.split(r'[{ ]', line)[0]
                       for line in cls.text.splitlines()
                       if line and not line.startswith('#')}

    def expect_served(self, names):
        self.assertGreater(len(names), 5)
        self.assertEqual(names - self.samples, set())

    def test_alerts_name_what_is_served(self):
        self.expect_served(named((OPS / 'alerts.yml').read_text()))

    def test_the_dashboard_names_what_is_served(self):
        dashboard = json.loads(
            (OPS / 'grafana' / 'dashboards' / 'mneme.json').read_text())
        names = set()
        for panel in dashboard['panels']:
            for target in panel.get('targets', []):
                names |= named(target['expr'])
        self.expect_served(names)

    def test_what_is_served_is_shown(self):
        """A metric nobody looks at is not worth its scrape."""
        dashboard = (OPS / 'grafana' / 'dashboards' / 'mneme.json').read_text()
        shown = {re.sub(r'_(bucket|sum|count)$', '', name)
                 for name in named(dashboard)}
        served = set(re.findall(r'^# TYPE (mneme_\S+)', self.text, re.M))
        self.assertEqual(served - shown, set())

    def test_no_label_names_a_session(self):
        for name in (SESSION, 'nobody', 'namespaces/'):
            self.assertNotIn(name, self.text)

    def test_the_containers_mount_what_is_there(self):
        compose = (ROOT / 'docker-compose.yml').read_text()
        mounts = re.findall(r'- \./(\S+?):/', compose)
        self.assertGreater(len(mounts), 3)
        for mount in mounts:
            self.assertTrue((ROOT / mount).exists(), mount)

    def test_promtool_agrees(self):
        promtool = shutil.which('promtool')
        if not promtool:
            SKIPPED.append('promtool')
            self.skipTest('promtool (of the Debian package prometheus) is not '
                          'installed')
        for arguments, given in (
                (['check', 'rules', OPS / 'alerts.yml'], None),
                (['check', 'config', '--syntax-only', OPS / 'prometheus.yml'], None),
                (['check', 'metrics'], self.text)):
            done = subprocess.run([promtool, *map(str, arguments)], input=given,
                                  capture_output=True, text=True, check=False)
            # 3: remarks about style.
            self.assertIn(done.returncode, (0, 3), done.stdout + done.stderr)


if __name__ == '__main__':
    program = unittest.main(exit=False, verbosity=2)
    if not program.result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if SKIPPED else 0)
