"""A memory of the model that is a Mneme session, over gRPC."""

import numpy as np

from attention import attend


class SessionMemory:
    """Attends as an inference engine would.

    The session answers for the tokens before the chunk, this side for the chunk
    itself, and both are merged by the log of their softmax sums. The session
    receives a chunk when all layers are done with it.
    """

    def __init__(self, wire, session, rotary, profile):
        """`profile` is the session's; `rotary` must be as its position says."""
        self.wire = wire
        self.session = session
        self.rotary = rotary
        self.length = 0  # Tokens that the session has.
        wire.call('CreateSession', session=session, profile=profile)

    def attend(self, layer, queries, keys, values):
        positions = np.arange(self.length, self.length + queries.shape[1])
        answer = self.wire.call('Attend', session=self.session, reads=[
            {'layer': layer, 'queries': to_tensor(queries),
             'positions': positions.tolist()}])
        here, here_lse = attend(self.rotary.rotate(queries, positions),
                                self.rotary.rotate(keys, positions), values)
        return merge(from_tensor(answer.outputs[0].output),
                     from_tensor(answer.outputs[0].lse), here, here_lse)

    def append(self, keys, values):
        answer = self.wire.call('Append', session=self.session, tokens={
            'keys': to_tensor(keys), 'values': to_tensor(values)})
        self.length += keys.shape[2]
        if answer.seq_next != self.length:
            raise AssertionError(f'the session is at {answer.seq_next}; '
                                 f'expected {self.length}')


def merge(output, lse, other, other_lse):
    """Attention over two disjoint groups of keys as one."""
    greatest = np.maximum(lse, other_lse)
    weight = np.exp(lse - greatest)[..., None]
    other_weight = np.exp(other_lse - greatest)[..., None]
    return (weight * output + other_weight * other) / (weight + other_weight)


def to_tensor(array):
    return {'data_type': 'DATA_TYPE_FLOAT32', 'shape': array.shape,
            'data': np.ascontiguousarray(array, dtype='<f4').tobytes()}


def from_tensor(tensor):
    return np.frombuffer(tensor.data, dtype='<f4').reshape(tensor.shape)
