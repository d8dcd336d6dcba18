"""PyTorch's side of the kernel benchmark: the cases of native/bench/cases.cc, with the operands of native/bench/fill.h.

    peer.py THREADS     reads lines `case SPEC` and `run N` and answers each with a line of JSON
"""

import json
import math
import sys
import time

import numpy
import torch
from torch.nn import functional as F


class Spec:
    """A kind of work and its numbers, as in "matmul m=256 n=256 k=256 tb=1"."""

    def __init__(self, line):
        self.kind, *pairs = line.split()
        self.values = dict(pair.split("=") for pair in pairs)
        self.direction = self.values.get("pass", "forward")

    def __getattr__(self, key):
        return int(self.values.get(key, {"stride": 1, "groups": 1, "dx": 1}.get(key, 0)))


def values(size, salt):
    mixed = numpy.arange(size, dtype=numpy.uint32) * numpy.uint32(2654435761) + numpy.uint32(salt * 40503)
    folded = (mixed ^ (mixed >> numpy.uint32(15))) * numpy.uint32(2246822519)
    return (folded >> numpy.uint32(8) & numpy.uint32(0xFFFF)).astype(numpy.float64) / 65536 - 0.5


def operand(shape, salt, scale=1.0, dtype=torch.float32):
    return torch.from_numpy(scale * values(math.prod(shape), salt)).to(dtype).reshape(shape)


def index(size, salt, below):
    return torch.from_numpy(((values(size, salt) + 0.5) * below).astype(numpy.int64))


# Each kind of work: a list of ways to do it, of which the fastest takes part. A way is a function that returns the
# results by name.


def matmul(s):
    dtype = torch.float64 if s.f64 else torch.float32
    a = operand((s.k, s.m) if s.ta else (s.m, s.k), 1, dtype=dtype)
    b = operand((s.n, s.k) if s.tb else (s.k, s.n), 2, dtype=dtype)
    a, b = a.t() if s.ta else a, b.t() if s.tb else b
    c = torch.empty(s.m, s.n, dtype=dtype)
    return [lambda: {"c": torch.mm(a, b, out=c)}]


