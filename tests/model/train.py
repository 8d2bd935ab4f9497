#!/usr/bin/env python3
"""Trains the small transformer of these tests: a Llama over bytes.

usage: train.py --out FILE.npz [--minutes N] [--leave-out ID] TEXT...

A TEXT is a file that is read byte by byte, or a .jsonl file of records with
`text` and `id`. The record called ID is not trained on: the model is measured
with it. Sequences are drawn from random places of all texts. The seed is fixed,
so every run sees the same ones; how many of them, the minutes say. At the end
the saved weights, read by model.py, must give the same answers. Needs PyTorch
(Debian's python3-torch).

weights.npz comes from 22 minutes on two cores with thirteen English novels in
the public domain (Alice's Adventures in Wonderland, Anne of Green Gables, Daisy
Miller, Hard Times, Northanger Abbey, Persuasion, Pride and Prejudice, Sense and
Sensibility, The Awakening, The Invisible Man, The Man Who Was Thursday, The
Picture of Dorian Gray, The Sport of the Gods) and the licences in
/usr/share/common-licenses but GPL-3, with which perplexity.py tests. Left out
was The Sign of the Four, at a perplexity of 4.11 a byte.
"""

import argparse
import json
import math
import pathlib
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from attention import LocalMemory, rope
from model import Model

SEED = 20240229
VOCABULARY = 256
WIDTH = 192
LAYERS = 4
QUERY_HEADS = 6
KV_HEADS = 2
HEAD_DIM = 32
HIDDEN = 384
THETA = 10000.0
EPSILON = 1e-5
LENGTH = 256  # No token ever saw another one farther away than this.
BATCH = 8
RATE = 3e-3
WARMUP_STEPS = 200
EVALUATED_SEQUENCES = 64
CHUNK = 48  # Not a divisor of LENGTH: the last chunk is a short one.


class Transformer(nn.Module):
    """RMSNorm, RoPE (half-split), grouped heads, SwiGLU, tied embeddings.

    Weights are stacked over the layers and named as in the file; theirs are
    the shapes that model.py reads the geometry from.
    """

    def __init__(self):
        super().__init__()

        def matrix(*shape, scale=1.0):
            deviation = scale / math.sqrt(shape[-1])
            return nn.Parameter(torch.randn(*shape) * deviation)

        def gain(*shape):
            return nn.Parameter(torch.ones(*shape))

        residual = 1 / math.sqrt(2 * LAYERS)
        self.embedding = nn.Parameter(torch.randn(VOCABULARY, WIDTH) * 0.05)
        self.attention_norm = gain(LAYERS, WIDTH)
        self.query = matrix(LAYERS, QUERY_HEADS, HEAD_DIM, WIDTH)
        self.key = matrix(LAYERS, KV_HEADS, HEAD_DIM, WIDTH)
        self.value = matrix(LAYERS, KV_HEADS, HEAD_DIM, WIDTH)
        self.mix = matrix(LAYERS, WIDTH, QUERY_HEADS * HEAD_DIM, scale=residual)
        self.feed_norm = gain(LAYERS, WIDTH)
        self.gate = matrix(LAYERS, HIDDEN, WIDTH)
        self.up = matrix(LAYERS, HIDDEN, WIDTH)
        self.down = matrix(LAYERS, WIDTH, HIDDEN, scale=residual)
        self.final_norm = gain(WIDTH)

        frequencies = THETA ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
        angles = torch.outer(torch.arange(LENGTH), frequencies)
        self.register_buffer('cosines', angles.cos(), persistent=False)
        self.register_buffer('sines', angles.sin(), persistent=False)
        future = torch.full((LENGTH, LENGTH), -math.inf).triu(1)
        future = future.repeat(QUERY_HEADS // KV_HEADS, 1)
        self.register_buffer('future', future, persistent=False)

    def rotate(self, rows):
        low, high = rows.chunk(2, dim=-1)
        return torch.cat((low * self.cosines - high * self.sines,
                          high * self.cosines + low * self.sines), dim=-1)

    def attend(self, layer, x):
        batch = len(x)

        def project(weights):
            rows = functional.linear(x, weights[layer].flatten(0, 1))
            return rows.view(batch, LENGTH, -1, HEAD_DIM).transpose(1, 2)

        # The query heads of a kv head are rows of one matrix.
        queries = self.rotate(project(self.query)).reshape(
            batch * KV_HEADS, -1, HEAD_DIM)
        keys = self.rotate(project(self.key)).flatten(0, 1)
        values = project(self.value).flatten(0, 1)
        logits = torch.baddbmm(self.future.to(queries.dtype), queries,
                               keys.transpose(1, 2),
                               alpha=1 / math.sqrt(HEAD_DIM))
        mixed = torch.bmm(logits.softmax(dim=-1), values)
        mixed = mixed.view(batch, QUERY_HEADS, LENGTH, HEAD_DIM)
        return functional.linear(mixed.transpose(1, 2).flatten(2),
                                 self.mix[layer])

    def feed(self, layer, x):
        hidden = functional.silu(functional.linear(x, self.gate[layer]))
        return functional.linear(hidden * functional.linear(x, self.up[layer]),
                                 self.down[layer])

    def forward(self, tokens):
        """Logits [batch, LENGTH, VOCABULARY] of the byte after each."""
        x = functional.embedding(tokens, self.embedding)
        for layer in range(LAYERS):
            x = x + self.attend(layer, normalize(x, self.attention_norm[layer]))
            x = x + self.feed(layer, normalize(x, self.feed_norm[layer]))
        return functional.linear(normalize(x, self.final_norm), self.embedding)


def normalize(x, gain):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPSILON) * gain


