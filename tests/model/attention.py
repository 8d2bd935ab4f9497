"""Causal softmax attention in NumPy, and a memory that is nothing else."""

import math

import numpy as np


class Rotary:
    """Rotates component j with component j + dim / 2 (arXiv 2104.09864)."""

    def __init__(self, frequencies, factor=1.0):
        self.frequencies = frequencies  # [dim / 2], radians a position.
        self.factor = factor  # Multiplies what is rotated.

    def rotate(self, rows, positions):
        """`rows` [heads, rows, dim] at `positions` [rows]."""
        angles = np.outer(positions, self.frequencies)
        cosines = (np.cos(angles) * self.factor).astype(np.float32)
        sines = (np.sin(angles) * self.factor).astype(np.float32)
        low, high = np.split(rows, 2, axis=-1)
        return np.concatenate((low * cosines - high * sines,
                               high * cosines + low * sines), axis=-1)


def rope(theta, dim):
    """As the model was trained."""
    return Rotary(theta ** (-np.arange(0, dim, 2) / dim))


def yarn(theta, dim, factor, original_length, beta_fast=32, beta_slow=1):
    """YaRN (arXiv 2309.00071, sections 3.2 to 3.4). The ramp ends at whole
    pairs, as in the authors' code."""

    def pair_that_turns(rotations):
        return (dim * math.log(original_length / (rotations * 2 * math.pi))
                / (2 * math.log(theta)))

    low = max(math.floor(pair_that_turns(beta_fast)), 0)
    high = min(math.ceil(pair_that_turns(beta_slow)), dim - 1)
    ramp = (np.arange(dim // 2) - low) / max(high - low, 0.001)
    divided = np.clip(ramp, 0, 1)
    plain = rope(theta, dim).frequencies
    return Rotary(plain * (1 - divided) + plain / factor * divided,
                  0.1 * math.log(factor) + 1)


def attend(queries, keys, values):
    """Attention of the last tokens over all of them, each up to itself.

    Queries [query_heads, rows, dim] and keys [kv_heads, tokens, dim] are
    rotated; row r is token tokens - rows + r. Returns the output [query_heads,
    rows, dim] and the natural log of the sum of exp(logit) [query_heads, rows].
    """
    heads, rows, dim = queries.shape
    kv_heads, tokens, _ = keys.shape
    # The query heads of a kv head are neighbours.
    grouped = queries.reshape(kv_heads, -1, dim)
    logits = (grouped @ keys.transpose(0, 2, 1)) / math.sqrt(dim)
    logits = logits.reshape(heads, rows, tokens)
    future = ~np.tri(rows, tokens, tokens - rows, dtype=bool)
    logits[:, future] = -np.inf
    greatest = logits.max(axis=-1, keepdims=True)
    weights = np.exp(logits - greatest)
    total = weights.sum(axis=-1, keepdims=True)
    output = (weights / total).reshape(kv_heads, -1, tokens) @ values
    return (output.reshape(heads, rows, dim),
            (greatest + np.log(total))[..., 0])


class LocalMemory:
    """Keeps the first `sinks` tokens and the last `window`, or all tokens.

    Keys and queries are rotated by their rank among the tokens at hand, as
    StreamingLLM does it (arXiv 2309.17453); when no token between others is
    missing, their distances are those in the text.
    """

    def __init__(self, rotary, sinks=0, window=None):
        self.rotary = rotary
        self.sinks = sinks
        self.window = window
        self.keys = self.values = None  # [layers, kv_heads, tokens, dim].

    def attend(self, layer, queries, keys, values):
        if self.keys is not None:
            keys = np.concatenate((self.keys[layer], keys), axis=1)
            values = np.concatenate((self.values[layer], values), axis=1)
        ranks = np.arange(keys.shape[1])
        return attend(self.rotary.rotate(queries, ranks[-queries.shape[1]:]),
                      self.rotary.rotate(keys, ranks), values)[0]

    def append(self, keys, values):
        if self.keys is not None:
            keys = np.concatenate((self.keys, keys), axis=2)
            values = np.concatenate((self.values, values), axis=2)
        if self.window is not None and keys.shape[2] > self.sinks + self.window:
            kept = np.r_[:self.sinks, keys.shape[2] - self.window:keys.shape[2]]
            keys, values = keys[:, :, kept], values[:, :, kept]
        self.keys, self.values = keys, values
