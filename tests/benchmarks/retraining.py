"""Retraining the head, features once or every epoch: `python tests/benchmarks/retraining.py`.

32 photographs of data/photos through VGG16's stack. A plain pass: every picture read, preprocessed
and run through the stack once, under inference_mode. Ours: `extract_features`, then `fit_head` for
300 epochs. The naive loop: the frozen stack runs again in each of 20 epochs, the head is trained on
what comes out, batch by batch; the same pictures.
"""

import argparse
import statistics

import torch
from methods import markdown
from speed import CLOCKS
from torch import nn
from torch.utils.data import DataLoader, Subset

from camutils import (
    GAPClassifier,
    data_path,
    extract_features,
    fit_head,
    image_folder,
    load_vgg16_features,
)

PICTURES, EPOCHS, BATCH = 32, 20, 8


def plain_pass(features: nn.Module, loader: DataLoader) -> None:
    """Every picture through the stack, once."""
    with torch.inference_mode():
        for x, _ in loader:
            features(x)


def naive(features: nn.Module, loader: DataLoader, n_classes: int, epochs: int) -> None:
    """The loop that runs the frozen stack every epoch."""
    model = GAPClassifier(features, n_classes).train()
    optimizer = torch.optim.Adam(model.head.parameters(), lr=0.01, weight_decay=1e-4)
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()


def ours(features: nn.Module, loader: DataLoader, n_classes: int, epochs: int) -> None:
    """Features once, then the head alone."""
    activations, labels = extract_features(features, loader, progress=False)
    fit_head(activations, labels, n_classes=n_classes, epochs=epochs)


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two naive epochs, times ten")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: on a busy machine")
    options = parser.parse_args(arguments)
    clock = CLOCKS[options.clock]
    torch.set_num_threads(options.threads)
    features, preprocess = load_vgg16_features()
    folder = image_folder(data_path("photos"), preprocess)
    n_classes = len(folder.classes)
    step = len(folder) // PICTURES  # Spread over the classes.
    loader = DataLoader(Subset(folder, range(0, step * PICTURES, step)), batch_size=BATCH)
    timed = {
        "plain": lambda: plain_pass(features, loader),
        "1": lambda: ours(features, loader, n_classes, 1),
        "300": lambda: ours(features, loader, n_classes, 300),
    }
    seconds = {what: [] for what in timed}
    rounds, naive_epochs = (1, 2) if options.quick else (5, EPOCHS)
    plain_pass(features, loader)  # Warms up.
    for i in range(rounds):
        for what in list(timed)[i % 3 :] + list(timed)[: i % 3]:
            begin = clock()
            timed[what]()
            seconds[what].append(clock() - begin)
    begin = clock()
    naive(features, loader, n_classes, naive_epochs)
    slow = (clock() - begin) * EPOCHS / naive_epochs
    plain = statistics.median(seconds["plain"])
    rows = [["plain pass over the pictures", "0", f"{plain:.2f} s", "1", ""]]
    for epochs in ("1", "300"):
        ratios = [a / b for a, b in zip(seconds[epochs], seconds["plain"], strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        rows.append(
            [
                "features once (`extract_features`, `fit_head`)",
                epochs,
                f"{statistics.median(seconds[epochs]):.2f} s",
                f"{statistics.median(ratios):.2f}",
                spread,
            ]
        )
    rows.append(
        ["features every epoch", str(EPOCHS), f"{slow:.2f} s", f"{slow / plain:.1f}", "one run"]
    )
    print(f"\n### Retraining on {PICTURES} pictures, VGG16's stack\n")
    print(f"{options.threads} thread(s), {options.clock} clock.\n")
    print(markdown(["way", "epochs", "time", "multiple of the pass", "least to most"], rows))
    factor = slow / statistics.median(seconds["300"])
    print(
        f"\n{EPOCHS} epochs of the whole take {factor:.1f} times as long as 300 on features.",
        end=" ",
    )
    if naive_epochs < EPOCHS:
        print(f"({naive_epochs} of its {EPOCHS} epochs were run, the rest is scaled.)")


if __name__ == "__main__":
    main()
