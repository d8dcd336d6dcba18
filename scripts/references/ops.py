"""Evaluates the rows of the operator table with PyTorch, in float64; see references.mjs. Reads and writes JSON."""

import json
import math
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from common import decode, encode, spread

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
    return {"inputs": row["made"], "samples": samples}


rows = json.load(sys.stdin)
json.dump({name: evaluate(name, row) for name, row in rows.items()}, sys.stdout)
