"""How close closed-form restoration comes to what is possible, on LFW's whole pictures:

    python -m benchmarks.restoration ../shared/data [--pictures 20] [SPEC ...]

Prints the PSNR in dB of the face (20 pictures of background people, spectra from 100 others) before
and after restoration; with one filter for all settings of a range and with the setting found for
each picture, whose mean error in sigma follows. `--posterior` adds, for SPEC of the form
`gaussian:...|jpeg:q=...`, the posterior mean of the luminance under step^2 / 12 for every
coefficient of every block (conjugate gradients, half a minute a picture), beside the filter's own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.fft import dctn, idctn
from scipy.sparse.linalg import LinearOperator, cg

from reid_audit.attacks.forward import ForwardModel
from reid_audit.attacks.interface import ClearFaces, Context, picture_rng
from reid_audit.attacks.linear.spectra import to_modes
from reid_audit.attacks.linear.wiener import Restorer
from reid_audit.attacks.operators import Chain, parse
from reid_audit.attacks.operators.codec import _luminance_table
from reid_audit.attacks.operators.ranged import Ranged
from reid_audit.attacks.operators.spectrum import basis, inverse_basis
from reid_audit.audit.data import decode

LANDMARKS = np.array([[105, 114], [147, 113], [126, 137], [109, 160], [143, 160]], np.float32)
"""Of LFW's deep-funneled faces."""
FACE = np.s_[45:215, 45:205]
WHOLE = np.array([0, 0, 250, 250])
SPECS = (
    "gaussian:sigma=7.8",
    "gaussian:sigma=7.8|jpeg:q=75",
    "gaussian:sigma=7.8|noise:sigma=10",
    "gaussian:sigma=7.8|rotate:deg=10",
    "gaussian:sigma=5.64..10.34",
    "gaussian:sigma=5.64..10.34|jpeg:q=60..90",
)


def psnr(clear: np.ndarray, found: np.ndarray) -> float:
    error = clear[FACE].astype(float) - found[FACE]
    return float(10 * np.log10(255**2 / np.mean(error**2)))


def luminance(picture: np.ndarray) -> np.ndarray:
    """JPEG's luma about its middle."""
    return np.asarray(picture @ np.array([0.299, 0.587, 0.114]) - 128)


def posterior(seen: np.ndarray, restorer: Restorer, steps: np.ndarray) -> np.ndarray:
    """Posterior mean of the clear luma `(248, 248)` given the blurred, coded one."""
    side = len(seen)
    blur = restorer.forward.operator
    assert isinstance(blur, Chain)
    transfer, noise = blur.steps[0].transfer(side, side), blur.noise(side, side)
    gain = np.sqrt(restorer.spectra.prior(side, side)[0] / 3) * transfer  # luminance to luma
    out, weight = inverse_basis(side), 1 / (steps**2 / 12 + 0.1)[None, :, None, :]

    def coefficients(plane: np.ndarray) -> np.ndarray:
        blocks = plane.reshape(side // 8, 8, side // 8, 8)
        return dctn(blocks, type=2, norm="ortho", axes=(1, 3))

    def back(weighted: np.ndarray) -> np.ndarray:
        plane = idctn(weighted, type=2, norm="ortho", axes=(1, 3)).reshape(side, side)
        return gain * (out.T @ plane @ out)

    def system(flat: np.ndarray) -> np.ndarray:
        modes = flat.reshape(side, side)
        return (modes + back(weight * coefficients(out @ (gain * modes) @ out.T))).ravel()

    shape = (side * side,) * 2
    near = LinearOperator(shape, lambda flat: flat / (1 + gain**2 / noise).ravel())
    right = back(weight * coefficients(seen)).ravel()
    found, _ = cg(LinearOperator(shape, system), right, rtol=1e-5, maxiter=200, M=near)
    power = np.sqrt(restorer.spectra.prior(side, side)[0] / 3)
    return out @ (power * found.reshape(side, side)) @ out.T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("specs", nargs="*", default=SPECS)
    parser.add_argument("--pictures", type=int, default=20)
    parser.add_argument("--posterior", action="store_true")
    options = parser.parse_args()
    table = pd.read_csv(options.data / "lfw.csv", keep_default_na=False)
    paths = table[table.role == "background"].path.tolist()
    learnt, shown = paths[::50][:100], paths[25::50][: options.pictures]
    faces = ClearFaces(
        tuple(learnt),
        tuple(learnt),
        np.stack([LANDMARKS] * len(learnt)),
        lambda index: decode(options.data / learnt[index]),
    )
    print(
        "| operator | anonymised | one filter | restored | error of sigma |\n|---|---|---|---|---|"
    )
    for spec in options.specs:
        operator = parse(spec)
        forward = ForwardModel(operator, (94.0,))
        context = Context(forward, None)  # type: ignore[arg-type]
        restorer = Restorer.fit(forward, faces, context)
        plain = Restorer(forward, restorer.spectra)
        first = operator.steps[0] if isinstance(operator, Chain) else operator
        rows = []
        for path in shown:
            clear = decode(options.data / path)
            seen = operator.apply(clear, picture_rng(0, path))
            error = np.nan
            if isinstance(first, Ranged):
                found = restorer.likeliest(to_modes(seen)).forward.operator.parameters["sigma_x"]
                drawn = first.draw(picture_rng(0, path)).parameters["sigma_x"]
                error = abs(found - drawn)
            restored = [r.restore(seen, WHOLE) for r in (plain, restorer)]
            rows.append([psnr(clear, p) for p in (seen, *restored)] + [error])
        print(f"| {spec} | " + " | ".join(f"{v:.2f}" for v in np.mean(rows, axis=0)) + " |")
        if options.posterior and "|jpeg" in spec:
            steps = _luminance_table(operator.parameters["q"]).astype(float)
            exact, linear = [], []
            for path in shown[:6]:
                clear = decode(options.data / path)[:248, :248]
                seen = luminance(operator.apply(clear, picture_rng(0, path)))
                exact.append(psnr(luminance(clear), posterior(seen, restorer, steps)))
                filter_ = restorer.filter(248, 248)[0]
                modes = basis(248) @ seen @ basis(248).T
                filtered = inverse_basis(248) @ (modes * filter_) @ inverse_basis(248).T
                linear.append(psnr(luminance(clear), filtered))
            print(
                f"  luma: posterior mean {np.mean(exact):.2f} dB, filter {np.mean(linear):.2f} dB"
            )


if __name__ == "__main__":
    main()
