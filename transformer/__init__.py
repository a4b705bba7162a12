"""The Transformer of "Attention Is All You Need", from text files to translations."""

from transformer.attention import KeyValues, MultiHeadAttention, attend
from transformer.config import (
    Config,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    TrainingConfig,
)
from transformer.embeddings import Embedding
from transformer.errors import InputError
from transformer.explanations import Explanation, explain
from transformer.loading import load
from transformer.model import Transformer
from transformer.networks import Alone
from transformer.positions import rotate, sinusoidal
from transformer.search import Ask, gnmt
from transformer.search import beam as beam_search
from transformer.strategies import Beam, Greedy, Sample
from transformer.translator import Translation, Translator
