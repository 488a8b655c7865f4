"""Models, optimisers, schedules, augmentation and averages, each by itself."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fmnist_tui.config import plugins
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Split
from fmnist_tui.engine.compute import augment
from fmnist_tui.engine.compute.augment import Augment, Targets
from fmnist_tui.engine.compute.ema import WeightAverage
from fmnist_tui.engine.compute.loader import BatchOrder, DeviceSplit, Normalisation
from fmnist_tui.engine.compute.schedule import schedule_factor
from fmnist_tui.engine.device import choose_device
from fmnist_tui.engine.models import ModelSpec
from fmnist_tui.engine.optim import OptimSpec
from fmnist_tui.util.errors import UserError
from tests.engine.support import blobs, config, learner

PLAIN = Normalisation((0.0,), (1.0,))


# -- models ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", plugins.names("models"))
def test_every_model_takes_grey_or_colour_images_and_gives_one_logit_a_class(name: str) -> None:
    for channels, size, classes in ((1, 28, 10), (3, 32, 3)):
        model = plugins.load("models", name).build(ModelSpec(channels, size, classes, 0.25, 0.1))
        answer = model(torch.rand(2, channels, size, size))
        assert answer.shape == (2, classes)
        answer.sum().backward()


@pytest.mark.parametrize("name", plugins.names("models"))
def test_every_model_gets_wider_with_width(name: str) -> None:
    def count(width: float) -> int:
        model = plugins.load("models", name).build(ModelSpec(1, 28, 10, width))
        return sum(parameter.numel() for parameter in model.parameters())

    assert count(2.0) > count(1.0) or name == "linear"


def test_two_conv_is_the_published_network() -> None:
    model = plugins.load("models", "two-conv").build(ModelSpec(1, 28, 10))
    assert sum(parameter.numel() for parameter in model.parameters()) == 225_034


def test_pooling_before_the_activation_changes_no_value() -> None:
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(F.relu(F.max_pool2d(x, 2)), F.max_pool2d(F.relu(x), 2))


def test_the_fast_model_whitens_the_patches_it_was_shown() -> None:
    model = plugins.load("models", "fast").build(ModelSpec(1, 28, 10))
    images = F.avg_pool2d(torch.rand(64, 1, 30, 30), 3, stride=1) * 10
    model.prepare(images)
    answers = model.whitening(images).transpose(0, 1).flatten(1)[:9]
    # Patches overlap the border differently from how covariance saw them: loosely white.
    spread = torch.cov(answers)
    off_diagonal = spread - torch.diag(spread.diagonal())
    assert off_diagonal.abs().max() < 0.05
    assert spread.diagonal().min() > 0.3 and spread.diagonal().max() < 1.05


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_a_torchvision_classifier_is_adapted_to_small_grey_images(name: str) -> None:
    model = plugins.load("models", f"torchvision:{name}").build(ModelSpec(1, 28, 10)).eval()
    assert model(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_an_unknown_torchvision_model_is_refused_with_the_near_names() -> None:
    with pytest.raises(UserError, match="resnet18"):
        plugins.load("models", "torchvision:resnet17").build(ModelSpec(1, 28, 10))


def test_an_unknown_model_is_refused_with_the_near_names() -> None:
    with pytest.raises(UserError, match=r"model 'tow-conv' is not known.*two-conv"):
        plugins.load("models", "tow-conv")


# -- optimisers and schedules ---------------------------------------------------------


@pytest.mark.parametrize("name", plugins.names("optim"))
def test_every_optimiser_learns_and_obeys_the_rate_tensor(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    rate = torch.tensor({"sgd": 0.1, "muon": 0.02}.get(name, 0.01))
    optimizer = plugins.load("optim", name).build(model, OptimSpec(rate, 0.9, 0.01))
    x, y = torch.randn(64, 8), torch.randint(4, (64,))

    def step() -> float:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.item()

    losses = [step() for _ in range(40)]
    assert losses[-1] < 0.8 * losses[0]
    rate.fill_(0.0)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    step()
    for old, new in zip(before, model.parameters(), strict=True):
        assert torch.equal(old, new)


def test_muon_moves_filters_along_orthogonal_matrices() -> None:
    muon = plugins.load("optim", "muon")
    for shape in ((8, 20), (20, 8)):
        values = torch.linalg.svdvals(muon.orthogonal(torch.randn(shape)))
        assert values.min() > 0.5 and values.max() < 1.4


def test_weight_decay_spares_biases_and_norms() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    spec = OptimSpec(torch.tensor(0.1), 0.9, 0.5)
    found = plugins.load("optim", "adamw").build(model, spec).param_groups
    assert [group["weight_decay"] for group in found] == [0.5, 0.0]
    assert [len(group["params"]) for group in found] == [1, 3]


def test_schedules_rise_where_they_should_and_end_low() -> None:
    total = 100
    courses = {
        name: [schedule_factor(name, step, total) for step in range(total)]
        for name in ("constant", "onecycle", "cosine", "linear", "step")
    }
    assert set(courses["constant"]) == {1.0}
    assert max(courses["onecycle"]) == courses["onecycle"][25] == 1.0
    assert courses["onecycle"][0] < 0.05
    assert courses["cosine"][0] == 1.0
    assert courses["step"][49:51] == [1.0, 0.1]
    for name in ("onecycle", "cosine", "linear", "step"):
        assert 0 < courses[name][-1] < 0.06
        falling = courses[name][25:]
        assert falling == sorted(falling, reverse=True)


def test_warm_up_rises_in_a_straight_line_to_the_peak() -> None:
    rise = [schedule_factor("constant", step, 100, warmup=0.1) for step in range(11)]
    assert rise == sorted(rise) and rise[-1] == 1.0
    assert rise[0] == pytest.approx(1 / 11)


# -- data on the device ---------------------------------------------------------------


def test_an_epoch_takes_every_image_once_and_each_epoch_has_its_own_order() -> None:
    order = BatchOrder(64, 16, seed=3, device=torch.device("cpu"))
    first, second = order.epoch_indices(0), order.epoch_indices(1)
    assert sorted(first.flatten().tolist()) == list(range(64))
    assert not torch.equal(first, second)
    assert torch.equal(
        first, BatchOrder(64, 16, seed=3, device=torch.device("cpu")).epoch_indices(0)
    )
    assert not torch.equal(
        first, BatchOrder(64, 16, seed=4, device=torch.device("cpu")).epoch_indices(0)
    )


def test_a_batch_larger_than_the_data_becomes_the_data() -> None:
    order = BatchOrder(10, 256, seed=0, device=torch.device("cpu"))
    assert (order.batch_size, order.steps_per_epoch, tuple(order.epoch_indices(0).shape)) == (
        10,
        1,
        (1, 10),
    )


def test_normalisation_is_the_training_images_mean_and_deviation() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3)).astype(np.uint8)
    split = Split("train", images, np.zeros(50, np.int64), np.arange(50))
    found = Normalisation.from_split(split)
    assert found.mean == pytest.approx(images.reshape(-1, 3).mean(0), abs=1e-3)
    assert found.std == pytest.approx(images.reshape(-1, 3).std(0), abs=1e-3)
    pixels = DeviceSplit(split, torch.device("cpu")).gather(torch.arange(50)).float()
    scaled = found.apply(pixels)
    assert scaled.mean((0, 2, 3)).abs().max() < 1e-3
    assert (scaled.std((0, 2, 3)) - 1).abs().max() < 1e-2


def test_images_on_the_device_are_the_images_of_the_split() -> None:
    dataset = blobs(20)
    data = DeviceSplit(dataset.train, torch.device("cpu"))
    wanted = torch.tensor([5, 2, 11])
    assert torch.equal(
        data.gather(wanted)[:, 0], torch.from_numpy(dataset.train.images[[5, 2, 11], :, :, 0])
    )
    assert data.gather(wanted).is_contiguous(memory_format=torch.channels_last)


# -- augmentation -----------------------------------------------------------------------


def _picture(change: dict[str, object], images: Tensor, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    settings = RunConfig.build({"dataset": "sketches", **change})
    return Augment(settings, PLAIN).transform(images)


def test_without_augmentation_images_stay_as_they_are() -> None:
    images = torch.randint(256, (8, 1, 28, 28), dtype=torch.uint8)
    assert torch.equal(_picture({}, images), images.float())


def test_a_flip_mirrors_about_half_of_the_images_and_nothing_else() -> None:
    images = torch.randint(256, (400, 1, 28, 28), dtype=torch.uint8)
    answer = _picture({"flip": True}, images)
    same = (answer == images).flatten(1).all(1)
    mirrored = (answer == images.flip(-1)).flatten(1).all(1)
    assert bool((same ^ mirrored).all())
    assert 150 < int(mirrored.sum()) < 250


@pytest.mark.parametrize(("key", "behind"), [("shift", "constant"), ("crop", "reflect")])
def test_each_image_moves_by_its_own_whole_pixels(key: str, behind: str) -> None:
    images = torch.randint(1, 256, (200, 1, 28, 28), dtype=torch.uint8)
    answer = _picture({key: 2}, images)
    seen = set()
    for image, moved in zip(images.float(), answer, strict=True):
        padded = F.pad(image, (2, 2, 2, 2), mode=behind)
        places = {
            (top, left)
            for top in range(5)
            for left in range(5)
            if torch.equal(padded[:, top : top + 28, left : left + 28], moved)
        }
        assert len(places) == 1
        seen |= places
    assert len(seen) == 25


def test_turning_and_scaling_keep_the_centre_and_stay_in_range() -> None:
    images = torch.zeros(50, 1, 28, 28, dtype=torch.uint8)
    images[:, :, 9:19, 12:16] = 200
    answer = _picture({"rotate": 30.0, "scale": 0.2}, images)
    assert answer.min() >= 0 and answer.max() <= 200.01
    rows = torch.arange(28.0).view(1, 1, -1, 1)
    centres = (answer * rows).sum((1, 2, 3)) / answer.sum((1, 2, 3))
    assert (centres - 13.5).abs().max() < 0.3
    assert answer.sum((1, 2, 3)).std() > 100, "sizes differ"


def test_erasing_fills_one_box_in_the_chosen_share_of_images() -> None:
    images = torch.zeros(300, 1, 28, 28, dtype=torch.uint8)
    answer = _picture({"erase": 0.5}, images)
    touched = answer.flatten(1).any(1)
    assert 100 < int(touched.sum()) < 200
    areas = (answer[touched] > 0).float().mean((1, 2, 3))
    assert areas.min() > 0.005 and areas.max() < 0.3


def test_mixup_blends_pictures_and_targets_by_the_same_share() -> None:
    images = torch.stack([torch.full((1, 8, 8), value) for value in (0, 100)]).to(torch.uint8)
    settings = RunConfig.build({"dataset": "sketches", "mixup": 1.0})
    pixels, targets = Augment(settings, PLAIN)(images, torch.tensor([0, 1]))
    assert targets.share is not None and targets.mixed_labels is not None
    assert pixels[0].mean() == pytest.approx(100 * (1 - float(targets.share[0])), rel=1e-4)
    assert targets.mixed_labels.tolist() == [1, 0]


def test_cutmix_counts_the_pixels_it_really_pasted() -> None:
    images = torch.stack([torch.full((1, 28, 28), value) for value in (0, 100)]).to(torch.uint8)
    settings = RunConfig.build({"dataset": "sketches", "cutmix": 1.0})
    pixels, targets = Augment(settings, PLAIN)(images, torch.tensor([0, 1]))
    assert targets.share is not None
    assert float((pixels[0] == 0).float().mean()) == pytest.approx(float(targets.share[0]))


def test_mixed_targets_weigh_both_losses() -> None:
    logits = torch.randn(4, 3)
    one, other = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 0, 2])
    half = Targets(one, other, torch.full((4,), 0.25)).loss(logits)
    expected = 0.25 * F.cross_entropy(logits, one) + 0.75 * F.cross_entropy(logits, other)
    assert half.item() == pytest.approx(expected.item(), rel=1e-5)


def test_augmentation_repeats_itself_for_the_same_generator_state() -> None:
    images = torch.randint(256, (16, 1, 28, 28), dtype=torch.uint8)
    change: dict[str, object] = {"flip": True, "shift": 2, "rotate": 9.0, "erase": 0.5}
    assert torch.equal(_picture(change, images, 5), _picture(change, images, 5))
    assert not torch.equal(_picture(change, images, 5), _picture(change, images, 6))


def test_beta_draws_lie_between_nothing_and_all() -> None:
    for strength in (0.1, 1.0, 5.0):
        draws = augment.beta(strength, 1000, torch.device("cpu"))
        assert draws.min() >= 0 and draws.max() <= 1
        assert draws.mean() == pytest.approx(0.5, abs=0.06)


# -- averages ---------------------------------------------------------------------------


def test_the_average_follows_the_weights_and_gives_them_back() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    held = model.state_dict()
    start = copy.deepcopy(held)
    average = WeightAverage(model, decay=0.75)
    held["0.weight"].add_(4.0)
    held["1.num_batches_tracked"].fill_(7)
    own = copy.deepcopy(model.state_dict())
    average.update()
    with average.applied():
        assert torch.allclose(held["0.weight"], start["0.weight"] + 1.0)
        assert int(held["1.num_batches_tracked"]) == 7
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, own[name])


# -- devices ----------------------------------------------------------------------------


def test_a_gpu_that_is_not_there_is_refused_in_one_line() -> None:
    if torch.cuda.is_available():
        with pytest.raises(UserError, match="GPUs, numbered from 0"):
            choose_device(config(device="cuda:99"))
    else:
        with pytest.raises(UserError, match=r"device cuda.*try --device cpu"):
            choose_device(config(device="cuda"))


def test_what_is_judged_in_single_precision_is_not_judged_in_tf32() -> None:
    backends: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn]
    before = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = True
        with choose_device(config()).disable_tf32():
            assert [backend.allow_tf32 for backend in backends] == [False, False]
        assert [backend.allow_tf32 for backend in backends] == [True, True]
    finally:
        for backend, was in zip(backends, before, strict=True):
            backend.allow_tf32 = was


def test_half_precision_on_a_cpu_is_refused() -> None:
    with pytest.raises(UserError, match="fp16"):
        choose_device(config(precision="fp16"))


@pytest.mark.parametrize(
    ("flags", "precision"), [("fpu avx512_bf16 sse", "bf16"), ("fpu avx2", "fp32"), ("", "fp32")]
)
def test_auto_precision_on_a_cpu_is_bf16_only_where_the_cpu_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, flags: str, precision: str
) -> None:
    monkeypatch.setattr("fmnist_tui.engine.device._cpuinfo", lambda field: flags)
    machine = choose_device(config(precision="auto", threads=1))
    assert (machine.precision, machine.cuda_graph, machine.threads) == (precision, False, 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_captured_graph_learns_what_eager_steps_learn() -> None:
    dataset = blobs(512)
    losses = []
    for graph in (False, True):
        settings = config(
            device="cuda", precision="fp32", cuda_graph=graph, model="custom-cnn", lr=1e-3
        )
        taught = learner(settings, dataset)
        step = taught.make_step()
        for epoch in range(2):
            for row in taught.order.epoch_indices(epoch):
                taught.apply_lr()
                step(row)
                taught.step += 1
        losses.append(step.read_totals()[0])
        assert step.is_captured == graph
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_the_same_step_runs_without_a_graph_on_a_cpu() -> None:
    taught = learner(config(cuda_graph=True), blobs(32))
    step = taught.make_step()
    for row in taught.order.epoch_indices(0):
        step(row)
    loss, hits = step.read_totals()
    assert not step.is_captured
    assert loss > 0 and 0 <= hits <= 32
    assert step.read_totals() == (0.0, 0.0), "reading starts a new sum"
