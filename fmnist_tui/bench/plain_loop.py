"""The textbook training loop: torchvision's dataset, a DataLoader, Adam.

Run as `python -m fmnist_tui.bench.plain_loop ROOT MODEL BATCH IMAGES EPOCHS`; prints images per
second of each epoch. It is the baseline: not slowed down on purpose, nor tuned with knowledge from
this program.
"""

from __future__ import annotations

import json
import math
import sys
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

from fmnist_tui.config import plugins
from fmnist_tui.engine.models import ModelSpec


def one_conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 13 * 13, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def two_conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 5 * 5, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def build_model(name: str) -> nn.Module:
    """The textbook version of a model if there is one, else this program's."""
    textbook = {"one-conv": one_conv, "two-conv": two_conv}
    if name in textbook:
        return textbook[name]()
    return plugins.build_plugin("models", name, nn.Module, ModelSpec(1, 28, 10))


class PlainLoop:
    """Model, data and optimiser, and the loop over them."""

    def __init__(self, root: str, name: str, batch: int, images: int, device: torch.device) -> None:
        transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))]
        )
        data = datasets.FashionMNIST(root, train=True, download=False, transform=transform)
        self.loader = DataLoader(Subset(data, range(images)), batch_size=batch, shuffle=True)
        self.network = build_model(name).to(device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)
        self.device = device

    def train_epoch(self, seconds: float = math.inf) -> int:
        """Train an epoch, or as much of it as fits into these seconds; returns the images."""
        start, count, running_loss = time.perf_counter(), 0, 0.0
        for inputs, labels in self.loader:
            inputs, labels = inputs.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self.network(inputs), labels)
            loss.backward()
            self.optimizer.step()
            running_loss += loss.item()
            count += len(labels)
            if time.perf_counter() - start >= seconds:
                break
        return count


def main(root: str, name: str, batch: int, images: int, epochs: int) -> list[float]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loop = PlainLoop(root, name, batch, images, device)
    speeds = []
    for _ in range(epochs):
        start = time.perf_counter()
        speeds.append(loop.train_epoch() / (time.perf_counter() - start))
    return speeds


if __name__ == "__main__":
    root, name, batch, images, epochs = sys.argv[1:]
    print(json.dumps({"images_per_second": main(root, name, int(batch), int(images), int(epochs))}))
