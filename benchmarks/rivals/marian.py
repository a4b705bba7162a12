"""Training steps of Hugging Face's MarianMTModel: python marian.py --model tiny.

Its own loss knows no label smoothing, so the states go to the loss that all rivals
share. Attention goes through scaled_dot_product_attention, and no cache is kept.
"""

import common
from common import BOS, DROPOUT, EOS, LONGEST, PAD, Loss, Size
from torch import Tensor, nn
from transformers import MarianConfig, MarianMTModel


class Model(nn.Module):
    """The paper's network in Marian's terms; dropout only where the paper has it."""

    def __init__(self, size: Size, vocabulary: int, loss_sum: Loss) -> None:
        super().__init__()
        config = MarianConfig(
            vocab_size=vocabulary,
            d_model=size.dim,
            encoder_layers=size.layers,
            decoder_layers=size.layers,
            encoder_attention_heads=size.num_heads,
            decoder_attention_heads=size.num_heads,
            encoder_ffn_dim=size.hidden_dim,
            decoder_ffn_dim=size.hidden_dim,
            activation_function="relu",
            dropout=DROPOUT,
            attention_dropout=0.0,
            activation_dropout=0.0,
            max_position_embeddings=LONGEST,
            scale_embedding=True,
            share_encoder_decoder_embeddings=True,
            tie_word_embeddings=True,
            use_cache=False,
            pad_token_id=PAD,
            eos_token_id=EOS,
            decoder_start_token_id=BOS,
        )
        self.marian = MarianMTModel(config)
        self.marian.set_attn_implementation("sdpa")
        self.loss_sum = loss_sum

    def forward(
        self, source: Tensor, target: Tensor, labels: Tensor, *, padded: bool
    ) -> Tensor:
        states = self.marian.model(
            input_ids=source,
            attention_mask=(source != 0).long() if padded else None,
            decoder_input_ids=target,
        ).last_hidden_state
        return self.loss_sum(states, self.marian.lm_head.weight, labels)


if __name__ == "__main__":
    common.run("MarianMTModel", Model)
