"""Trains a translation model: python train.py [EXPERIMENT] [--flags]. See README.md."""

import sys

from transformer.cli import train

if __name__ == "__main__":
    sys.exit(train())
