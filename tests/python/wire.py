"""A client with no generated code: messages come from gRPC's reflection."""

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase)

SERVICE = 'mneme.v1.MemoryService'
DEADLINE_SECONDS = 60  # A sanitizer's build on a busy machine needs a while.


class Wire:
    """A service whose methods and messages are learned from the server."""

    def __init__(self, channel):
        self.channel = channel
        database = ProtoReflectionDescriptorDatabase(channel)
        self.services = list(database.get_services())
        self.pool = descriptor_pool.DescriptorPool(database)

    def message(self, name):
        return message_factory.GetMessageClass(
            self.pool.FindMessageTypeByName(name))

    def call(self, method, **fields):
        """Sends the method's request, made of `fields`; returns the answer."""
        described = self.pool.FindServiceByName(SERVICE).methods_by_name[method]
        request = message_factory.GetMessageClass(described.input_type)
        response = message_factory.GetMessageClass(described.output_type)
        send = self.channel.unary_unary(
            f'/{SERVICE}/{method}',
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString)
        return send(request(**fields), timeout=DEADLINE_SECONDS)

    def refusal(self, method, **fields):
        """The error of a call that must fail, and its google.rpc.Status."""
        try:
            self.call(method, **fields)
        except grpc.RpcError as error:
            details = dict(error.trailing_metadata())['grpc-status-details-bin']
            return error, self.message('google.rpc.Status').FromString(details)
        raise AssertionError(f'{method} did not fail')

    def detail(self, status, kind):
        """The one detail of `kind` in a google.rpc.Status."""
        found = [any for any in status.details
                 if any.type_url == f'type.googleapis.com/google.rpc.{kind}']
        expect(len(found), 1)
        return self.message(f'google.rpc.{kind}').FromString(found[0].value)


def expect(given, wanted):
    if given != wanted:
        raise AssertionError(f'got {given!r}; expected {wanted!r}')
