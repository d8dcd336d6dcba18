"""PyTorch's side of the training benchmark: the models of models.ts, with the same data and weights.

    peer.py prepare MODEL FOLDER            writes data and initial weights for both sides
    peer.py serve MODEL FOLDER THREADS      reads lines `run STEPS` and answers each with a line of JSON
"""

import json
import math
import os
import sys
import time

import numpy
import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        changes = stride != 1 or inputs != outputs
        self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)) if changes else None

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        blocks, inputs = [], 64
        for outputs, stride in [(64, 1), (128, 2), (256, 2), (512, 2)]:
            blocks += [Block(inputs, outputs, stride), Block(outputs, outputs, 1)]
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(512, 10)

    def forward(self, x):
        x = self.blocks(F.relu(self.bn1(self.conv1(x))))
        return self.fc(x.mean((2, 3)))


class Sentiment(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20000, 100)
        self.lstm = nn.LSTM(100, 128, batch_first=True)
        self.output = nn.Linear(128, 1)

    def forward(self, x):
        _, (h, _) = self.lstm(self.embedding(x))
        return self.output(h[0]).squeeze(1)


class Layer(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x, mask):
        n, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(d // self.heads)
        weights = scores.masked_fill(mask, float("-inf")).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(n, t, d))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self, vocabulary=65, context=128, d=256, heads=4, layers=4):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, d), nn.Embedding(context, d)
        self.layers = nn.ModuleList([Layer(d, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, vocabulary, bias=False)
        self.mask = torch.triu(torch.ones(context, context, dtype=torch.bool), 1)

    def forward(self, x):
        x = self.tokens(x) + self.positions.weight
        for layer in self.layers:
            x = layer(x, self.mask)
        return self.head(self.norm(x)).flatten(0, 1)


def classes(n, count, *more):
    return torch.randint(0, count, (n, *more))


def cross(output, y):
    return F.cross_entropy(output, y.flatten())


def binary(output, y):
    return F.binary_cross_entropy_with_logits(output, y.float())


def adam(parameters):
    return torch.optim.Adam(parameters, foreach=True)


MODELS = {
    "mlp": (
        lambda: nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)),
        lambda: (torch.rand(8192, 784), classes(8192, 10)), 32, cross, adam),
    "lenet": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10)),
        lambda: (torch.rand(2048, 1, 28, 28), classes(2048, 10)), 64, cross, adam),
    "lstm": (Sentiment, lambda: (classes(1024, 20000, 200), classes(1024, 2)), 64, binary, adam),
    "gpt": (
        GPT, lambda: (classes(256, 65, 128), classes(256, 65, 128)), 16, cross,
        lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.01, foreach=True)),
    "resnet18": (
        ResNet18, lambda: (torch.randn(512, 3, 32, 32), classes(512, 10)), 64, cross,
        lambda p: torch.optim.SGD(p, lr=0.001, momentum=0.9, foreach=True)),
}


def write(folder, name, tensor):
    array = tensor.detach().numpy()
    array = array.astype(numpy.int32) if array.dtype == numpy.int64 else array
    array.tofile(os.path.join(folder, name))
    return {"shape": list(array.shape), "dtype": str(array.dtype)}


def prepare(model, folder):
    torch.manual_seed(0)
    make, data, *_ = MODELS[model]
    network, (x, y) = make(), data()
    named = {"x": x, "y": y, **{"weights." + name: value for name, value in network.state_dict().items() if "tracked" not in name}}
    manifest = {name: write(folder, name + ".bin", value) for name, value in named.items()}
    with open(os.path.join(folder, "manifest.json"), "w") as file:
        json.dump(manifest, file)
    torch.save((network.state_dict(), x, y), os.path.join(folder, "torch.pt"))


def serve(model, folder, threads):
    torch.set_num_threads(threads)
    make, _, batch, loss_of, optimizer_of = MODELS[model]
    network = make()
    state, x, y = torch.load(os.path.join(folder, "torch.pt"))
    network.load_state_dict(state)
    optimizer = optimizer_of(network.parameters())
    print(json.dumps({"name": "PyTorch", "version": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    at = 0
    for line in sys.stdin:
        steps = int(line.split()[1])
        losses = []
        start = time.perf_counter()
        for _ in range(steps):
            loss = loss_of(network(x[at : at + batch]), y[at : at + batch])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            at = (at + batch) % len(x)
        seconds = time.perf_counter() - start
        peak = int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024
        print(json.dumps({"samples": steps * batch, "seconds": seconds, "losses": losses[:10], "peakBytes": peak}), flush=True)


if sys.argv[1] == "prepare":
    prepare(*sys.argv[2:])
else:
    serve(sys.argv[2], sys.argv[3], int(sys.argv[4]))
