#!/usr/bin/env python3
"""A tiny llama model with random weights, made without any download.

Its words are nonsense; the server's protocol, schema-shaped JSON and errors around it are real.
Usage: mkgguf.py OUT.gguf [short]; `short` makes answers that end soon and cite ids.
"""
import sys

import gguf
import numpy as np

OUT = sys.argv[1]
SHORT = sys.argv[2:] == ["short"]
WIDTH, LAYERS, CONTEXT, HEADS = 64, 2, 16384, 4
FEED_FORWARD = 4 * WIDTH
random = np.random.default_rng(7)
kind = gguf.TokenType

tokens = [b"<unk>", b"<s>", b"</s>", b"<|im_start|>", b"<|im_end|>"]
types = [kind.UNKNOWN, kind.CONTROL, kind.CONTROL, kind.CONTROL, kind.CONTROL]
scores = [0.0] * 5
for byte in range(256):
    tokens.append(f"<0x{byte:02X}>".encode())
    types.append(kind.BYTE)
    scores.append(0.0)
unlikely = len(tokens)
SPACE = "\u2581"
for char in [chr(code) for code in range(33, 127)] + [SPACE]:
    tokens.append(char.encode())
    types.append(kind.NORMAL)
    scores.append(-100.0)
WORDS = (
    "error rate latency pod memory disk timeout deploy rollback restart node database connection cache queue "
    "high low cpu saturated check the a is of and to because 5xx OOM"
).split()
for place, word in enumerate(WORDS):
    # The tokeniser merges step by step: every beginning of a word must be a token too.
    word = SPACE + word
    for end in range(2, len(word) + 1):
        piece = word[:end].encode()
        if piece not in tokens:
            tokens.append(piece)
            types.append(kind.NORMAL)
            scores.append(-1.0 - place * 0.01 - (len(word) - end) * 0.001)
IDS = "M1 M2 M3 L1 E1 C1 M7 L9 50".split() if SHORT else []
for place, word in enumerate(IDS):
    tokens.append(word.encode())
    types.append(kind.NORMAL)
    scores.append(-0.5 - place * 0.01)

writer = gguf.GGUFWriter(OUT, "llama")
writer.add_name("tiny-random")
writer.add_context_length(CONTEXT)
writer.add_embedding_length(WIDTH)
writer.add_block_count(LAYERS)
writer.add_feed_forward_length(FEED_FORWARD)
writer.add_head_count(HEADS)
writer.add_head_count_kv(HEADS)
writer.add_layer_norm_rms_eps(1e-5)
writer.add_rope_dimension_count(WIDTH // HEADS)
writer.add_vocab_size(len(tokens))
writer.add_file_type(gguf.LlamaFileType.ALL_F32)
writer.add_tokenizer_model("llama")
writer.add_token_list(tokens)
writer.add_token_scores(scores)
writer.add_token_types(types)
writer.add_bos_token_id(1)
writer.add_eos_token_id(4)
writer.add_unk_token_id(0)
writer.add_add_bos_token(True)
writer.add_add_space_prefix(False)
writer.add_chat_template(
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def weights(*shape, spread=0.05):
    return random.normal(0, spread, shape).astype(np.float32)


embedding = weights(len(tokens), WIDTH, spread=1.0)
embedding[:, 0] = 8.0  # a constant channel, by which the output layer can prefer some tokens
output = weights(len(tokens), WIDTH, spread=0.25)
output[:unlikely, 0] = -6.0  # bytes and control tokens seldom
output[unlikely:, 0] = 0.0
output[4, 0] = -0.6  # the end of the answer now and then
LONG = [(b'"', 0.7), (b"]", 0.5), (b"}", 0.5)]
for char, bias in [(b'"', 1.0), (b"]", 0.55), (b"}", 0.5), (b"{", 0.4), (b",", 0.1)] if SHORT else LONG:
    output[tokens.index(char), 0] = bias  # texts and lists of an answer in JSON end soon
for word in IDS:
    output[tokens.index(word.encode()), 0] = 0.6
writer.add_tensor("token_embd.weight", embedding)
writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
writer.add_tensor("output.weight", output)
for layer in range(LAYERS):
    block = f"blk.{layer}."
    writer.add_tensor(block + "attn_norm.weight", np.ones(WIDTH, np.float32))
    writer.add_tensor(block + "ffn_norm.weight", np.ones(WIDTH, np.float32))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        writer.add_tensor(f"{block}{name}.weight", weights(WIDTH, WIDTH))
    writer.add_tensor(block + "ffn_gate.weight", weights(FEED_FORWARD, WIDTH))
    writer.add_tensor(block + "ffn_up.weight", weights(FEED_FORWARD, WIDTH))
    writer.add_tensor(block + "ffn_down.weight", weights(WIDTH, FEED_FORWARD))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
