"""The small transformer in NumPy, with its attention left to a memory.

A memory is what holds the tokens of earlier chunks. It has two methods:

    attend(layer, queries, keys, values)
        What the chunk's queries [query_heads, rows, dim] receive from the
        tokens before the chunk and, causally, from the chunk itself, whose keys
        and values are [kv_heads, rows, dim]: [query_heads, rows, dim].
    append(keys, values)
        Takes the chunk in, all layers at once: [layers, kv_heads, rows, dim].

Queries and keys are not rotated: how positions are encoded is the memory's.
"""

import numpy as np


class Model:
    """Weights of train.py; the geometry is that of their shapes."""

    def __init__(self, path):
        with np.load(path) as arrays:
            weights = {name: arrays[name].astype(np.float32)
                       for name in arrays.files}
        self.theta = float(weights.pop('theta'))
        self.epsilon = float(weights.pop('epsilon'))
        self.trained_length = int(weights.pop('trained_length'))
        self.weights = weights
        self.layers, self.query_heads, self.head_dim, _ = weights['query'].shape
        self.kv_heads = weights['key'].shape[1]

    def forward(self, tokens, memory):
        """Logits [rows, 256] of the byte after each of a chunk's `tokens`."""
        kept_keys, kept_values = [], []
        x = self.weights['embedding'][tokens]
        for layer in range(self.layers):
            w = {name: array[layer] for name, array in self.weights.items()
                 if name not in ('embedding', 'final_norm')}
            normal = self.normalize(x, w['attention_norm'])
            # [heads, dim, width] and [rows, width] to [heads, rows, dim].
            queries, keys, values = (
                normal @ w[name].transpose(0, 2, 1)
                for name in ('query', 'key', 'value'))
            kept_keys.append(keys)
            kept_values.append(values)
            mixed = memory.attend(layer, queries, keys, values)
            x = x + mixed.transpose(1, 0, 2).reshape(len(x), -1) @ w['mix'].T
            normal = self.normalize(x, w['feed_norm'])
            gate = normal @ w['gate'].T
            hidden = gate / (1 + np.exp(-gate)) * (normal @ w['up'].T)
            x = x + hidden @ w['down'].T
        memory.append(np.stack(kept_keys), np.stack(kept_values))
        normal = self.normalize(x, self.weights['final_norm'])
        return normal @ self.weights['embedding'].T

    def normalize(self, x, gain):
        square = np.mean(np.square(x), axis=-1, keepdims=True)
        return x / np.sqrt(square + self.epsilon) * gain


def losses(model, text, memory, chunk):
    """-ln p of each byte of `text` but the first, [len(text) - 1]."""
    tokens = np.frombuffer(text, dtype=np.uint8)
    parts = []
    for begin in range(0, len(tokens) - 1, chunk):
        end = min(begin + chunk, len(tokens) - 1)
        logits = model.forward(tokens[begin:end], memory).astype(np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        chosen = logits[np.arange(end - begin), tokens[begin + 1:end + 1]]
        parts.append(np.log(np.exp(logits).sum(axis=-1)) - chosen)
    return np.concatenate(parts)
