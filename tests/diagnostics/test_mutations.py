"""Changes of single bases, against the model asked of each changed sequence by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recurra import config as configuration
from recurra.data.codecs.bases import Bases
from recurra.data.codecs.labels import Labels
from recurra.diagnostics.brief import brief
from recurra.diagnostics.mutations import is_of_bases, mutations
from recurra.diagnostics.report import inspect_model
from recurra.diagnostics.report.page import page
from recurra.diagnostics.report.summary import summary
from recurra.errors import ConfigError, DataError
from recurra.model import Model, make_codecs, make_parts

TEXT = "GATTNACA"


def made(multi: bool = False) -> Model:
    torch.manual_seed(0)
    settings = {"embedder.size": 6, "embedder.width": 3, "core.hidden_size": 5, "task.multi_label": multi}
    config = configuration.with_settings(configuration.load_recipe("dna"), settings)
    embedder, _, task = make_parts(config)
    known = {"input": Bases(), "label": Labels("label-set" if multi else "label")}
    known["label"].fit([["x", "y"], ["z"]] if multi else ["x", "y", "z"])
    model = Model.from_config(config, make_codecs(config, embedder, task, known)).eval()
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, -0.9, 0.9)
    return model


def log_odds(model: Model, text: str) -> torch.Tensor:
    from recurra.types import Batch, Lengths

    ids = torch.from_numpy(Bases().encode(text))[None]
    said = model.task.ask(model.embedder, model.core, Batch({"input": ids}, Lengths()))
    if "labels" in said:
        return said["labels"][0]
    p = said["label"][0].double().exp()
    return (p / (1 - p)).log()


@pytest.mark.parametrize("multi", [False, True])
@torch.no_grad()
def test_each_change_is_that_of_the_model_asked(multi: bool) -> None:
    model = made(multi)
    found = mutations(model, TEXT.lower())
    before = log_odds(model, TEXT)
    best = int(before.argmax())
    assert found.name == model.codecs["labels" if multi else "label"].symbols[best]
    assert found.log_odds == pytest.approx(float(before[best]), abs=1e-4)
    assert found.tokens == tuple(TEXT) and found.letters == tuple("ACGT")
    for k, letter in enumerate("ACGT"):
        for t in range(len(TEXT)):
            after = log_odds(model, TEXT[:t] + letter + TEXT[t + 1 :])[best]
            assert found.changes[k, t] == pytest.approx(float(after - before[best]), abs=1e-4)
    assert np.count_nonzero(found.changes) == 3 * len(TEXT) + 1  # the uncertain base becomes each of four
    row, column = found.strongest(1)[0]
    assert abs(found.changes[row, column]) == found.largest
    assert f"{TEXT[column]}{column + 1}{'ACGT'[row]}" in found.conclusion


def test_both_strands_say_the_same() -> None:
    model = made()
    one, other = mutations(model, TEXT), mutations(model, Bases().reverse_complement(TEXT))
    assert one.name == other.name and one.log_odds == pytest.approx(other.log_odds)
    assert np.allclose(one.changes, other.changes[::-1, ::-1])  # in the order A C G T what binds stands opposite


def test_it_is_in_the_report_and_in_the_page_of_a_server() -> None:
    model = made()
    found = inspect_model(model, TEXT)
    assert found.mutations is not None
    assert found.as_json()["mutations"]["name"] == found.mutations.name
    assert found.mutations.conclusion in summary(found)
    drawn = page(found)
    assert "What a change of a base would do" in drawn and 'class="cell minus"' in drawn
    assert "gives other steps than the input has" in found.left_out["gradient_flow"]
    sent = brief(model, TEXT)
    assert np.allclose(sent["mutations"]["changes"], found.mutations.changes)
    assert sent["mutations"]["largest"] == found.mutations.largest


def test_what_has_no_bases_is_refused() -> None:
    model = made()
    with pytest.raises(DataError, match=r"a sequence of 2,001 bases, expected 2,000 at most"):
        mutations(model, "A" * 2001)
    model.codecs._codecs["input"] = object()
    assert not is_of_bases(model)
    with pytest.raises(ConfigError, match="this is none"):
        mutations(model, TEXT)
