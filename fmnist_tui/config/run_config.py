"""RunConfig: all settings of a training run, declared once.

Recipes and run folders (TOML), the environment, flags and forms derive from the fields below.
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from fmnist_tui.config import dataset_catalog, plugins, validators
from fmnist_tui.config.problems import ConfigError, ConfigProblem
from fmnist_tui.util.errors import did_you_mean

DEVICES = "auto, cpu, mps, cuda or cuda:N"
_DEVICE_PATTERN = r"^(auto|cpu|mps|cuda(:\d+)?)$"


def _field(default: Any, about: str, group: str | None = None, **limits: Any) -> Any:
    """A setting; `group` starts a group, which the settings after it belong to."""
    return Field(default, description=about, title=group, **limits)


class RunConfig(BaseModel):
    """The settings of a run. Immutable; `changed()` makes a variant."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    recipe: str = _field("custom", "name of the recipe", group="run", min_length=1, max_length=60)
    seed: int = _field(0, "seed of weights, batch order and augmentation", ge=0, le=2**32 - 1)

    dataset: validators.DatasetName = _field("fashion", "dataset", group="data")
    classes: validators.ClassNumbers = _field(
        None, "only these classes (numbers or names, in this order)"
    )
    val_fraction: float = _field(
        dataset_catalog.DEFAULT_VALIDATION,
        "share of the train split used for validation",
        ge=0,
        le=0.5,
    )
    split_seed: int = _field(0, "seed of the validation split", ge=0, le=2**32 - 1)
    limit: int | None = _field(None, "train on this many images only (stratified)", ge=1)
    input_size: int = _field(
        dataset_catalog.IMAGE_SIDE,
        "side length that the images of a folder: dataset are scaled to",
        ge=8,
        le=256,
    )
    colour: bool = _field(False, "read a folder: dataset in colour")

    model: validators.ModelName = _field("two-conv", "model", group="model")
    width: float = _field(1.0, "factor on the model's hidden widths", gt=0, le=16)
    dropout: float = _field(0.0, "share of activations dropped", ge=0, lt=1)

    epochs: int = _field(5, "passes over the training images", group="training", ge=1, le=100_000)
    batch_size: int = _field(256, "images per step", ge=1, le=65_536)
    optimizer: validators.OptimiserName = _field("adamw", "optimiser")
    lr: float = _field(3e-3, "peak learning rate", gt=0, le=100)
    momentum: float = _field(0.9, "momentum of sgd and muon", ge=0, lt=1)
    weight_decay: float = _field(0.0, "weight decay", ge=0, le=10)
    schedule: Literal["constant", "onecycle", "cosine", "linear", "step"] = _field(
        "constant", "learning rate schedule"
    )
    warmup: float = _field(0.0, "share of the run in which the learning rate rises", ge=0, lt=1)
    label_smoothing: float = _field(0.0, "share of each target spread over all classes", ge=0, lt=1)
    clip_norm: float = _field(0.0, "largest gradient norm; 0 for no limit", ge=0)
    ema: float = _field(0.0, "decay of averaged weights, used to evaluate; 0 for none", ge=0, lt=1)
    lookahead: int = _field(
        0, "go on from the averaged weights after this many steps; 0 for never", ge=0, le=10_000
    )
    patience: int = _field(0, "stop after this many epochs without improvement; 0 for never", ge=0)

    start: str | None = _field(None, "initial weights", group="transfer", min_length=1)
    freeze: validators.PartNames = _field("", "parts that are not trained")
    renew: validators.PartNames = _field("", "parts to reinitialise, besides a new head")
    body_lr: float = _field(1.0, "factor on the learning rate of all but the new parts", gt=0, le=1)

    flip: bool = _field(False, "mirror left and right at random", group="augmentation")
    alternate_flip: bool = _field(False, "flip each image in every other epoch, not at random")
    shift: int = _field(0, "shift by up to this many pixels, filled with black", ge=0, le=64)
    crop: int = _field(0, "shift by up to this many pixels, filled by mirroring", ge=0, le=64)
    rotate: float = _field(0.0, "rotate by up to this many degrees", ge=0, le=180)
    scale: float = _field(0.0, "grow or shrink by up to this share", ge=0, lt=1)
    erase: float = _field(0.0, "probability that a random box is erased", ge=0, le=1)
    mixup: float = _field(0.0, "strength of blending pairs of images; 0 for none", ge=0, le=10)
    cutmix: float = _field(0.0, "strength of pasting boxes between images; 0 for none", ge=0, le=10)
    fmix: float = _field(0.0, "strength of pasting areas between images; 0 for none", ge=0, le=10)
    augment_once: bool = _field(
        False, "augment all images as an epoch begins, not each batch (mixing stays with the batch)"
    )

    tta: Literal["none", "flip", "flip+shift", "selective"] = _field(
        "none",
        "averaged views of an image (selective: shift only if unsure)",
        group="evaluation",
    )
    test: bool = _field(True, "evaluate the finished run on the test split")

    device: str = _field(
        "auto", f"where to train: {DEVICES}", group="machine", pattern=_DEVICE_PATTERN
    )
    devices: int = _field(1, "GPUs, or CPU processes, that one run trains on", ge=1, le=64)
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = _field(
        "auto", "number format of the network; auto is bf16 if the hardware supports it"
    )
    deterministic: bool = _field(True, "on NVIDIA, use only kernels whose results repeat")
    compile: bool = _field(False, "compile the model first (pays on long runs)")
    cuda_graph: bool = _field(True, "on NVIDIA, run steps as CUDA graphs")
    threads: int | None = _field(
        None, "CPU threads; all are those that other programs leave free", ge=1, le=1024
    )
    checkpoint_seconds: float = _field(
        30.0, "longest time between saves of the last checkpoint", ge=0
    )

    @model_validator(mode="after")
    def _check_conflicts(self) -> Self:
        if conflicts := [*_conflicts(self)]:
            values = self.model_dump(mode="json")
            problems = [ConfigProblem(key, values[key], message) for key, message in conflicts]
            raise PydanticCustomError("conflict", "{text}", {"text": "", "problems": problems})
        return self

    @classmethod
    def build(cls, values: Mapping[str, Any], where: str = "") -> RunConfig:
        """A config from plain values; a ConfigError lists every problem."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise ConfigError(list(_explain(error)), where) from None

    @property
    def mixes_labels(self) -> bool:
        return any(getattr(self, name) for name in MIXING)

    def changed(self, **values: Any) -> RunConfig:
        """This config with some values replaced and checked again."""
        return RunConfig.build({**self.model_dump(), **values})

    def differences(self, other: RunConfig) -> dict[str, tuple[Any, Any]]:
        """The keys in which two configs differ, with both values."""
        mine, theirs = self.model_dump(), other.model_dump()
        return {key: (mine[key], theirs[key]) for key in mine if mine[key] != theirs[key]}


FIELDS = RunConfig.model_fields
# The settings that change each image by itself.
AUGMENTING = ("flip", "shift", "crop", "rotate", "scale", "erase")
# The settings that blend the images of a batch, and their labels.
MIXING = ("mixup", "cutmix", "fmix")


def setting_group(name: str) -> str:
    """The group of a setting: its heading in forms and help pages."""
    names = list(FIELDS)
    titles = (FIELDS[key].title for key in reversed(names[: names.index(name) + 1]))
    return next(filter(None, titles), "")


def setting_type(name: str) -> type:
    """The plain type of a setting: bool, int, float, str or tuple."""
    hint: Any = FIELDS[name].annotation
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    origin = get_origin(hint) or hint
    return origin if isinstance(origin, type) else str


def setting_choices(name: str) -> tuple[str, ...]:
    """The allowed words of a setting, if they can be listed."""
    if name == "dataset":
        return tuple(dataset_catalog.DATASETS)
    if name in ("model", "optimizer"):
        return plugins.plugin_names("models" if name == "model" else "optim")
    hint = FIELDS[name].annotation
    return get_args(hint) if get_origin(hint) is Literal else ()


# Of these settings, no value is no restriction.
_UNRESTRICTED = ("classes", "limit", "threads")


def absent_word(name: str) -> str:
    """What a setting that has no value is called: `none`, or `all` where nothing is left out."""
    return "all" if name in _UNRESTRICTED else "none"


def is_optional(name: str) -> bool:
    return FIELDS[name].default is None


_ALLOWED = {
    "device": DEVICES,
    "classes": "class numbers or names separated by commas, or all",
    "start": "a run (id, part of its name, path), a checkpoint or a weights file, or none",
    **dict.fromkeys(("freeze", "renew"), f"{validators.ALLOWED_PARTS}, or none"),
}


def describe_allowed(name: str) -> str:
    """The allowed values of a setting in words: `a whole number from 1 to 65,536`."""
    if name in _ALLOWED:
        return _ALLOWED[name]
    if setting_choices(name):
        return "one of " + ", ".join(setting_choices(name))
    kinds = {bool: "true or false", int: "a whole number", float: "a number"}
    text = kinds.get(setting_type(name), "text")
    limits = {
        limit: getattr(rule, limit)
        for rule in FIELDS[name].metadata
        for limit in ("ge", "gt", "le", "lt", "min_length", "max_length")
        if getattr(rule, limit, None) is not None
    }
    if "max_length" in limits:
        text += f" of {limits.get('min_length', 0)} to {limits['max_length']} characters"
    if "ge" in limits and "le" in limits:
        text += f" from {limits['ge']:,} to {limits['le']:,}"
    elif "gt" in limits:
        text += f" above {limits['gt']:,}"
        text += f", at most {limits['le']:,}" if "le" in limits else ""
    elif "ge" in limits:
        text += f" of {limits['ge']:,} or more"
        text += f", below {limits['lt']:,}" if "lt" in limits else ""
    return text + (f", or {absent_word(name)}" if is_optional(name) else "")


_SWITCH = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def parse_setting(name: str, text: str) -> Any:
    """A setting's value from text; text that does not fit its type is returned unchanged, for
    RunConfig to reject."""
    word = text.strip()
    if is_optional(name) and word.lower() in ("", "none", absent_word(name)):
        return None
    if FIELDS[name].default == "" and word.lower() == "none":
        return ""
    if word.startswith(("folder:", "idx:", "both:")):
        return text.lstrip()  # the blanks at the end of a path are part of it
    kind = setting_type(name)
    if kind is bool:
        return _SWITCH.get(word.lower(), text)
    try:
        return kind(word) if kind in (int, float, str) else text
    except ValueError:
        return text


def find_problems(values: Mapping[str, Any]) -> list[ConfigProblem]:
    """The problems of these values; empty if they make a RunConfig."""
    try:
        RunConfig.build(values)
    except ConfigError as error:
        return error.problems
    return []


def _explain(error: ValidationError) -> Iterator[ConfigProblem]:
    reported = set()
    for item in error.errors():
        if item["type"] == "conflict":
            yield from item["ctx"]["problems"]
            continue
        key = str(item["loc"][0]) if item["loc"] else ""
        if key in reported:
            continue
        reported.add(key)
        if item["type"] == "extra_forbidden":
            yield ConfigProblem(key, item["input"], f"no such setting{did_you_mean(key, FIELDS)}")
        elif item["type"] == "invalid":
            yield ConfigProblem(key, item["input"], item["msg"])
        else:
            yield ConfigProblem(key, item["input"], f"must be {describe_allowed(key)}")


def _conflicts(config: RunConfig) -> Iterator[tuple[str, str]]:
    """Settings that are valid but not together with others, and what is allowed."""
    info = dataset_catalog.find_dataset_info(config.dataset)
    if info is not None and not info.mirror:
        if config.flip:
            yield "flip", f"{info.title} must not be mirrored: allowed is false"
        if config.tta != "none":
            yield "tta", f"{info.title} must not be mirrored: allowed is none"
    if config.patience and not config.val_fraction:
        yield "patience", "needs a validation split: set val_fraction above 0, or patience to 0"
    if config.classes is not None and (message := _class_conflict(config.classes, info)):
        yield "classes", message
    if not config.dataset.startswith("folder:"):
        if config.input_size != dataset_catalog.IMAGE_SIDE:
            yield "input_size", f"{config.dataset} is 28×28: allowed is 28"
        if config.colour:
            yield "colour", f"{config.dataset} is grey: allowed is false"
    for key in ("shift", "crop"):
        if getattr(config, key) >= config.input_size:
            yield key, f"must be below the image's side ({config.input_size})"
    mixing = [name for name in MIXING if getattr(config, name)]
    if len(mixing) > 1:
        yield mixing[-1], f"cannot be used with {mixing[0]}: set one of them to 0"
    if config.lookahead and not config.ema:
        yield "lookahead", "needs averaged weights: set ema above 0, or lookahead to 0"
    if info is not None and info.train and config.limit is not None:
        most = math.ceil(info.train * (1 - config.val_fraction))
        if config.limit > most:
            yield "limit", f"{info.name} leaves {most:,} training images at most"
    if config.freeze and config.start is None:
        yield "freeze", "there are no weights to keep: set start, or freeze nothing"
    if config.renew and config.start is None:
        yield "renew", "without a start every part is new: leave it empty"
    if config.body_lr != 1 and validators.BODY in config.freeze.split(", "):
        yield "body_lr", "all but the head is frozen: allowed is 1"


def find_doubts(config: RunConfig) -> Iterator[str]:
    """Settings that do nothing, or hardly what was meant, a line for each."""
    for name in plugins.unused_settings(config.model):
        if (value := getattr(config, name)) != FIELDS[name].default:
            yield f"{name} = {value:g} does nothing: {config.model} has no such setting"
    if config.alternate_flip and not config.flip:
        yield "alternate_flip does nothing: flip is off"
    if config.augment_once and not any(getattr(config, name) for name in AUGMENTING):
        yield "augment_once does nothing: no image is augmented by itself"
    if config.optimizer == "renormalised-muon" and config.weight_decay:
        yield (
            f"weight_decay = {config.weight_decay:g} does nothing: renormalised-muon keeps the"
            " size of the weights"
        )
    if config.body_lr != 1 and config.start is None:
        yield (
            f"body_lr = {config.body_lr:g} slows down all but the head: without a start, those"
            " parts are new too"
        )


def _class_conflict(classes: tuple[int, ...], info: dataset_catalog.DatasetInfo | None) -> str:
    if len(set(classes)) != len(classes):
        return "names a class twice"
    if len(classes) < 2:
        return "must be two classes or more"
    if min(classes) < 0:
        return "class numbers start at 0"
    if info is not None and max(classes) >= len(info.classes):
        return f"{info.name} has the classes 0 to {len(info.classes) - 1}"
    return ""
