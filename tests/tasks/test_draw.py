"""The task that draws pictures: its bound, what is drawn at random and by which seed, its answers, its refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from recurra.data.fields import Codecs
from recurra.errors import ConfigError, DataError, UnknownName
from recurra.nn.chance import normal, seeds_of, uniform
from recurra.nn.identity import Identity
from recurra.nn.number_embedder import NumberEmbedder
from recurra.tasks.draw import BETWEEN, Draw, DrawOptions
from recurra.types import Batch, Sizes

H, W = 4, 5


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def made(**settings: Any) -> tuple[Any, Any, Draw]:
    torch.manual_seed(1)
    sizes = Sizes(width=W, rows=H)
    embedder, core = NumberEmbedder().build(sizes), Identity()
    core.output_size = W
    task = Draw(**{"steps": 3, "latent": 2, "hidden_size": 4, **settings}).build(Sizes(width=W, rows=H, core=W))
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4)
    return embedder, core, task.eval()


def batch(count: int = 4, **fields: Any) -> Batch:
    x = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (count, H, W)).astype(np.float32)) / 255
    return Batch({"input": x, **fields})


def codecs() -> Codecs:
    return Codecs(made()[2].fields).fit([{"image": np.zeros((H, W), np.uint8)}])


@pytest.mark.parametrize("binarise", ["drawn", "once", "none"])
def test_a_score_is_the_bound_by_the_seed_of_each_picture(binarise: str) -> None:
    embedder, core, task = made(binarise=binarise)
    given = batch()
    x = given.fields["input"]
    seeds = seeds_of(x)
    if binarise != "none":
        x = (uniform(seeds, (H, W), x) < x).float()
    drawn = task.network.encode(x.flatten(1), x.flatten(1), normal(seeds, (3, 2), x))
    p = torch.distributions.Bernoulli(logits=drawn.canvases[-1], validate_args=False)
    again, kl = -p.log_prob(x.flatten(1)).sum(), torch.stack(drawn.kl).sum()
    found = task.measure(embedder, core, given)
    assert float(found.loss) == pytest.approx(float(again + kl), rel=1e-5)
    assert (found.targets, found.sequences) == (4, 4)
    scores = task.metrics(float(found.loss), 4, {name: float(value) for name, value in found.details.items()}).metrics
    assert scores["nats_per_picture"] == pytest.approx(scores["reconstruction"] + scores["kl"], rel=1e-5)
    assert scores["kl"] == pytest.approx(float(kl) / 4, rel=1e-5)
    torch.rand(7)
    assert torch.equal(task.measure(embedder, core, given).loss, found.loss)


def test_training_draws_bits_and_codes_anew_each_time() -> None:
    embedder, core, task = made()
    task.train()
    torch.manual_seed(0)
    losses = [task(embedder, core, batch()).loss for _ in range(2)]
    torch.manual_seed(0)
    assert torch.equal(task(embedder, core, batch()).loss, losses[0])
    assert losses[0] != losses[1]


@pytest.mark.parametrize(("binarise", "alike"), [("drawn", False), ("once", True), ("none", True)])
def test_what_is_shown_in_training(binarise: str, alike: bool) -> None:
    _, _, task = made(binarise=binarise)
    task.train()
    one, two = (task._shown(batch())[0] for _ in range(2))
    assert torch.equal(one, two) == alike
    assert (binarise == "none") == (not bool(torch.isin(one, torch.tensor([0.0, 1.0])).all()))
    if binarise == "once":
        assert torch.equal(one, task.eval()._shown(batch())[0])


def test_the_canvas_begins_at_how_bright_pixels_are() -> None:
    _, _, task = made()
    encoded = [{"input": np.full((H, W), value, np.float32)} for value in (0.0, 0.5, 1.0, 1.0)]
    encoded[0]["input"][0, 0] = 1
    task.begin_from(encoded)
    canvas = torch.sigmoid(task.network.canvas.detach()).view(H, W)
    assert float(canvas[1, 1]) == pytest.approx(0.625)
    assert float(canvas[0, 0]) == pytest.approx(0.875)
    task.begin_from([{"input": np.zeros((H, W), np.float32)}])
    assert float(torch.sigmoid(task.network.canvas.detach()).min()) == pytest.approx(1e-3)


def test_what_is_asked_by_seeds_is_the_same_alone_and_among_others() -> None:
    embedder, core, task = made(read=2, write=2)
    seeds = torch.tensor([[5], [6], [7], [8]])
    whole = task.ask(embedder, core, batch(seed=seeds))
    x = batch().fields["input"]
    alone = task.ask(embedder, core, Batch({"input": x[2:3], "seed": seeds[2:3]}))
    for name, each in whole.items():
        assert torch.allclose(each[2:3], alone[name], atol=1e-6), name
    assert whole["again"].shape == whole["drawn"].shape == (4, 3, H, W)
    assert whole["between"].shape == (4, BETWEEN, H, W)
    assert whole["kl"].shape == (4, 3)
    assert whole["looked_at"].shape == whole["written_at"].shape == (4, 3, 4)
    new = task.network.decode(normal([5, 6, 7, 8], (3, 2), x)).stacked("canvases")
    assert torch.allclose(whole["drawn"].flatten(2), torch.sigmoid(new), atol=1e-6)


def test_the_way_from_a_picture_to_another_begins_at_one_and_ends_at_the_other() -> None:
    embedder, core, task = made()
    x = batch().fields["input"]
    there = task.ask(embedder, core, Batch({"input": x, "towards": x.flip(0)}))["between"]
    back = task.ask(embedder, core, Batch({"input": x.flip(0), "towards": x}))["between"]
    assert torch.allclose(there, back.flip(1), atol=1e-6)
    still = task.ask(embedder, core, Batch({"input": x}))["between"]
    assert torch.allclose(still, still[:, :1].expand_as(still), atol=1e-6)
    assert not torch.allclose(there[:, 0], there[:, -1], atol=1e-3)
    assert torch.allclose(there[:, 0], still[:, 0], atol=1e-6)


def test_what_is_asked_of_nothing_of_pictures_and_between_them() -> None:
    _, _, task = made()
    known, one = codecs(), {"image": np.full((H, W), 9, np.uint8), "place": "a"}
    new = task.imagined([None], known, DrawOptions(n=3, seed=4))
    assert [each["asked"] for each in new] == ["drawn"] * 3
    assert len({each["seed"][0] for each in new}) == 3
    assert [each["seed"] for each in task.imagined([one], known, DrawOptions(n=3, seed=4))] == [
        each["seed"] for each in new
    ]
    assert task.imagined([None], known, DrawOptions(seed=5))[0]["seed"] != new[0]["seed"]
    other = {"image": np.zeros((H, W), np.uint8)}
    (between, back) = task.imagined([one, other, one], known, DrawOptions(between=True))
    assert between["image"] is one["image"] and between["towards"] is other["image"]
    assert back["image"] is other["image"]
    for given, said in (([one], "one is given"), ([None], "none is given")):
        with pytest.raises(ConfigError, match=f"between goes from one picture to the next, but {said}"):
            task.imagined(given, known, DrawOptions(between=True))


def test_answers_show_the_canvas_in_time() -> None:
    embedder, core, task = made()
    known, options = codecs(), DrawOptions(seed=1)
    one = {"image": np.full((H, W), 200, np.uint8)}
    for given, wanted in ((None, "drawn"), (one, "again")):
        examples = task.imagined([given], known, options)
        encoded = known.encode_all(examples)
        fields = {name: torch.from_numpy(np.stack([each[name] for each in encoded])) for name in known}
        asked = task.ask(embedder, core, Batch(fields))
        (answer,) = task.answers(asked, examples, known, options)
        (picture,) = answer.parts
        assert len(picture.frames) == 3
        assert np.array_equal(picture.pixels, picture.frames[-1])
        assert np.array_equal(picture.pixels, asked[wanted][0, -1].numpy())
        assert answer["drawn"] == wanted
        assert ("kl" in answer) == (wanted == "again")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "task.steps = 0, expected 1 to 1,000: a canvas takes a step"),
        ({"latent": 0}, "task.latent = 0, expected 1 or more"),
        ({"hidden_size": -1}, "task.hidden_size = -1, expected 1 or more"),
        ({"read": -1}, "task.read = -1, expected 1 to 64 filters"),
        ({"write": 65}, "task.write = 65, expected 1 to 64 filters"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Draw(**settings)


def test_cells_that_are_none() -> None:
    with pytest.raises(UnknownName, match="unknown cell 'lstn': did you mean 'lstm'"):
        Draw(cell="lstn")
    with pytest.raises(UnknownName, match="unknown cell 'grw'"):
        Draw(decoder_cell="grw")


def test_what_is_no_picture_and_a_window_over_what_is_none() -> None:
    with pytest.raises(ConfigError, match="learns pictures of one size, but the input is something else"):
        Draw().build(Sizes(width=5, core=5))
    with pytest.raises(ConfigError, match="the core gives 9 numbers for a row of 5 pixels"):
        Draw(read=2).build(Sizes(width=5, rows=4, core=9))
    with pytest.raises(DataError, match="over 0 pictures means nothing"):
        Draw().metrics(0.0, 0, {})


@pytest.mark.parametrize("options", [{"n": 0}, {"n": 10_001}, {"seed": -1}])
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(options))} = "):
        DrawOptions(**options)
