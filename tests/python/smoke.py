#!/usr/bin/env python3
"""Mneme from another language, by what the server says of itself.

usage: smoke.py MNEME

starts a server and talks to it with no generated code: services and messages
come from gRPC's reflection. Exits with 1 and says why when something is not as
it should be.
"""

import pathlib
import sys
import traceback

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from serve import Server  # noqa: E402
from wire import DEADLINE_SECONDS, SERVICE, Wire, expect  # noqa: E402

SESSION = 'namespaces/python/sessions/smoke'


def check_health(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ('', SERVICE):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service),
                            timeout=DEADLINE_SECONDS)
        expect(answer.status, health_pb2.HealthCheckResponse.SERVING)


def check_memory(wire):
    text = 'Ada keeps the key of the cellar. '.encode()
    created = wire.call('CreateSession', session=SESSION, profile_name='text')
    expect(created.session.name, SESSION)
    appended = wire.call('Append', session=SESSION, text={'text': text})
    expect((appended.seq_first, appended.passages), (0, 1))
    wire.call('Append', session=SESSION,
              text={'text': 'It rained all week. Straße, день.'.encode()})
    recalled = wire.call('Recall', session=SESSION,
                         query=b'who has the key?', limit=1)
    expect(len(recalled.passages), 1)
    passage = recalled.passages[0]
    expect(passage.text.encode(), text[passage.span.begin:passage.span.end])
    expect('Ada' in passage.text, True)


def check_errors(wire):
    error, status = wire.refusal('CreateSession', session=SESSION,
                                 profile_name='text')
    expect(error.code(), grpc.StatusCode.ALREADY_EXISTS)
    expect((status.code, status.message),
           (error.code().value[0], error.details()))
    info = wire.detail(status, 'ErrorInfo')
    expect((info.reason, info.domain), ('SESSION_EXISTS', 'mneme'))

    error, status = wire.refusal('Append', session=SESSION,
                                 text={'text': b'ok \xff'})
    expect(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
    info = wire.detail(status, 'ErrorInfo')
    expect((info.reason, info.domain), ('INVALID_FIELD', 'mneme'))
    violations = wire.detail(status, 'BadRequest').field_violations
    expect([violation.field for violation in violations], ['text.text'])


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with Server(arguments[1]) as server:
            with grpc.insecure_channel(server.address) as channel:
                check_health(channel)
                wire = Wire(channel)
                expect(SERVICE in wire.services, True)
                check_memory(wire)
                check_errors(wire)
    except (AssertionError, KeyError, grpc.RpcError, RuntimeError):
        traceback.print_exc()
        return 1
    print('python: ok')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))
