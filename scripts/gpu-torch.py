"""The cases of gpu-table.mjs in PyTorch, on the GPU. Reads them as JSON, prints seconds by name as JSON."""

import json
import sys
import time

import torch
import torch.nn.functional as functional


def work(case):
    def randn(*shape):
        return torch.randn(*shape, device="cuda")

    kind, shape = case["kind"], case["shape"]
    if kind == "matmul":
        m, n, k = shape
        a, b = randn(m, k), randn(k, n)
        return lambda: a @ b
    if kind == "conv2d":
        batch, channels, filters, size = shape
        x, w = randn(batch, channels, size, size), randn(filters, channels, 3, 3)
        return lambda: functional.conv2d(x, w, padding=1)
    if kind == "attention":
        q, k, v = (randn(*shape) for _ in range(3))
        return lambda: functional.scaled_dot_product_attention(q, k, v)
    x = randn(*shape)
    if kind == "add":
        y = randn(*shape)
        return lambda: x + y
    if kind == "softmax":
        return lambda: torch.softmax(x, -1)
    if kind == "sum":
        return lambda: x.sum(-1)
    raise ValueError(kind)


def main():
    torch.backends.cuda.matmul.allow_tf32 = False
    seconds = {}
    for case in json.load(sys.stdin):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = case["limit"] == "tf32"
        run = work(case)
        best = float("inf")
        for _ in range(8):
            torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(case["repeats"]):
                run()
            torch.cuda.synchronize()
            best = min(best, (time.perf_counter() - start) / case["repeats"])
        seconds[case["name"]] = best
    print(json.dumps(seconds))


main()
