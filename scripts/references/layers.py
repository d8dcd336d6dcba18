"""Trains PyTorch's layers for ten steps, in float64 from float32 weights; see references.mjs. Reads and writes JSON."""

import json
import math
import sys

import torch
import torch.nn as nn
from common import decode, encode, spread


def trajectory(name, row):
    torch.manual_seed(1)
    try:
        m = eval(row["torch"], {"nn": nn, "torch": torch})
    except Exception as error:
        raise SystemExit(f"{name}: {row['torch']}: {error}")
    for p in m.parameters():
        # Norms' ones and zeros would hide a mistake.
        with torch.no_grad():
            p.add_(torch.rand_like(p) * 0.2)
    if isinstance(m, nn.Embedding) and m.padding_idx is not None:
        m.weight.data[m.padding_idx] = 0
    m = m.double()
    scope = {f"x{i}": decode(x) for i, x in enumerate(row["inputs"])}
    initial = {key: encode(value) for key, value in m.state_dict().items()}
    optimizer = torch.optim.SGD(m.parameters(), lr=0.1)
    losses = []
    for _ in range(10):
        try:
            out = eval(row["call"], {"m": m, "nn": nn, "torch": torch, "math": math, **scope})
        except Exception as error:
            raise SystemExit(f"{name}: {row['call']}: {error}")
        loss = (out - spread(list(out.shape), -1, 1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(f"{loss.item():.11g}"))
    final = {key: encode(value) for key, value in m.state_dict().items()}
    return {"made": row["made"], "initial": initial, "losses": losses, "final": final}


rows = json.load(sys.stdin)
json.dump({name: trajectory(name, row) for name, row in rows.items()}, sys.stdout)