def conv(s):
    out = (s.size + 2 * s.pad - s.kernel) // s.stride + 1
    shapes = (s.n, s.c, s.size, s.size), (s.o, s.c // s.groups, s.kernel, s.kernel), (s.n, s.o, out, out)

    def way(layout):
        x, w, grad = (operand(shape, i + 1).contiguous(memory_format=layout) for i, shape in enumerate(shapes))
        training = s.direction == "training"
        wanted = [x, w] if s.dx else [w]
        for tensor in wanted:
            tensor.requires_grad_(training)

        def run():
            y = F.conv2d(x, w, None, s.stride, s.pad, 1, s.groups)
            if not training:
                return {"y": y}
            grads = torch.autograd.grad(y, wanted, grad)
            return {"y": y.detach(), **dict(zip(["dx", "dw"] if s.dx else ["dw"], grads))}

        return run

    return [way(torch.contiguous_format), way(torch.channels_last)]


def recurrent(s):
    layer = (torch.nn.LSTM if s.kind == "lstm" else torch.nn.GRU)(getattr(s, "in"), s.h)
    gates = (4 if s.kind == "lstm" else 3) * s.h
    with torch.no_grad():
        layer.weight_ih_l0.copy_(operand((gates, getattr(s, "in")), 2, 0.1))
        layer.weight_hh_l0.copy_(operand((gates, s.h), 3, 0.1))
        layer.bias_ih_l0.copy_(operand((gates,), 4))
        layer.bias_hh_l0.zero_()
    x, grad = operand((s.t, s.n, getattr(s, "in")), 1), operand((s.t, s.n, s.h), 5)
    if s.direction == "forward":
        return [lambda: {"y": forward_only(layer, x)}]
    x.requires_grad_()
    wanted = [x, layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0]

    def run():
        y = layer(x)[0]
        return {"y": y.detach(), **dict(zip(["dx", "dw_ih", "dw_hh", "db"], torch.autograd.grad(y, wanted, grad)))}

    return [run]


def forward_only(layer, x):
    with torch.no_grad():
        return layer(x)[0]


def attention(s):
    shape = (s.b, s.heads, s.t, s.d)
    q, k, v, grad = (operand(shape, salt) for salt in (1, 2, 3, 4))
    hidden = torch.triu(torch.ones(s.t, s.t, dtype=torch.bool), 1)
    training = s.direction == "training"
    for tensor in (q, k, v):
        tensor.requires_grad_(training)

    def plain():
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(s.d)
        return (scores.masked_fill(hidden, float("-inf")) if s.causal else scores).softmax(-1) @ v

    def fused():
        return F.scaled_dot_product_attention(q, k, v, is_causal=bool(s.causal))

    def way(forward):
        def run():
            y = forward()
            if not training:
                return {"y": y}
            dq, dk, dv = torch.autograd.grad(y, (q, k, v), grad)
            return {"y": y.detach(), "dv": dv, "dq": dq, "dk": dk}

        return run

    return [way(forward) for forward in ([plain, fused] if hasattr(F, "scaled_dot_product_attention") else [plain])]


def elementwise(s):
    x, y = operand((s.size,), 1), torch.empty(s.size)
    if s.kind == "add":
        other = operand((s.size,), 2)
        return [lambda: {"y": torch.add(x, other, out=y)}]
    if s.kind == "sum":
        return [lambda: {"y": x.sum()}]
    if s.kind == "relu":
        return [lambda: {"y": torch.clamp_min(x, 0, out=y)}, lambda: {"y": torch.relu(x)}]
    function = getattr(torch, s.kind)
    return [lambda: {"y": function(x, out=y)}]


def softmax(s):
    x = operand((s.rows, s.cols), 1)
    if s.direction == "forward":
        return [lambda: {"y": torch.softmax(x, -1)}]
    grad = operand((s.rows, s.cols), 2)
    return [lambda: {"dx": torch.ops.aten._softmax_backward_data(grad, x, -1, torch.float32)}]


def layer_norm(s):
    x = operand((s.rows, s.cols), 1)
    weight, bias = (operand((s.cols,), 2), operand((s.cols,), 3)) if s.affine else (None, None)
    if s.direction == "forward":
        return [lambda: {"y": F.layer_norm(x, (s.cols,), weight, bias)}]
    grad = operand((s.rows, s.cols), 4)
    _, mean, scale = torch.ops.aten.native_layer_norm(x, (s.cols,), weight, bias, 1e-5)
    mask = [True, bool(s.affine), bool(s.affine)]

    def run():
        dx, dw, db = torch.ops.aten.native_layer_norm_backward(grad, x, (s.cols,), mean, scale, weight, bias, mask)
        return {"dw": dw, "db": db, "dx": dx} if s.affine else {"dx": dx}

    return [run]


def adam(s):
    def way(**options):
        parameter = operand((s.size,), 1).requires_grad_()
        parameter.grad = operand((s.size,), 2)
        optimizer = torch.optim.Adam([parameter], lr=1e-3, **options)

        def run():
            optimizer.step()
            return {"parameter": parameter.detach(), "m": optimizer.state[parameter]["exp_avg"]}

        return run

    ways = [way(foreach=True)]
    try:
        ways.append(way(fused=True))
        way(fused=True)()
    except (RuntimeError, TypeError):
        ways = ways[:1]
    return ways


def dropout(s):
    x = operand((s.size,), 1)

    def run():
        F.dropout(x, 0.5, True)
        return {}

    return [run]


def max_pool(s):
    x = operand((s.n, s.c, s.size, s.size), 1)
    arguments = ([s.kernel] * 2, [s.stride] * 2, [s.pad] * 2, [1, 1], False)
    if s.direction == "forward":
        return [lambda: {"y": torch.ops.aten.max_pool2d_with_indices(x, *arguments)[0]}]
    y, positions = torch.ops.aten.max_pool2d_with_indices(x, *arguments)
    grad = operand(y.shape, 2)
    backward = torch.ops.aten.max_pool2d_with_indices_backward
    return [lambda: {"dx": backward(grad, x, *arguments, positions)}]


def embedding(s):
    rows = index(s.count, 2, s.rows)
    if s.direction == "forward":
        table = operand((s.rows, s.width), 1)
        return [lambda: {"y": F.embedding(rows, table)}]
    grad = operand((s.count, s.width), 1)
    return [lambda: {"dw": torch.ops.aten.embedding_dense_backward(grad, rows, s.rows, -1, False)}]


KINDS = {
    "matmul": matmul, "conv": conv, "lstm": recurrent, "gru": recurrent, "attention": attention, "add": elementwise,
    "relu": elementwise, "exp": elementwise, "tanh": elementwise, "sum": elementwise, "softmax": softmax,
    "layerNorm": layer_norm, "adam": adam, "dropout": dropout, "maxPool": max_pool, "embedding": embedding,
}


def seconds_of(way, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        way()
    return time.perf_counter() - start


def check_of(results):
    def number(value):
        return value if math.isfinite(value) else None

    return [
        {"name": name, "sum": number(float(y.double().sum())), "magnitude": number(float(y.double().abs().sum()))}
        for name, y in results.items()
    ]


def ready(spec):
    """The fastest way and what is checked of each way's first results."""
    ways = KINDS[spec.kind](spec)
    check = [check_of(way()) for way in ways]
    if len(ways) == 1:
        return ways[0], check[0]
    repeats = [max(1, min(200, int(0.02 / max(seconds_of(way, 1), 1e-6)))) for way in ways]
    took = [min(seconds_of(way, n) for _ in range(3)) / n for way, n in zip(ways, repeats)]
    best = took.index(min(took))
    return ways[best], check[best]


def serve(threads):
    torch.set_num_threads(threads)
    print(json.dumps({"name": "pytorch", "version": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    way = None
    for line in sys.stdin:
        command, rest = line.split(maxsplit=1)
        if command == "case":
            way = None
            spec = Spec(rest)
            if spec.kind in KINDS:
                way, check = ready(spec)
                answer = {"ok": True, "work": 0, "check": check}
            else:
                answer = {"ok": False, "reason": "no such operation"}
        else:
            answer = {"ok": True, "seconds": seconds_of(way, int(rest))}
        print(json.dumps(answer), flush=True)


serve(int(sys.argv[1]))
