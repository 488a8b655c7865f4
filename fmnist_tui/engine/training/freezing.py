"""The parts of a network: its head, its body, and the parts that training must not change.

A frozen part learns nothing and keeps its batch statistics: modules that hold any are kept in
evaluation mode permanently. A hash over every name, type, shape and byte proves that nothing
has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import partial

import torch
from torch import Tensor, nn

from fmnist_tui.config.validators import BODY, CONVOLUTIONS, DENSE
from fmnist_tui.engine.checkpoints.weights_hash import hash_weights
from fmnist_tui.util.errors import UserError, did_you_mean
from fmnist_tui.util.text import safe_text

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
# Norms of feature maps; norms of dense layers do not belong to the convolutions.
_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.InstanceNorm2d, nn.InstanceNorm3d)
_DENSE = (nn.Linear, nn.BatchNorm1d)
_MAX_LISTED = 12


def head_name(model: nn.Module) -> str:
    """The name of the layer that outputs the classes: the last dense layer or convolution."""
    kinds, modules = (nn.Linear, *_CONVOLUTIONS), model.named_modules()
    layers: list[str] = [name for name, module in modules if isinstance(module, kinds)]
    if not layers:
        raise UserError("the model has neither a dense layer nor a convolution as its head")
    return layers[-1]


def tensor_names(model: nn.Module, module: str) -> set[str]:
    """The names of all parameters and buffers inside a module."""
    prefix = f"{module}." if module else ""
    return {name for name in model.state_dict() if name.startswith(prefix)}


def use_body_lr(
    model: nn.Module, optimizer: torch.optim.Optimizer, body_lr: Tensor, renew: str
) -> None:
    """Give all parameters but those of the head and of `renew` (the setting) another rate."""
    new = tensor_names(model, head_name(model)) | select_tensors(model, renew, "renew")
    new_ids = {id(parameter) for name, parameter in model.named_parameters() if name in new}
    groups = []
    for group in optimizer.param_groups:
        for is_new, lr in ((True, group["lr"]), (False, body_lr)):
            parameters = [each for each in group["params"] if (id(each) in new_ids) == is_new]
            if parameters:
                groups.append({**group, "params": parameters, "lr": lr})
    optimizer.param_groups[:] = groups


class FrozenParts:
    """The frozen parts of a network, with the hash that proves that they have not changed."""

    def __init__(self, model: nn.Module, freeze: str) -> None:
        """Freeze the parts named by the setting `freeze`; raise a UserError if impossible."""
        self.setting = freeze
        names = select_tensors(model, freeze, "freeze")
        if all(name in names for name, _ in model.named_parameters()):
            raise UserError(f"freeze = {freeze!r} leaves nothing to learn: {_list_parts(model)}")
        # In the model's order, so that the hash does not depend on how the parts were named.
        self.names = tuple(name for name in model.state_dict() if name in names)
        self.sha256 = ""
        for name, parameter in model.named_parameters():
            if name in names:
                parameter.requires_grad_(False)
        for name, module in model.named_modules():
            own = {f"{name}.{buffer}".lstrip(".") for buffer, _ in module.named_buffers("", False)}
            if own & names:
                _keep_in_eval_mode(module)

    def record_hash(self, state: Mapping[str, Tensor]) -> str:
        """Store the hash of the frozen parts, unless a checkpoint had the hash of the start of
        the run; returns a note for the run's record."""
        self.sha256 = self.sha256 or self.hash_state(state)
        count = sum(state[name].numel() for name in self.names)
        details = f"{self._count}, {count:,} numbers, sha256 {self.sha256[:16]}"
        return f"frozen: {self.setting} ({details})"

    def verify(self, *states: Mapping[str, Tensor]) -> tuple[bool, str]:
        """Whether the frozen parts are unchanged in all these states, with the hash as text."""
        hashes = (self.hash_state(state) for state in states)
        changed = next((digest for digest in hashes if digest != self.sha256), "")
        now = f" is now {changed[:16]}" if changed else ""
        return not changed, f"{self._count}, sha256 {self.sha256[:16]}{now}"

    def hash_state(self, state: Mapping[str, Tensor]) -> str:
        """Hash the frozen tensors in a state."""
        return hash_weights(state, self.names)

    @property
    def _count(self) -> str:
        return f"{len(self.names)} tensor{'s' if len(self.names) > 1 else ''}"


def select_tensors(model: nn.Module, words: str, setting: str) -> set[str]:
    """The names of the tensors that a setting (`freeze` or `renew`) selects."""
    return set().union(*(_select(model, word, setting) for word in words.split(", ") if word))


def _select(model: nn.Module, word: str, setting: str) -> set[str]:
    if word == BODY:
        names = set(model.state_dict()) - tensor_names(model, head_name(model))
    elif word in (CONVOLUTIONS, DENSE):
        names = set().union(*(tensor_names(model, layer) for layer in _layers(model, word)))
    else:
        modules = [name for name, _ in model.named_modules() if name]
        matches = [name for name in modules if fnmatchcase(name, word)]
        if not matches:
            hint = did_you_mean(word, (*modules, CONVOLUTIONS, DENSE, BODY))
            raise UserError(
                f"{setting}: there is no part {safe_text(word)!r}{hint} ({_list_parts(model)})"
            )
        names = set().union(*(tensor_names(model, name) for name in matches))
    if not names:
        raise UserError(f"{setting}: {safe_text(word)} has no weights here ({_list_parts(model)})")
    return names


def _layers(model: nn.Module, kind: str) -> Iterator[str]:
    """The layers that are convolutions (with their norms) or dense; a convolution that is the
    head counts as dense."""
    head = head_name(model)
    for name, module in model.named_modules():
        is_dense = name == head or isinstance(module, _DENSE)
        is_convolution = not is_dense and isinstance(module, (*_CONVOLUTIONS, *_NORMS))
        if is_dense if kind == DENSE else is_convolution:
            yield name


def _keep_in_eval_mode(module: nn.Module) -> None:
    """Put a module into evaluation mode; calling `train` on the whole model does not undo it."""
    module.eval()
    # On the instance, not the class: other modules of its class are trained as usual.
    module.train = partial(_ignore_train, module)  # type: ignore[method-assign]


def _ignore_train(module: nn.Module, mode: bool = True) -> nn.Module:
    return module


def _list_parts(model: nn.Module) -> str:
    """The model's parts with weights: `its parts are 0 (Conv2d), 3 (Conv2d), 8 (Linear)`."""
    parts = []
    for name, child in model.named_children():
        # The part that contains the head is listed by its own parts.
        inner = child.named_children() if head_name(model).startswith(f"{name}.") else ()
        parts += [(f"{name}.{part}", module) for part, module in inner] or [(name, child)]
    listed = [
        f"{name} ({type(part).__name__})" for name, part in parts if tensor_names(model, name)
    ]
    more = f" and {len(listed) - _MAX_LISTED} more" if len(listed) > _MAX_LISTED else ""
    return f"its parts are {', '.join(listed[:_MAX_LISTED])}{more}"
