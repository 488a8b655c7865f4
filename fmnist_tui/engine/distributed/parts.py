"""What the learners of several processes share before the first step, and what each evaluates."""

from __future__ import annotations

from fmnist_tui.data.dataset import Split
from fmnist_tui.engine.compute.loader import DeviceSplit
from fmnist_tui.engine.compute.uploads import UPLOADS
from fmnist_tui.engine.training.learner import Learner
from fmnist_tui.util.errors import UserError


def share_state(learner: Learner) -> None:
    """Give all processes of the run the state of the first."""
    are_augmented = learner.images.are_augmented
    payload = learner.processes.share_state(
        lambda: {**learner.full_payload(), "are_augmented": are_augmented}
    )
    if payload is None:
        return
    theirs, own = payload["about"], learner.info.to_dict()
    for table in (theirs, own):
        del table["config"]
    if theirs != own:
        raise UserError("the images here are not those that the first process has")
    if payload["are_augmented"] != are_augmented:
        raise UserError("augment_once: there is room for these images in some processes only")
    learner.restore(payload, "the state of the first process")


def own_part(learner: Learner, split: Split) -> DeviceSplit | None:
    """The part of a split, on the device, that this process evaluates; None if it is empty."""
    device = learner.device.torch_device
    if not len(split):
        return None
    if not learner.processes.place.is_several:
        return UPLOADS.get(split, device)
    rows = learner.processes.share(len(split))
    arrays = (split.images[rows], split.labels[rows], split.indices[rows])
    return DeviceSplit(Split(split.name, *arrays), device)
