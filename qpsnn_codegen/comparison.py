"""One model three times on real data: as torch's float module, as the integer reference, as C."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.pipeline import Compilation
from qpsnn_codegen.reference import run_reference
from qpsnn_codegen.toolchain.host_model import HostModel
from qpsnn_codegen.verification import Verdict, compare

_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Correct predictions of each, ``verdict`` of C against the reference, ``agree``: equal float and integer
    predictions.
    """

    float_correct: int
    reference_correct: int
    c_correct: int
    agree: int
    certified: int
    layers: int
    verdict: Verdict


def compare_on(
    predict: Callable[[NDArray[Any]], NDArray[Any]],
    compilation: Compilation,
    images: NDArray[np.uint8],
    labels: NDArray[Any],
    *,
    cc: str = "gcc",
    progress: Callable[[int], None] = lambda done: None,
) -> Comparison:
    """Run all three on raw images ``[N, C, H, W]``; every spike of every layer is compared.

    Args:
        predict: the trained model: classes of raw images.

    Raises:
        ToolchainError: no compiler.
        DataError: the images do not fit the model.
    """
    certificates = compilation.integers.certificates
    total = Comparison(
        float_correct=0,
        reference_correct=0,
        c_correct=0,
        agree=0,
        certified=sum(certificate.status == "certified" for certificate in certificates),
        layers=len(certificates),
        verdict=Verdict(inputs=0, spikes=0, logits=0, mismatches=0, first=None),
    )
    with tempfile.TemporaryDirectory(prefix="qpsnn-evaluate-") as scratch:
        folder = Path(scratch) / "firmware"
        compilation.write(folder)
        with HostModel(folder, trace=True, cc=cc) as host:
            for start in range(0, len(images), _BATCH):
                part, truth = images[start : start + _BATCH], labels[start : start + _BATCH]
                expected = run_reference(compilation.integers, part, trace=True)
                actual = host.run(part)
                real = predict(part)
                integer = expected.logits.argmax(axis=1)
                total = replace(
                    total,
                    float_correct=total.float_correct + int((real == truth).sum()),
                    reference_correct=total.reference_correct + int((integer == truth).sum()),
                    c_correct=total.c_correct + int((actual.logits.argmax(axis=1) == truth).sum()),
                    agree=total.agree + int((real == integer).sum()),
                    verdict=_joined(total.verdict, compare(expected, actual), start),
                )
                progress(len(part))
    return total


def _joined(left: Verdict, right: Verdict, start: int) -> Verdict:
    """Two verdicts as one; samples of the right one count from ``start``."""
    first = left.first
    if first is None and right.first is not None:
        first = replace(right.first, sample=right.first.sample + start)
    return Verdict(
        inputs=left.inputs + right.inputs,
        spikes=left.spikes + right.spikes,
        logits=left.logits + right.logits,
        mismatches=left.mismatches + right.mismatches,
        first=first,
    )
