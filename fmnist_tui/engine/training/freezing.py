"""The parts of a network: its head and its body, and those that training is to leave alone.

A frozen part learns nothing, and its batch statistics stand still: the modules that hold
any are kept out of training mode for good. That nothing has moved is not taken on trust
but proven by a hash of every name, type, shape and byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import partial

import torch
from torch import Tensor, nn

from fmnist_tui.config.validators import BODY, CONVOLUTIONS, DENSE
from fmnist_tui.util.errors import UserError, did_you_mean
from fmnist_tui.util.text import safe_text

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
# Norms of feature maps; those of dense layers are no part of the convolutions.
_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.InstanceNorm2d, nn.InstanceNorm3d)
_DENSE = (nn.Linear, nn.BatchNorm1d)
_LISTED = 12


def head_name(model: nn.Module) -> str:
    """The name of the layer that the classes come out of: the last dense one, or the last
    convolution where there is no dense one behind it."""
    found: list[str] = [
        name
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, *_CONVOLUTIONS))
    ]
    if not found:
        raise UserError("the model has no dense layer and no convolution to be its head")
    return found[-1]


def tensor_names(model: nn.Module, part: str) -> set[str]:
    """The names of the parameters and buffers of a module and all in it."""
    prefix = f"{part}." if part else ""
    return {name for name in model.state_dict() if name.startswith(prefix)}


def use_body_lr(
    model: nn.Module, optimizer: torch.optim.Optimizer, rate: Tensor, renewed: str
) -> None:
    """Give everything but the head, and what the setting `renew` names, a rate of its own."""
    new = tensor_names(model, head_name(model)) | select_tensors(model, renewed, "renew")
    ahead = {id(parameter) for name, parameter in model.named_parameters() if name in new}
    divided = []
    for group in optimizer.param_groups:
        mine = [parameter for parameter in group["params"] if id(parameter) in ahead]
        rest = [parameter for parameter in group["params"] if id(parameter) not in ahead]
        if mine:
            divided.append({**group, "params": mine})
        if rest:
            divided.append({**group, "params": rest, "lr": rate})
    optimizer.param_groups[:] = divided


class FrozenParts:
    """Parts of one network that stay as they were, with the hash that proves it."""

    def __init__(self, model: nn.Module, wanted: str) -> None:
        """Freeze what `wanted` (the setting `freeze`) names; a UserError where it cannot be."""
        self.setting = wanted
        names = select_tensors(model, wanted, "freeze")
        if all(name in names for name, _ in model.named_parameters()):
            raise UserError(f"freeze = {wanted!r} leaves nothing to learn: {_parts(model)}")
        # In the order of the model, so that the hash does not depend on how they were named.
        self.names = tuple(name for name in model.state_dict() if name in names)
        self.sha256 = ""
        for name, parameter in model.named_parameters():
            if name in names:
                parameter.requires_grad_(False)
        for name, module in model.named_modules():
            own = {f"{name}.{buffer}".lstrip(".") for buffer, _ in module.named_buffers("", False)}
            if own & names:
                _hold(module)

    def record_hash(self, state: Mapping[str, Tensor]) -> str:
        """Remember what the parts are now, unless a checkpoint knew what they were at the very
        beginning; what the record is to say of it."""
        self.sha256 = self.sha256 or self.hash_state(state)
        count = sum(state[name].numel() for name in self.names)
        return (
            f"frozen: {self.setting} ({self._counted}, {count:,} numbers,"
            f" sha256 {self.sha256[:16]})"
        )

    def verify(self, *states: Mapping[str, Tensor]) -> tuple[bool, str]:
        """Whether the parts are in all these states what they were, and how that is said."""
        found = [self.hash_state(state) for state in states]
        changed = next((one for one in found if one != self.sha256), "")
        if changed:
            return False, f"{self._counted}, sha256 {self.sha256[:16]} is now {changed[:16]}"
        return True, f"{self._counted}, sha256 {self.sha256[:16]}"

    def hash_state(self, state: Mapping[str, Tensor]) -> str:
        """A hash over names, types, shapes and every byte of the frozen tensors in a state."""
        found = hashlib.sha256()
        for name in self.names:
            tensor = state[name].detach().cpu().contiguous()
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        return found.hexdigest()

    @property
    def _counted(self) -> str:
        return f"{len(self.names)} tensor{'s' if len(self.names) > 1 else ''}"


def select_tensors(model: nn.Module, words: str, setting: str) -> set[str]:
    """The tensors of the parts that a setting (`freeze` or `renew`) names."""
    return set().union(*(_meant(model, word, setting) for word in words.split(", ") if word))


def _meant(model: nn.Module, word: str, setting: str) -> set[str]:
    if word == BODY:
        found = set(model.state_dict()) - tensor_names(model, head_name(model))
    elif word in (CONVOLUTIONS, DENSE):
        found = set().union(*(tensor_names(model, name) for name in _layers(model, word)))
    else:
        modules = [name for name, _ in model.named_modules() if name]
        meant = [name for name in modules if fnmatchcase(name, word)]
        if not meant:
            hint = did_you_mean(word, (*modules, CONVOLUTIONS, DENSE, BODY))
            raise UserError(
                f"{setting}: there is no part {safe_text(word)!r}{hint} ({_parts(model)})"
            )
        found = set().union(*(tensor_names(model, name) for name in meant))
    if not found:
        raise UserError(f"{setting}: {safe_text(word)} has no weights here ({_parts(model)})")
    return found


def _layers(model: nn.Module, kind: str) -> Iterator[str]:
    """The layers that are convolutions, with their norms, or those that are dense; a
    convolution that is the head counts as dense."""
    last = head_name(model)
    for name, module in model.named_modules():
        if name == last or isinstance(module, _DENSE):
            found = DENSE
        elif isinstance(module, (*_CONVOLUTIONS, *_NORMS)):
            found = CONVOLUTIONS
        else:
            continue
        if found == kind:
            yield name


def _hold(module: nn.Module) -> None:
    """Put a module out of training mode, whatever `train` of the whole model says later."""
    module.eval()
    # On the instance, not the class: other modules of its kind are trained as usual.
    module.train = partial(_held, module)  # type: ignore[method-assign]


def _held(module: nn.Module, mode: bool = True) -> nn.Module:
    return module


def _parts(model: nn.Module) -> str:
    """The model's parts with weights: `its parts are 0 (Conv2d), 3 (Conv2d), 8 (Linear)`."""
    found = []
    for name, child in model.named_children():
        # Of the part that ends in the head the parts in it are told.
        inner = child.named_children() if head_name(model).startswith(f"{name}.") else ()
        found += [(f"{name}.{part}", module) for part, module in inner] or [(name, child)]
    listed = [
        f"{name} ({type(part).__name__})" for name, part in found if tensor_names(model, name)
    ]
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return f"its parts are {', '.join(listed[:_LISTED])}{more}"
