"""Shared by all tests."""

import os
from pathlib import Path

import pytest
import torch

from seq2seq import kernels

torch.set_num_threads(1)
# Helpers that compare say what differs, as tests do.
pytest.register_assert_rewrite(*(path.stem for path in Path(__file__).parent.glob("*support.py")))
# Only tests that are about the Hub offer its models; what this machine has cached changes nothing.
os.environ["SEQ2SEQ_HUB"] = "off"
# As models run for users: on the operators, where this machine can build them.
kernels.build()
