"""The conformance checks: what every part must show, whether it is registered here or a user's own."""

from recurra.testing.cells import CELL_CHECKS, CONFIGURATIONS, check_cell
from recurra.testing.codecs import CODEC_CHECKS, check_codec
from recurra.testing.cores import CORE_CHECKS, check_core
from recurra.testing.decoders import DECODER_CHECKS, check_decoder
from recurra.testing.emissions import EMISSION_CHECKS, check_emission
from recurra.testing.readers import READER_CHECKS, check_reader
from recurra.testing.tasks import TASK_CHECKS, check_task
from recurra.testing.tree_cells import TREE_CELL_CHECKS, check_tree_cell

__all__ = [
    "CELL_CHECKS",
    "CODEC_CHECKS",
    "CONFIGURATIONS",
    "CORE_CHECKS",
    "DECODER_CHECKS",
    "EMISSION_CHECKS",
    "READER_CHECKS",
    "TASK_CHECKS",
    "TREE_CELL_CHECKS",
    "check_cell",
    "check_codec",
    "check_core",
    "check_decoder",
    "check_emission",
    "check_reader",
    "check_task",
    "check_tree_cell",
]
