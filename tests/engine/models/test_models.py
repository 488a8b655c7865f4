"""The built-in models and the adapted torchvision ones."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fmnist_tui.config import plugins, recipes
from fmnist_tui.engine.models import ModelSpec
from fmnist_tui.engine.models._torchvision import _refit_filters
from fmnist_tui.util.errors import UserError


@pytest.mark.parametrize("name", plugins.plugin_names("models"))
def test_every_model_accepts_grey_and_colour_images_and_returns_one_logit_per_class(
    name: str,
) -> None:
    for channels, size, classes in ((1, 28, 10), (3, 32, 3)):
        model = plugins.load_plugin("models", name).build(
            ModelSpec(channels, size, classes, 0.25, 0.1)
        )
        output = model(torch.rand(2, channels, size, size))
        assert output.shape == (2, classes)
        output.sum().backward()


@pytest.mark.parametrize("name", plugins.plugin_names("models"))
def test_width_scales_every_model(name: str) -> None:
    def count(width: float) -> int:
        model = plugins.load_plugin("models", name).build(ModelSpec(1, 28, 10, width))
        return sum(parameter.numel() for parameter in model.parameters())

    assert count(2.0) > count(1.0) or name == "linear"


def test_two_conv_has_the_parameters_of_the_published_network() -> None:
    model = plugins.load_plugin("models", "two-conv").build(ModelSpec(1, 28, 10))
    assert sum(parameter.numel() for parameter in model.parameters()) == 225_034


@pytest.mark.parametrize("name", recipes.recipe_names())
def test_a_recipe_tells_how_many_parameters_its_model_has(name: str) -> None:
    recipe = recipes.load_recipe(name)
    stages = {stage.name: stage.run for stage in recipe.stages}
    for measured in recipe.measured:
        stage = stages.get(measured.stage, {})
        values = {**recipe.values, **(recipe.gpu if measured.gpu else {}), **stage}
        classes, width = len(values.get("classes", range(10))), values.get("width", 1.0)
        model = plugins.load_plugin("models", values["model"])
        built = model.build(ModelSpec(1, 28, classes, width, values.get("dropout", 0.0)))
        assert sum(weight.numel() for weight in built.parameters()) == measured.parameters


def test_pooling_before_the_activation_gives_the_same_values() -> None:
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(F.relu(F.max_pool2d(x, 2)), F.max_pool2d(F.relu(x), 2))


def test_the_fast_model_whitens_the_patches_it_was_prepared_with() -> None:
    model = plugins.load_plugin("models", "fast").build(ModelSpec(1, 28, 10))
    images = F.avg_pool2d(torch.rand(64, 1, 30, 30), 3, stride=1) * 10
    model.prepare(images)
    patches = model.whitening(images).transpose(0, 1).flatten(1)[:9]
    # Patches overlap the border differently from how covariance saw them: loosely white.
    spread = torch.cov(patches)
    off_diagonal = spread - torch.diag(spread.diagonal())
    assert off_diagonal.abs().max() < 0.05
    assert spread.diagonal().min() > 0.3 and spread.diagonal().max() < 1.05


def test_a_whitening_of_few_outputs_keeps_the_strongest_directions_with_both_signs() -> None:
    images = F.avg_pool2d(torch.rand(64, 1, 30, 30), 3, stride=1) * 10
    few, whole = (
        plugins.load_plugin("models", name).build(ModelSpec(1, 28, 10)).whitening
        for name in ("fast-cpu", "fast")
    )
    for whitening in (few, whole):
        whitening.prepare(images)
    # whitened, the strong directions of patches have the smallest filters
    sizes = whole.weight[:9].flatten(1).norm(dim=1)
    assert torch.equal(sizes.sort(descending=True).values, sizes)
    assert torch.equal(few.weight, torch.cat([whole.weight[1:9], -whole.weight[1:9]]))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_a_torchvision_classifier_is_adapted_to_small_grey_images(name: str) -> None:
    model = plugins.load_plugin("models", f"torchvision:{name}").build(ModelSpec(1, 28, 10)).eval()
    assert model(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_an_unknown_torchvision_model_is_refused_with_similar_names() -> None:
    with pytest.raises(UserError, match="resnet18"):
        plugins.load_plugin("models", "torchvision:resnet17").build(ModelSpec(1, 28, 10))


def test_an_unknown_model_is_refused_with_similar_names() -> None:
    with pytest.raises(UserError, match=r"unknown model 'tow-conv'.*two-conv"):
        plugins.load_plugin("models", "tow-conv")


def test_filters_for_large_images_are_only_summed() -> None:
    filters = torch.randn(8, 3, 7, 7)
    shrunk, notes = _refit_filters(filters, torch.zeros(8, 1, 7, 7))
    assert shrunk.equal(filters.sum(1, keepdim=True))
    assert notes == ("the first filters' 3 channels summed to 1",)
    unchanged, notes = _refit_filters(filters, torch.zeros(8, 3, 7, 7))
    assert unchanged is filters and notes == ()


def test_a_shrunk_filter_responds_as_the_original_does_to_the_enlarged_image() -> None:
    filters, image = torch.randn(2, 1, 6, 6), torch.randn(1, 1, 3, 3)
    shrunk, _ = _refit_filters(filters, torch.zeros(2, 1, 3, 3))
    enlarged = nn.functional.interpolate(image, scale_factor=2, mode="nearest")
    response = nn.functional.conv2d(image, shrunk)
    assert torch.allclose(response, nn.functional.conv2d(enlarged, filters), atol=1e-5)
