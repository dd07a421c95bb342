"""What both training runs share: averaged weights, checkpoints that resume to the letter, a log of losses."""

import copy
import csv
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

SAVE_SECONDS = 120
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# Parts of a batch. On a CPU each has a thread of its own: threads that share operators wait for each other often.
WORKERS = 2 if DEVICE.type == "cpu" else 1


def learning_rate(step: int, steps: int, warmup: int = 100, decay: float = 0.25) -> float:
    """Of its peak: linear warm-up, level, linear decay in the last part; `steps` may change as long as it is level."""
    return min(1.0, (step + 1) / warmup, max(0.02, (steps - step) / (decay * steps)))


def orthogonal(matrix: Tensor) -> Tensor:
    """About the nearest matrix with singular values 1: five Newton-Schulz steps (Jordan et al., Muon, 2024).

    A step is X ← p(XXᵀ) X. All p(XXᵀ) commute, so they are multiplied up on the small side, and X is touched twice.
    """
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
    square = x @ x.mT
    size, one = square.trace().clamp(min=1e-14), torch.eye(len(x), device=x.device)
    square, product = square / size, one / size.sqrt()
    for _ in range(5):
        step = 3.4445 * one - 4.7750 * square + 2.0315 * square @ square
        product, square = step @ product, step @ square @ step
    x = product @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.mT


class Muon(torch.optim.Optimizer):
    """Momentum whose every step is made orthogonal; a kernel counts as a matrix with a row for each output."""

    def __init__(self, parameters: list[Tensor], peak: float, momentum: float = 0.95):
        super().__init__(parameters, {"lr": peak, "momentum": momentum})
        self.workers = ThreadPoolExecutor(WORKERS)

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            list(self.workers.map(lambda p: self.update(p, group["lr"], group["momentum"]), group["params"]))

    @torch.no_grad()
    def update(self, parameter: Tensor, rate: float, momentum: float) -> None:
        state = self.state[parameter]
        mean = state.setdefault("mean", torch.zeros_like(parameter))
        mean.lerp_(parameter.grad, 1 - momentum)
        direction = orthogonal(parameter.grad.lerp(mean, momentum).flatten(1))
        rows, columns = direction.shape
        parameter.add_(direction.view_as(parameter), alpha=-rate * max(1, rows / columns) ** 0.5)


def optimizers(model: nn.Module, edges: tuple[str, ...]) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside; Adam for scales, biases, tables and layers at the edges, known by parts of names."""
    inside = [p for name, p in model.named_parameters() if p.dim() > 1 and not any(e in name for e in edges)]
    chosen = {id(p) for p in inside}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [Muon(inside, 0.02), torch.optim.Adam(rest, 2e-3, (0.9, 0.99), fused=True)]


class Run:
    """A model in training, kept in `folder`/`name`.pt with its losses in `name`.csv.

    Random numbers of a step follow from the seed and the step alone, so a resumed run equals one that never stopped.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        model: nn.Module,
        optimizers: list[torch.optim.Optimizer],
        steps: int,
        decay: float,
    ):
        self.file, self.log = folder / f"{name}.pt", folder / f"{name}.csv"
        self.model, self.average = model, copy.deepcopy(model).requires_grad_(False)
        self.optimizers, self.peaks = optimizers, [o.param_groups[0]["lr"] for o in optimizers]
        self.steps, self.decay, self.step = steps, decay, 0
        self.seconds = 0.0
        if self.file.exists():
            state = torch.load(self.file, DEVICE, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            for optimizer, kept in zip(self.optimizers, state["optimizers"]):
                optimizer.load_state_dict(kept)
            self.step, self.seconds = state["step"], state["seconds"]
            self.forget_log()

    def train(
        self, batch: Callable[[int, np.random.Generator], tuple[Tensor, ...]], loss: Callable[..., dict[str, Tensor]]
    ) -> nn.Module:
        """Steps until the end and returns the averaged model.

        `batch` makes a step's tensors, `loss` their named losses, of which "loss" is minimised.
        """
        parameters = list(self.model.parameters())
        workers = ThreadPoolExecutor(WORKERS)

        def part(*tensors: Tensor) -> tuple[dict[str, float], tuple[Tensor, ...]]:
            losses = loss(*tensors)
            gradients = torch.autograd.grad(losses["loss"], parameters)
            return {key: float(value.detach()) for key, value in losses.items()}, gradients

        saved = begun = time.monotonic()
        sums: dict[str, float] = {}
        while self.step < self.steps:
            torch.manual_seed(self.step)
            tensors = batch(self.step, np.random.default_rng([20260000, self.step]))
            parts = list(workers.map(part, *(t.to(DEVICE).chunk(WORKERS) for t in tensors)))
            for index, parameter in enumerate(parameters):
                parameter.grad = sum(gradients[index] for _, gradients in parts) / len(parts)
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            for optimizer, peak in zip(self.optimizers, self.peaks):
                optimizer.param_groups[0]["lr"] = peak * learning_rate(self.step, self.steps)
                optimizer.step()
            keep = min(self.decay, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                torch._foreach_lerp_(list(self.average.parameters()), parameters, 1 - keep)
            self.step += 1
            for values, _ in parts:
                for key, value in values.items():
                    sums[key] = sums.get(key, 0) + value / len(parts)
            now = time.monotonic()
            if self.step % 25 == 0:
                self.write_log({k: v / 25 for k, v in sums.items()}, self.seconds + now - begun)
                sums = {}
            if now - saved > SAVE_SECONDS and self.step % 25 == 0 or self.step == self.steps:
                self.seconds += now - begun
                saved = begun = now
                self.save()
        return self.average

    def write_log(self, values: dict[str, float], seconds: float) -> None:
        row = {"step": self.step, "seconds": round(seconds), **{k: round(v, 5) for k, v in values.items()}}
        fresh = not self.log.exists()
        with open(self.log, "a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if fresh:
                writer.writeheader()
            writer.writerow(row)

    def forget_log(self) -> None:
        """Drops what was logged after the last checkpoint."""
        if self.log.exists():
            head, *rows = self.log.read_text().splitlines()
            kept = [row for row in rows if int(row.split(",")[0]) <= self.step]
            self.log.write_text("\n".join([head, *kept]) + "\n")

    def save(self) -> None:
        temporary = self.file.with_suffix(".new")
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "seconds": self.seconds,
        }
        torch.save(state, temporary)
        os.replace(temporary, self.file)
