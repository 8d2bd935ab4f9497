#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets into tests/fuzz/corpus.

usage: corpus.py      needs protoc; the files it writes are checked in

Inputs that a fuzzer once found are kept beside them, by other names.
"""

import base64
import json
import pathlib
import struct
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
PROTO = HERE.parent.parent / 'proto'


def put(target, name, data):
    path = HERE / 'corpus' / f'{target}_fuzz' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def message(kind, text, file='memory_service'):
    """The wire form of a message in protobuf's text format."""
    return subprocess.run(
        ['protoc', '-I', PROTO, f'--encode=mneme.v1.{kind}',
         PROTO / f'mneme/v1/{file}.proto'],
        input=text.encode(), capture_output=True, check=True).stdout


def counted(data):
    return struct.pack('<I', len(data)) + data


def convert():
    """The first byte chooses the message, in the order of convert_fuzz.cc."""
    session = 'session: "namespaces/n/sessions/s" '
    put('convert', 'append_text', b'\0' + message('AppendRequest', session + '''
        request_id: "r1" expected_seq: 7 acknowledge: ACKNOWLEDGE_BUFFERED
        text { text: "Ada keeps the key." role: "user"
               time { seconds: 1 nanos: 5 } source: "a.txt" source_offset: 3
               metadata { key: "k" value: "v" } }'''))
    keys = 'shape: [2, 2, 1, 2] data: "' + '\\000<' * 8 + '"'
    values = 'shape: [2, 2, 1, 1] data: "' + '\\000<' * 4 + '"'
    put('convert', 'append_tokens', b'\0' + message('AppendRequest', session + f'''
        tokens {{ keys {{ data_type: DATA_TYPE_FLOAT16 {keys} }}
                  values {{ data_type: DATA_TYPE_FLOAT16 {values} }}
                  positions: 9 }}'''))
    queries = 'shape: [4, 1, 2] data: "' + '\\200?' * 8 + '"'
    put('convert', 'attend', b'\1' + message('AttendRequest', session + f'''
        reads {{ layer: 1 positions: 4
                 queries {{ data_type: DATA_TYPE_BFLOAT16 {queries} }} }}
        selection {{ top_k: 3 }} tiers: TIER_KNN top_items: 2'''))
    put('convert', 'recall', b'\2' + message('RecallRequest', session + '''
        query: "who keeps the key?" limit: 5
        filter { role: "user" metadata { key: "k" value: "v" } }'''))
    put('convert', 'context', b'\3' + message('AssembleContextRequest', session + '''
        query: "the key" budget_tokens: 100 recent_entries: 2'''))
    put('convert', 'profile', b'\4' + message('Profile', '''
        name: "p" layers: 2 query_heads: 4 kv_heads: 2 key_dim: 8 value_dim: 6
        data_type: DATA_TYPE_FLOAT32 logit_scale: 0.5 sink { tokens: 3 }
        position { family: POSITION_FAMILY_YARN theta: 10000 rotary_dim: 4
                   yarn { factor: 4 original_length: 2048 beta_fast: 32 } }
        window { tokens: 40 }
        knn { top_k: 8 positions { policy: POSITION_POLICY_CONST distance: 64 } }
        compressive { segment_tokens: 16 gate_logits: [-1]
                      empty_memory: EMPTY_MEMORY_STRICT }'''))
    put('convert', 'page_token', b'\5'
        + base64.urlsafe_b64encode(b'namespaces/default/sessions/s'))
    for name, address in {'ipv4': '127.0.0.1:7788', 'ipv6': '[::1]:0',
                          'host': 'localhost:1', 'path': 'unix:/tmp/m'}.items():
        put('convert', f'listen_{name}', b'\6' + address.encode())
    imports()


