"""Fits the polynomials of native/cpu/vec_math.h, vec_trig.h and vec_special.h. Needs numpy.

    python3 scripts/polynomials.py [NAME ...]

Each is a minimax fit: Lawson's iteration, which is least squares over a Chebyshev grid with weights that
grow where the error is large. The coefficients are rounded to float32 one by one, from the constant up,
and what is left of the polynomial is fitted again after each. The printed error is the largest that the
result of the function has from its polynomial, relative to that result.
"""

import math
import sys

import numpy as np

GRID = 500
ITERATIONS = 150


def chebyshev(low, high):
    angles = np.pi * (np.arange(GRID) + 0.5) / GRID
    return (low + high) / 2 + (high - low) / 2 * np.cos(angles)


def lawson(powers, values, weights):
    """Coefficients c that keep max |weights * (values - powers c)| small."""
    lawson_weights = np.ones(GRID)
    best, best_error = None, np.inf
    for _ in range(ITERATIONS):
        scale = np.sqrt(lawson_weights) * weights
        c, *_ = np.linalg.lstsq(powers * scale[:, None], values * scale, rcond=None)
        errors = np.abs((values - powers @ c) * weights)
        if errors.max() < best_error:
            best, best_error = c, errors.max()
        lawson_weights *= errors / errors.max() + 1e-3
        lawson_weights /= lawson_weights.mean()
    return best


def fit(name, value, weight, low, high, count):
    """`value` is fitted by `count` coefficients; `weight` turns its error into the result's."""
    x = chebyshev(low, high)
    powers = np.vander(x, count, increasing=True)
    rest = np.array([value(t) for t in x])
    weights = np.array([weight(t) for t in x])
    coefficients = []
    for i in range(count):
        c = np.float32(lawson(powers[:, i:], rest, weights)[0])
        coefficients.append(c)
        rest = rest - np.float64(c) * powers[:, i]
    print(f"{name}: error 2^{math.log2(np.abs(rest * weights).max()):.1f}")
    for c in coefficients:
        print(f"    {c:.9e}f")


def odd(f):
    """f(x) = x + x z p(z) with z = x^2: p and its weight. (Digits that cancel are weighed with z.)"""
    return (
        lambda z: (f(math.sqrt(z)) / math.sqrt(z) - 1) / z,
        lambda z: z * math.sqrt(z) / f(math.sqrt(z)),
    )


def erfinv_of(w):
    """erfinv(x) / x where w = -log(1 - x^2), by Newton's method on erfc."""
    x = math.sqrt(-math.expm1(-w))
    to_one = math.exp(-w) / (1 + x)
    y = x if w < 2 else math.sqrt(w) - 0.3
    for _ in range(50):
        error = math.erf(y) - x if y < 0.5 else to_one - math.erfc(y)
        y -= error / (2 / math.sqrt(math.pi) * math.exp(-y * y))
    return y / x


# The reduced argument may pass pi / 4 where the quotient was rounded the wrong way.
QUARTER = (math.pi / 4 * 1.005) ** 2
TINY = 1e-7

POLYNOMIALS = {
    "sin": lambda: (*odd(math.sin), TINY, QUARTER, 3),
    # cos x = 1 - z / 2 + z^2 p(z)
    "cos": lambda: (
        lambda z: sum((-1) ** k * z**k / math.factorial(2 * k + 4) for k in range(12)),
        lambda z: z * z / math.cos(math.sqrt(z)),
        TINY,
        QUARTER,
        3,
    ),
    "tan": lambda: (*odd(math.tan), TINY, QUARTER, 7),
    "asin": lambda: (*odd(math.asin), TINY, 0.25, 5),
    "atan": lambda: (*odd(math.atan), TINY, 1.0, 9),
    "sinh": lambda: (*odd(math.sinh), TINY, 1.0, 4),
    # erf x = x + x p(z)
    "erf": lambda: (
        lambda z: math.erf(math.sqrt(z)) / math.sqrt(z) - 1,
        lambda z: math.sqrt(z) / math.erf(math.sqrt(z)),
        TINY,
        1.0,
        7,
    ),
    # erf x = 1 - e^-p(x)
    "erf beyond 1": lambda: (
        lambda x: -math.log(math.erfc(x)),
        lambda x: math.erfc(x) / math.erf(x),
        1.0,
        3.95,
        8,
    ),
    # erfinv x = x + x p(w)
    "erfinv": lambda: (lambda w: erfinv_of(w) - 1, lambda w: 1 / erfinv_of(w), TINY, 5.0, 10),
    # erfinv x = x (3 + p(sqrt(w) - 3)); the largest w of float32 is 15.94
    "erfinv beyond w = 5": lambda: (
        lambda s: erfinv_of((s + 3) ** 2) - 3,
        lambda s: 1 / erfinv_of((s + 3) ** 2),
        math.sqrt(5) - 3,
        1.0,
        10,
    ),
}

for name in sys.argv[1:] or POLYNOMIALS:
    fit(name, *POLYNOMIALS[name]())
