"""What a trained model does inside, as numbers: how far gradients reach, gates, attention, spectra, what decided.

Nothing here draws or prints, and nothing changes a model: what is computed is computed beside it.
"""

from __future__ import annotations

from recurra.diagnostics.agreement import Agreement, agreement
from recurra.diagnostics.attention import AttentionMap, SelfAttention, alignment, self_attention
from recurra.diagnostics.decisions import Attribution, Decision, attribution
from recurra.diagnostics.earliness import Earliness, earliness
from recurra.diagnostics.gates import Gates, gates
from recurra.diagnostics.gradients import Flow, GradientFlow, gradient_flow, measure
from recurra.diagnostics.misread import Misread, misread
from recurra.diagnostics.properties import PROPERTIES
from recurra.diagnostics.recorded import RecordedGradients, RecordedSpectra, recorded_gradients, recorded_spectra
from recurra.diagnostics.spectrum import Spectrum, spectra
from recurra.diagnostics.symbols import Place, next_symbols
from recurra.diagnostics.tracking import Tested, Tracker, beyond_chance, units_that_track

__all__ = [
    "PROPERTIES",
    "Agreement",
    "AttentionMap",
    "Attribution",
    "Decision",
    "Earliness",
    "Flow",
    "Gates",
    "GradientFlow",
    "Misread",
    "Place",
    "RecordedGradients",
    "RecordedSpectra",
    "SelfAttention",
    "Spectrum",
    "Tested",
    "Tracker",
    "agreement",
    "alignment",
    "attribution",
    "beyond_chance",
    "earliness",
    "gates",
    "gradient_flow",
    "measure",
    "misread",
    "next_symbols",
    "recorded_gradients",
    "recorded_spectra",
    "self_attention",
    "spectra",
    "units_that_track",
]