def imports():
    """The session's kind, the manifest, the parts; lengths before them."""
    def transfer(kind, text):
        return counted(message(kind, text, 'transfer_service'))

    tensors = 'version: 1 seq_next: 2 position_next: 10 entry_next: 1 '
    keys = 'shape: [2, 2, 2, 2] data: "' + '\\000<' * 16 + '"'
    values = 'shape: [2, 2, 2, 1] data: "' + '\\000<' * 8 + '"'
    put('convert', 'import_tokens', b'\7\0' + transfer('SessionManifest', tensors)
        + transfer('ImportSessionRequest', f'''tokens {{ forgotten {{ begin: 1 end: 2 }}
            rows {{ keys {{ data_type: DATA_TYPE_FLOAT16 {keys} }}
                    values {{ data_type: DATA_TYPE_FLOAT16 {values} }}
                    positions: [7, 9] }} }}''')
        + transfer('ImportSessionRequest', 'end { tokens: 1 }'))
    text = 'version: 1 seq_next: 5 position_next: 5 entry_next: 9 committed_seq: 1'
    put('convert', 'import_text', b'\7\1' + transfer('SessionManifest', text)
        + transfer('ImportSessionRequest', '''entries {
            entries { entry: 1 text: "Ada keeps the key." seq_count: 1 time { } }
            entries { entry: 8 text: "Rain. Again." role: "user" seq_first: 2
                      seq_count: 2 metadata { key: "k" value: "v" } } }''')
        + transfer('ImportSessionRequest', 'end { entries: 2 tokens: 3 }'))


def record():
    """The first byte chooses the decoder, in the order of record_fuzz.cc."""
    put('record', 'record', b'\0e' + b'M\1e\0' + struct.pack('<IQ', 3, 0) + b'abc')
    put('record', 'sealed', b'\1' + struct.pack('<H', 130) + b'abc')
    put('record', 'entry', b'\2' + struct.pack('<QQIq', 1, 0, 2, 3)
        + counted(b'user') + counted(b'a.txt') + struct.pack('<QI', 5, 1)
        + counted(b'k') + counted(b'v') + counted(b'Ada keeps the key.'))
    put('record', 'terms', b'\3' + struct.pack('<IIIII', 1, 0, 18, 1, 2)
        + struct.pack('<QIQI', 77, 1, 99, 2))
    put('record', 'profile', b'\4' + counted(b'p')
        + struct.pack('<5IBdBBdi', 1, 2, 1, 8, 8, 1, 0.5, 2, 0, 10000.0, 8)
        + struct.pack('<dqddBddd', 4.0, 2048, 32.0, 1.0, 0, 0.0, 1.0, 1.0)
        + struct.pack('<IBIBBIBqBIBIf', 3, 1, 40, 0, 1, 8, 1, 64, 1, 16, 0, 1, -1.0)
        + counted(b''))
    put('record', 'fold', b'\5' + struct.pack('<Q', 8)
        + 2 * (struct.pack('<Q', 8) + struct.pack('<9f', *range(9))))
    put('record', 'segment', b'\6' + struct.pack('<I', 2)
        + struct.pack('<8f', *range(8)) + struct.pack('<3I', 0, 3, 8)
        + struct.pack('<8I', *range(8)))
    put('record', 'probes', b'\x08\x05\x40'
        + b'The vault opens with a word that nobody but its owner knows, not even us.')
    put('record', 'name', b'\7namespaces/default/sessions/s-1.x')


def safetensors():
    def file(header, data):
        text = json.dumps(header).encode()
        return struct.pack('<Q', len(text)) + text + data

    put('safetensors', 'two', file(
        {'__metadata__': {'by': 'hand'},
         'keys': {'dtype': 'F16', 'shape': [1, 1, 2, 2], 'data_offsets': [0, 8]},
         'positions': {'dtype': 'I64', 'shape': [2], 'data_offsets': [8, 24]}},
        bytes(24)))
    put('safetensors', 'empty', file(
        {'none': {'dtype': 'F32', 'shape': [0, 7], 'data_offsets': [0, 0]}}, b''))
    put('safetensors', 'scalar', file(
        {'x': {'dtype': 'F64', 'shape': [], 'data_offsets': [0, 8]}}, bytes(8)))
    put('safetensors', 'overflow', file(
        {'x': {'dtype': 'F64', 'shape': [1 << 62, 1 << 62],
               'data_offsets': [0, 8]}}, bytes(8)))
    put('safetensors', 'hole', file(
        {'x': {'dtype': 'BF16', 'shape': [1], 'data_offsets': [2, 4]}}, bytes(4)))


