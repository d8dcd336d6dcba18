"""What the reference scripts share: tensors to and from JSON."""

import math

import numpy as np
import torch

torch.set_num_threads(1)
DTYPES = {
    "float32": torch.float64,
    "float64": torch.float64,
    "int32": torch.int32,
    "int64": torch.int64,
    "uint8": torch.uint8,
    "bool": torch.bool,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def spread(shape, low, high):
    """The values of test/ops/reference.ts."""
    size = int(np.prod(shape))
    units = [((i * 7919 + 3571) % 10007) / 10007 for i in range(size)]
    values = np.array([low + (high - low) * unit for unit in units], dtype=np.float32)
    return torch.tensor(values.astype(np.float64).reshape(shape))


def decode(x):
    data = [SPECIAL[v] if isinstance(v, str) else v for v in x["data"]]
    return torch.tensor(data, dtype=torch.float64).reshape(x["shape"]).to(DTYPES[x["dtype"]])


def encode(x):
    name = str(x.dtype).replace("torch.", "")
    # The rows' floats are float32, evaluated in float64; PyTorch's positions are int64, ours int32.
    name = {"float64": "float32", "int64": "int32"}.get(name, name)
    values = []
    for value in x.detach().reshape(-1).tolist():
        if isinstance(value, float) and not math.isfinite(value):
            values.append("nan" if math.isnan(value) else "inf" if value > 0 else "-inf")
        elif isinstance(value, float):
            short = float(f"{value:.11g}")
            values.append(int(short) if short == int(short) and abs(short) < 1e15 else short)
        else:
            values.append(int(value))
    return {"shape": list(x.shape), "dtype": name, "data": values}
