"""The special tokens. The tokenizer is trained to give them these ids."""

PAD = 0
"""Fills a sentence up to the length of its batch; no position ever attends to it."""

BOS = 1
"""What the decoder reads before the first token."""

EOS = 2
"""Ends every source sentence and every target sentence."""

UNK = 3
"""Required by SentencePiece; byte fallback leaves nothing unknown."""