def export():
    """The first byte chooses the file, in the order of export_fuzz.cc."""
    put('export', 'end', b'\0' + json.dumps(
        {'version': 1, 'entries': 2, 'tokens': 3, 'files': {
            'session.json': {'bytes': 7, 'sha256': 'ab'},
            'tokens-000012.safetensors': {'bytes': 9, 'sha256': ''}}}).encode())
    put('export', 'manifest', b'\1' + json.dumps(
        {'version': 1, 'session': 's', 'seq_next': '7', 'entry_next': '1',
         'create_time': '2024-05-01T12:00:00Z', 'profile': {
             'layers': 2, 'logit_scale': 0.5, 'head_scales': [1.5],
             'data_type': 'DATA_TYPE_FLOAT16', 'window': {'tokens': 4},
             'position': {'family': 'POSITION_FAMILY_ROPE', 'theta': 1e4}}}).encode())
    put('export', 'entry', b'\2' + json.dumps(
        {'entry': 1, 'text': 'Ada "keeps"\nit', 'role': 'user',
         'time': '2024-05-01T12:00:00.000005Z', 'source': 'a', 'source_offset': 3,
         'metadata': {'k': 'v'}, 'seq_first': 0, 'seq_count': 2}).encode())
    header = json.dumps({
        '__metadata__': {'seq_first': '8'},
        'positions': {'dtype': 'I64', 'shape': [3], 'data_offsets': [0, 24]},
        'keys': {'dtype': 'F16', 'shape': [1, 1, 3, 2], 'data_offsets': [24, 36]},
        'values': {'dtype': 'BF16', 'shape': [1, 1, 3, 1], 'data_offsets': [36, 42]},
        'forgotten': {'dtype': 'BOOL', 'shape': [3], 'data_offsets': [42, 45]}}).encode()
    put('export', 'tokens', b'\3' + struct.pack('<Q', len(header)) + header
        + struct.pack('<3q', 1, 4, 9) + bytes(18) + b'\0\1\0')


def flags():
    """The first byte chooses the preset, then the settings, one a line."""
    for number, line in enumerate([
            'layers=2\nkey_dim=64', 'window.block_tokens=128\nknn.top_k=64',
            'head_scales=12.5,-1', 'knn.gate_logits=', 'data_type=bfloat16',
            'position.family=yarn\nposition.yarn.factor=4', 'knn.max_tokens=all',
            '2024-05-01T12:00:00.5+02:00', 'unix:/tmp/x']):
        put('flags', f'line_{number}', bytes([number % 3]) + line.encode())


def store():
    """The session, then changes: record, what, where (16 bits), bytes."""
    put('store', 'text_intact', b'\0')
    put('store', 'tensors_intact', b'\1')
    for number in range(8):
        change = struct.pack('<BBH', number, number % 5, 4) + bytes(4)
        put('store', f'change_{number}', bytes([number % 2]) + change)


def text():
    """One byte for the limit, two for the cut, the text."""
    for name, words in {
            'prose': 'The lamp is in the cellar. Mr. Hall\n\nasked: "Why?" 3.14!',
            'wrapped': 'A line that goes on and on\nuntil it ends.\r\nShort\nlines',
            'scripts': 'Straße день 東京都に行った。มหาวิทยาลัย नमस्ते مرحبا 👩‍👩‍👧 e\u0301',
            'blank': ' \u00a0\u2029\t\n',
            'long': 'internationalisation' * 20}.items():
        put('text', name, b'\x20\x07\x00' + words.encode())
    put('text', 'invalid', b'\x05\x03\x00ab\xff\xc3( \xe2\x82 \xed\xa0\x80.')


if __name__ == '__main__':
    convert()
    record()
    safetensors()
    export()
    flags()
    store()
    text()
