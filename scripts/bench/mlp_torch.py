"""The peer of mlp_kindling.ts: the same network, optimizer, batch size and data in PyTorch.

Reads lines `run STEPS` from standard input and answers each with one line of JSON.
"""

import gzip
import json
import os
import sys
import time

import numpy
import torch


def read_idx(folder, name, offset):
    path = os.path.join(folder, name)
    if os.path.exists(path):
        data = open(path, "rb").read()
    else:
        data = gzip.open(path + ".gz", "rb").read()
    return numpy.frombuffer(data, dtype=numpy.uint8, offset=offset)


def main():
    folder, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    x = torch.from_numpy(read_idx(folder, "train-images-idx3-ubyte", 16).reshape(-1, 784).astype(numpy.float32) / 255)
    y = torch.from_numpy(read_idx(folder, "train-labels-idx1-ubyte", 8).astype(numpy.int64))
    model = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    # The fused list form is the fastest that this version has on a CPU.
    optimizer = torch.optim.Adam(model.parameters(), foreach=True)
    loss_of = torch.nn.CrossEntropyLoss()
    batch = 32
    order, at = torch.randperm(len(x)), 0
    print(json.dumps({"name": "PyTorch", "version": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        steps = int(line.split()[1])
        start = time.perf_counter()
        total = correct = 0.0
        for _ in range(steps):
            if at + batch > len(x):
                order, at = torch.randperm(len(x)), 0
            index = order[at : at + batch]
            at += batch
            bx, by = x.index_select(0, index), y.index_select(0, index)
            output = model(bx)
            loss = loss_of(output, by)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            # fit reports loss and accuracy, so the peer keeps them too.
            total += loss.item()
            correct += (output.argmax(1) == by).sum().item()
        seconds = time.perf_counter() - start
        print(json.dumps({"samples": steps * batch, "seconds": seconds, "loss": total / steps}), flush=True)


main()
