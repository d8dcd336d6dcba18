"""Evaluates the rows of the operator table with PyTorch, in float64; see ops.mjs. Reads and writes JSON."""

import json
import math
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

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


def variables_of(row, inputs):
    if isinstance(row["gradient"], list):
        return [i for i in row["gradient"] if inputs[i].dtype == torch.float64]
    if row["gradient"] != "all":
        return []
    return [i for i, x in enumerate(inputs) if x.dtype == torch.float64]


def evaluate(name, row):
    samples = []
    for sample in row["samples"]:
        inputs = [decode(x) for x in sample]
        variables = variables_of(row, inputs)
        for i in variables:
            inputs[i].requires_grad_(True)
        scope = {f"x{i}": x for i, x in enumerate(inputs)}
        try:
            outputs = eval(row["torch"], {"torch": torch, "F": F, "nn": nn, "np": np, "math": math, **scope})
        except Exception as error:
            raise SystemExit(f"{name}: {row['torch']}: {error}")
        outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
        total = sum((out * spread(list(out.shape), -1, 1)).sum() for out in outputs if out.requires_grad)
        gradients = []
        if variables:
            wanted = [inputs[i] for i in variables]
            if isinstance(total, torch.Tensor):
                found = torch.autograd.grad(total, wanted, allow_unused=True)
            else:
                found = [None] * len(wanted)
            gradients = [torch.zeros_like(x) if g is None else g for x, g in zip(wanted, found)]
        samples.append({"outputs": [encode(x) for x in outputs], "gradients": [encode(g) for g in gradients]})
    return {"inputs": row["inputs"], "samples": samples}


rows = json.load(sys.stdin)
json.dump({name: evaluate(name, row) for name, row in rows.items()}, sys.stdout)
