#!/usr/bin/env python3
"""Who may do what, over TLS, as an operator and a user do it: certificates by
openssl, tokens by `mneme token`, and the command line.

usage: access_test.py MNEME [TEST...]
"""

import http.server
import os
import pathlib
import subprocess
import tempfile
import threading
import time
import unittest

import cli
from cli import NOT_FOUND, OK, REFUSED, UNAVAILABLE, USAGE
from serve import Server

ROTATION_SECONDS = 60  # Long after which a rotated file must count.
HOSTS = 'IP:127.0.0.1,DNS:localhost'
VARIABLES = ('MNEME_TOKEN', 'MNEME_TOKEN_FILE', 'MNEME_TLS_CA', 'MNEME_TLS_CERT',
             'MNEME_TLS_KEY', 'MNEME_SERVER')


def openssl(*arguments):
    subprocess.run(['openssl', *arguments], check=True, capture_output=True)


class Access(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='mneme-e2e-')
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for name in ('ca', 'other_ca'):
            openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt',
                    'ec_paramgen_curve:P-256', '-nodes', '-days', '1', '-subj',
                    f'/CN={name}', '-keyout', self.path(f'{name}.key'), '-out',
                    self.path(f'{name}.pem'))
        self.issue('server', 'ca', HOSTS)
        self.tokens = self.path('tokens.json')
        self.token('root', '*:admin')

    def path(self, name):
        return str(self.folder / name)

    def issue(self, name, ca, hosts='DNS:client.example'):
        """Signs NAME.pem and NAME.key, each replaced in one step."""
        new = self.path(f'{name}.new')
        openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
                '-nodes', '-subj', f'/CN={name}', '-keyout', f'{new}.key', '-out',
                f'{new}.csr')
        pathlib.Path(f'{new}.ext').write_text(f'subjectAltName={hosts}\n')
        openssl('x509', '-req', '-in', f'{new}.csr', '-CA', self.path(f'{ca}.pem'),
                '-CAkey', self.path(f'{ca}.key'), '-CAcreateserial', '-days', '1',
                '-extfile', f'{new}.ext', '-out', f'{new}.pem')
        os.rename(f'{new}.key', self.path(f'{name}.key'))
        os.rename(f'{new}.pem', self.path(f'{name}.pem'))

    def token(self, name, *scopes, extra=()):
        """Adds a token and keeps it in NAME.token."""
        words = ['token', 'new', '--name', name, '--file', self.tokens, *extra]
        for scope in scopes:
            words += ['--scope', scope]
        done = self.mneme(*words)
        self.assertEqual(done.code, OK, done.err)
        pathlib.Path(self.path(f'{name}.token')).write_text(done.out)

    def start(self, *flags):
        server = Server(cli.MNEME, arguments=flags)
        server.__enter__()
        self.addCleanup(server.__exit__)
        self.address = server.address
        return server

    def start_with_tls(self, *flags):
        return self.start('--tls-cert', self.path('server.pem'), '--tls-key',
                          self.path('server.key'), '--tokens', self.tokens, *flags)

    def mneme(self, *arguments, **variables):
        env = {key: value for key, value in os.environ.items() if key not in VARIABLES}
        return cli.Done(subprocess.run([cli.MNEME, *arguments], env={**env, **variables},
                                       stdin=subprocess.DEVNULL, capture_output=True,
                                       check=False, timeout=cli.CALL_SECONDS))

    def ask(self, *arguments, who='root', ca='ca', cert=None):
        flags = ['--server', self.address]
        if ca:
            flags += ['--tls-ca', self.path(f'{ca}.pem')]
        if who:
            flags += ['--token-file', self.path(f'{who}.token')]
        if cert:
            flags += ['--tls-cert', self.path(f'{cert}.pem'),
                      '--tls-key', self.path(f'{cert}.key')]
        return self.mneme(*arguments, *flags)

    def assert_code(self, code, done, *words):
        self.assertEqual(done.code, code, done.out + done.err)
        for word in words:
            self.assertIn(word, done.err)

    def await_ok(self, ask):
        deadline = time.monotonic() + ROTATION_SECONDS
        while ask().code != OK:
            self.assertLess(time.monotonic(), deadline, ask().err)

    def test_a_token_opens_its_namespace_alone(self):
        self.start_with_tls()
        self.token('alice', 'notes:append')
        self.token('reader', 'notes:read')
        self.await_ok(lambda: self.ask('append', 'notes/s', '--text', 'A door.',
                                       who='alice'))
        self.assert_code(OK, self.ask('recall', 'notes/s', 'door', who='reader'))
        self.assert_code(OK, self.ask('append', 'other/s', '--text', 'Rain.'))
        for name in ('other/s', 'other/nothing'):
            done = self.ask('recall', name, 'rain', who='alice')
            self.assert_code(REFUSED, done, 'the scope read', 'other')
        self.assert_code(REFUSED, self.ask('append', 'notes/s', '--text', 'x',
                                           who='reader'), 'the scope append')
        self.assert_code(REFUSED, self.ask('delete', 'notes/s', '--yes', who='alice'),
                         'the scope admin')
        self.assert_code(REFUSED, self.ask('sessions', 'other', who='alice'))
        self.assert_code(NOT_FOUND, self.ask('recall', 'other/nothing', 'rain'))

    def test_who_shows_nothing_is_refused(self):
        server = self.start_with_tls()
        self.assert_code(REFUSED, self.ask('stats', who=None), '--token-file')
        pathlib.Path(self.path('wrong.token')).write_text('mneme_wrong\n')
        self.assert_code(REFUSED, self.ask('stats', who='wrong'), 'not known')
        self.token('late', '*:read', extra=('--expires', '2020-01-01T00:00:00Z'))
        deadline = time.monotonic() + ROTATION_SECONDS
        while 'expired' not in self.ask('stats', who='late').err:
            self.assertLess(time.monotonic(), deadline)
        self.assert_code(OK, self.ask('stats'))
        self.assertNotIn('mneme_wrong', server.log())

    def test_a_token_is_rotated_while_the_server_runs(self):
        self.start_with_tls()
        self.assert_code(OK, self.ask('stats'))
        old = pathlib.Path(self.path('root.token')).read_text()
        old_id = self.mneme('token', 'list', '--file', self.tokens).out.split()[0]
        self.token('root', '*:admin')
        self.await_ok(lambda: self.ask('stats'))
        self.assertEqual(self.mneme('token', 'revoke', old_id, '--file',
                                    self.tokens).code, OK)
        pathlib.Path(self.path('old.token')).write_text(old)
        deadline = time.monotonic() + ROTATION_SECONDS
        while self.ask('stats', who='old').code == OK:
            self.assertLess(time.monotonic(), deadline)
        self.assert_code(OK, self.ask('stats'))

    def test_only_the_right_server_is_trusted(self):
        self.start_with_tls()
        self.assert_code(UNAVAILABLE, self.ask('stats', ca='other_ca'))
        self.assert_code(UNAVAILABLE, self.ask('stats', ca=None), '--tls-ca')
        self.issue('server', 'other_ca', HOSTS)
        self.await_ok(lambda: self.ask('stats', ca='other_ca'))
        self.assert_code(UNAVAILABLE, self.ask('stats'))

    def test_what_keeps_a_client_out_is_said(self):
        self.issue('server', 'ca', 'DNS:mneme.example')
        self.start_with_tls()
        self.assert_code(UNAVAILABLE, self.ask('stats'), 'another name', 'subjectAltName')
        self.assert_code(UNAVAILABLE, self.ask('stats', ca='other_ca'), 'not signed')
        done = self.ask('stats', ca=None)
        self.assert_code(UNAVAILABLE, done, 'hangs up', '--tls-ca')
        for noise in ('ssl_transport_security', 'mneme serve'):
            self.assertNotIn(noise, done.err)
        with http.server.HTTPServer(('127.0.0.1', 0), http.server.BaseHTTPRequestHandler
                                    ) as other:
            threading.Thread(target=other.serve_forever, daemon=True).start()
            self.address = f'127.0.0.1:{other.server_port}'
            self.assert_code(UNAVAILABLE, self.ask('stats'), 'does not speak TLS')
            self.assert_code(UNAVAILABLE, self.ask('stats', ca=None),
                             f'what answers at {self.address} is no Mneme server')
            other.shutdown()

    def test_files_and_addresses_that_cannot_be_used_are_said_at_once(self):
        self.issue('client', 'ca')
        self.start_with_tls('--tls-client-ca', self.path('ca.pem'))
        self.assert_code(UNAVAILABLE, self.ask('stats'), '--tls-cert')
        self.assert_code(OK, self.ask('stats', cert='client'))
        os.rename(self.path('ca.key'), self.path('client.key'))
        self.assert_code(USAGE, self.ask('stats', cert='client'), 'client.key',
                         'the key of the certificate')
        os.rename(self.path('client.key'), self.path('no.pem'))
        self.assert_code(USAGE, self.ask('stats', ca='no'), 'no.pem', 'certificate')
        for address, word in (('localhost', 'host:port'),
                              (f'http://{self.address}', 'without "http://"')):
            self.address = address
            self.assert_code(USAGE, self.ask('stats'), word)

    def test_a_refusal_names_the_scope_that_is_missing(self):
        self.token('alice', 'notes:append')
        self.start_with_tls()
        self.assert_code(REFUSED, self.ask('append', 'diary', '--text', 'A door.',
                                           who='alice'), 'the scope append', 'default')
        self.assert_code(REFUSED, self.ask('doctor', who='alice'), '*:admin')
        stats = self.ask('stats', who='alice')
        self.assert_code(OK, stats)
        self.assertNotIn('uptime', stats.out)

    def test_a_certificate_is_a_credential(self):
        self.start_with_tls('--tls-client-ca', self.path('ca.pem'))
        self.issue('engine', 'ca', 'DNS:engine.example')
        self.issue('stranger', 'ca')
        self.issue('forged', 'other_ca', 'DNS:engine.example')
        self.token('engine-entry', '*:read', extra=('--certificate', 'engine.example'))
        self.await_ok(lambda: self.ask('stats', who=None, cert='engine'))
        self.assert_code(REFUSED, self.ask('append', 's', '--text', 'x', who=None,
                                           cert='engine'))
        self.assert_code(REFUSED, self.ask('stats', who=None, cert='stranger'))
        self.assert_code(OK, self.ask('stats', cert='stranger'))
        self.assert_code(UNAVAILABLE, self.ask('stats', who=None, cert='forged'))
        self.assert_code(UNAVAILABLE, self.ask('stats'))

    def test_the_environment_says_what_flags_say(self):
        self.start_with_tls()
        token = pathlib.Path(self.path('root.token'))
        where = {'MNEME_SERVER': self.address, 'MNEME_TLS_CA': self.path('ca.pem')}
        self.assert_code(OK, self.mneme('stats', MNEME_TOKEN_FILE=str(token), **where))
        self.assert_code(OK, self.mneme('stats', MNEME_TOKEN=token.read_text().strip(),
                                        **where))
        self.assert_code(REFUSED, self.mneme('stats', **where))

    def test_a_token_is_not_sent_in_clear_text_to_others(self):
        done = self.mneme('stats', '--server', 'example.invalid:7788', '--token-file',
                          self.path('root.token'))
        self.assert_code(REFUSED, done, 'clear text', '--tls-ca')
        self.start('--tokens', self.tokens)
        self.assert_code(OK, self.ask('stats', ca=None))

    def test_other_machines_need_credentials(self):
        tls = ('--tls-cert', self.path('server.pem'), '--tls-key', self.path('server.key'))
        for flags in ((), tls, ('--tokens', self.tokens)):
            with self.assertRaises(RuntimeError) as refused:
                self.start('--listen', '0.0.0.0:0', *flags)
            self.assertIn('--allow-remote', str(refused.exception))
        self.start('--listen', '0.0.0.0:0', *tls, '--tokens', self.tokens)
        with self.assertRaises(RuntimeError) as refused:
            self.start('--metrics-listen', '0.0.0.0:0', *tls, '--tokens', self.tokens)
        self.assertIn('metrics', str(refused.exception))

    def test_files_that_do_not_fit_are_said_before_listening(self):
        for flags, word in ((('--tls-cert', self.path('server.pem')), 'tls_key'),
                            (('--tls-cert', self.path('server.pem'), '--tls-key',
                              self.path('ca.key')), 'tls_key'),
                            (('--tokens', self.path('none')), self.path('none')),
                            (('--tokens', self.path('ca.pem')), 'tokens')):
            with self.assertRaises(RuntimeError) as refused:
                self.start(*flags)
            self.assertIn(word, str(refused.exception))
        self.assert_code(USAGE, self.mneme('stats', '--server', '127.0.0.1:1',
                                           '--token-file', self.path('none')))


if __name__ == '__main__':
    cli.run()