def read_texts(paths, leave_out):
    """The bytes to train on, and those of the record `leave_out`."""
    trained, left_out = [], []
    for path in paths:
        if path.suffix != '.jsonl':
            trained.append(path.read_bytes())
            continue
        for line in path.read_text(encoding='utf-8').splitlines():
            record = json.loads(line)
            pile = left_out if record['id'] == leave_out else trained
            pile.append(record['text'].encode())
    if leave_out and not left_out:
        raise SystemExit(f'train.py: there is no record {leave_out}')
    return tuple(np.frombuffer(b'\n\n'.join(pile), dtype=np.uint8)
                 for pile in (trained, left_out))


def draw(text, count, generator):
    """`count` sequences from random places, and the bytes after each token."""
    starts = torch.randint(len(text) - LENGTH, (count, 1), generator=generator)
    places = starts + torch.arange(LENGTH + 1)
    drawn = torch.from_numpy(text[places.numpy()]).long()
    return drawn[:, :-1], drawn[:, 1:]


def loss_of(model, tokens, nexts):
    with torch.autocast('cpu', dtype=torch.bfloat16):
        logits = model(tokens)
    return functional.cross_entropy(logits.float().flatten(0, 1),
                                    nexts.flatten())


def train(model, text, minutes, generator):
    matrices = [p for p in model.parameters() if p.dim() > 2]
    others = [p for p in model.parameters() if p.dim() <= 2]
    optimizer = torch.optim.AdamW(
        [{'params': matrices, 'weight_decay': 0.1},
         {'params': others, 'weight_decay': 0.0}], betas=(0.9, 0.95))
    started = time.monotonic()
    step, shown = 0, 0.0
    while (passed := (time.monotonic() - started) / (60 * minutes)) < 1:
        rate = RATE * min((step + 1) / WARMUP_STEPS,
                          0.5 + 0.5 * math.cos(math.pi * passed))
        for group in optimizer.param_groups:
            group['lr'] = rate
        loss = loss_of(model, *draw(text, BATCH, generator))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        shown = loss.item() if step == 0 else 0.98 * shown + 0.02 * loss.item()
        step += 1
        if step % 50 == 0:
            print(f'step {step}: {100 * passed:.1f} %, loss {shown:.3f}',
                  flush=True)


def as_saved(path):
    """A transformer with the rounded weights of a file."""
    model = Transformer()
    with np.load(path) as arrays, torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(arrays[name].astype(np.float32)))
    return model


def difference(path, tokens):
    """The largest one between the logits of this model and of model.py's, which
    reads the LENGTH `tokens` in chunks."""
    with torch.no_grad():
        wanted = as_saved(path)(tokens[None])[0].numpy()
    model = Model(path)
    memory = LocalMemory(rope(model.theta, model.head_dim))
    found = np.concatenate([model.forward(part.numpy(), memory)
                            for part in tokens.split(CHUNK)])
    return np.abs(found - wanted).max()


def main():
    parser = argparse.ArgumentParser(
        usage=__doc__.split('usage: ')[1].split('\n\n')[0])
    parser.add_argument('texts', nargs='+', type=pathlib.Path)
    parser.add_argument('--out', type=pathlib.Path, required=True)
    parser.add_argument('--minutes', type=float, default=25)
    parser.add_argument('--leave-out')
    arguments = parser.parse_args()

    generator = torch.Generator().manual_seed(SEED)
    torch.manual_seed(SEED)
    trained, left_out = read_texts(arguments.texts, arguments.leave_out)
    model = Transformer()
    parameters = sum(p.numel() for p in model.parameters())
    print(f'{parameters} parameters, {len(trained)} bytes of text', flush=True)
    train(model, trained, arguments.minutes, generator)

    weights = {name: p.detach().numpy().astype(np.float16)
               for name, p in model.named_parameters()}
    np.savez_compressed(arguments.out, theta=THETA, epsilon=EPSILON,
                        trained_length=LENGTH, **weights)
    if arguments.leave_out:
        with torch.no_grad():
            loss = loss_of(as_saved(arguments.out),
                           *draw(left_out, EVALUATED_SEQUENCES, generator))
        print(f'{arguments.leave_out}: loss {loss:.3f}, perplexity '
              f'{loss.exp():.3f} a byte')
    apart = difference(arguments.out, draw(trained, 1, generator)[0][0])
    print(f'logits of model.py differ by {apart:.1e} at most')
    # Both compute in float32, in another order; logits are of the order of 10.
    if not apart < 1e-3:
        raise SystemExit('train.py: model.py computes something else')


if __name__ == '__main__':
    main()
