"""Hashes that exported files carry, so that whoever loads one notices that it has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

# The keys of the hashes among the facts about the weights. That of the facts covers the other.
WEIGHTS, FACTS = "weights_sha256", "facts_sha256"


def hash_weights(weights: Mapping[str, Tensor], names: Iterable[str]) -> str:
    """Hash the names, types, shapes and bytes of these tensors, in this order."""
    digest = hashlib.sha256()
    for name in names:
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def with_hash(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts with a hash of all of them."""
    return {**facts, FACTS: _hash_facts(facts)}


def are_intact(facts: Mapping[str, Any]) -> bool:
    """Whether the facts have the hash that they carry, if they carry one."""
    rest = {key: value for key, value in facts.items() if key != FACTS}
    return FACTS not in facts or facts[FACTS] == _hash_facts(rest)


def has_hashes(facts: Mapping[str, Any], weights: Mapping[str, Tensor]) -> bool:
    """Whether the facts carry hashes; a ValueError if they or the weights have others."""
    if WEIGHTS not in facts and FACTS not in facts:
        return False
    if facts.get(WEIGHTS) != hash_weights(weights, sorted(weights)) or not are_intact(facts):
        raise ValueError("damaged since it was written (SHA-256 differs)")
    return True


def _hash_facts(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
