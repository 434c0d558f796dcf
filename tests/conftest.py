"""Shared by all tests."""

import os

import torch

from seq2seq import kernels

torch.set_num_threads(1)
# Only tests that are about the Hub offer its models; what this machine has cached changes nothing.
os.environ["SEQ2SEQ_HUB"] = "off"
# As models run for users: on the operators, where this machine can build them.
kernels.build()
