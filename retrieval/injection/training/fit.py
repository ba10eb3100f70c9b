"""Fits a head: a logistic regression and a few small networks on the same standardised rows."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrieval.injection.heads import CLIP, Network

Floats = NDArray[np.float32]

PENALTY: Final = 300.0  # of the regression's squared weights; in sentences
NETWORKS: Final = 3
STEPS: Final = 300
BATCH: Final = 8_192
RATE: Final = 0.01  # highest learning rate; it rises over the first third and falls to 0 (Smith, "super-convergence")
DECAY: Final = 0.3  # of weights, as in AdamW (Loshchilov and Hutter, 2019)
DROPOUT: Final = (0.2, 0.4)  # of columns, of units


def fit(rows: Floats, target: NDArray[np.bool_], units: int, seed: int) -> Network:
    """The mean of one regression and `NETWORKS` networks of so many hidden units.

    The same seed gives the same weights on one machine.
    """
    centre, scale = rows.mean(axis=0), rows.std(axis=0) + np.float32(0.01)
    standard = np.clip((rows - centre) / scale, -CLIP, CLIP)
    linear, bias = _regression(standard, target)
    hidden, hidden_bias, output, output_bias = _networks(standard, target, units, seed)
    share = np.float32(1 / (NETWORKS + 1))
    return Network(
        centre=centre,
        scale=scale,
        linear=linear * share,
        hidden=hidden.T,
        hidden_bias=hidden_bias,
        output=output * share,
        bias=float((bias + output_bias.sum()) * share),
    )


def _regression(rows: Floats, target: NDArray[np.bool_]) -> tuple[Floats, float]:
    from scipy.optimize import minimize  # type: ignore[import-untyped]

    sign = np.where(target, 1.0, -1.0)

    def loss(beta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = sign * (rows @ beta[:-1].astype(np.float32) + beta[-1])
        slope = -sign / (1 + np.exp(np.minimum(margin, 50)))
        value = float(np.logaddexp(0, -margin).sum()) + PENALTY / 2 * float(beta[:-1] @ beta[:-1])
        return value, np.r_[slope.astype(np.float32) @ rows + PENALTY * beta[:-1], slope.sum()]

    start = np.zeros(rows.shape[1] + 1)
    beta = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 80}).x
    return beta[:-1].astype(np.float32), float(beta[-1])


def _networks(rows: Floats, target: NDArray[np.bool_], each: int, seed: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Networks that share their batches and nothing else: hidden weights [columns, units], biases, output, biases."""
    rng = np.random.default_rng(seed)
    bound = rows.shape[1] ** -0.5
    units = NETWORKS * each
    hidden = rng.uniform(-bound, bound, (rows.shape[1], units)).astype(np.float32)
    hidden_bias = rng.uniform(-bound, bound, units).astype(np.float32)
    output = rng.uniform(-(each**-0.5), each**-0.5, units).astype(np.float32)
    parameters = [hidden, hidden_bias, output, np.zeros(NETWORKS, np.float32)]
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]
    for step in range(STEPS):
        batch = rng.integers(0, len(rows), BATCH)
        slopes = _slopes(rows[batch], target[batch], parameters, rng)
        for parameter, slope, (first, second) in zip(parameters, slopes, moments, strict=True):
            _adam(parameter, slope, first, second, step)
    return parameters[0], parameters[1], parameters[2], parameters[3]


def _slopes(
    rows: Floats, target: NDArray[np.bool_], parameters: list[Floats], rng: np.random.Generator
) -> list[Floats]:
    """Gradients of the mean cross-entropy of each network, columns and units dropped at random."""
    hidden, hidden_bias, output, bias = parameters
    kept = rng.random(rows.shape, np.float32) >= DROPOUT[0]
    inputs = rows * kept / np.float32(1 - DROPOUT[0])
    before = inputs @ hidden + hidden_bias
    kept_units = (rng.random(before.shape, np.float32) >= DROPOUT[1]) / np.float32(1 - DROPOUT[1])
    units = np.maximum(before, 0) * kept_units
    logits = (units * output).reshape(len(rows), NETWORKS, -1).sum(axis=2) + bias
    chance = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    slope = ((chance - target[:, None]) * np.float32(10 / len(rows))).astype(np.float32)
    spread = np.repeat(slope, len(output) // NETWORKS, axis=1)
    back = spread * output * kept_units * (before > 0)
    return [inputs.T @ back, back.sum(axis=0), (spread * units).sum(axis=0), slope.sum(axis=0)]


def _adam(parameter: Floats, slope: Floats, first: Floats, second: Floats, step: int) -> None:
    """One step of AdamW, in place."""
    progress = (step + 1) / STEPS
    warm = 0.3
    wave = (
        0.5 - 0.5 * np.cos(np.pi * progress / warm)
        if progress < warm
        else 0.5 + 0.5 * np.cos(np.pi * (progress - warm) / (1 - warm))
    )
    rate = np.float32(RATE * max(wave, 0.0))
    first *= 0.9
    first += np.float32(0.1) * slope
    second *= 0.999
    second += np.float32(0.001) * slope * slope
    corrected = first / np.float32(1 - 0.9 ** (step + 1))
    size = np.sqrt(second / np.float32(1 - 0.999 ** (step + 1))) + np.float32(1e-8)
    parameter *= 1 - rate * np.float32(DECAY)
    parameter -= rate * corrected / size
