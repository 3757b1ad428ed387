"""Modules: recurrent layers for every registered cell, embedders, output layers."""

from __future__ import annotations

from recurra.nn.recurrent import Recurrent
from recurra.nn.step import Step
from recurra.nn.torch_like import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "Recurrent", "Step"]
