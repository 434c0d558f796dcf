"""Shared by all tests."""

import os

import torch

torch.set_num_threads(1)
# Only tests that are about the Hub offer its models; what this machine has cached changes nothing.
os.environ["SEQ2SEQ_HUB"] = "off"
