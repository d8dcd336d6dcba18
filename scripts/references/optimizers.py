"""Runs PyTorch's optimizers and schedules; see references.mjs. Reads and writes JSON."""

import json
import sys

import torch
import torch.optim.lbfgs as lbfgs
import torch.optim.lr_scheduler as S
from common import spread

LOSSES = [1, 0.9, 0.9, 0.9, 0.95, 0.8, 0.8, 0.8, 0.8, 0.8, 0.79999]


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of Chen et al., 2023, with decoupled decay."""

    def __init__(self, ps, lr, betas, weight_decay):
        super().__init__(ps, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                update = torch.sign(b1 * m + (1 - b1) * p.grad)
                p.add_(-group["lr"] * (update + group["weight_decay"] * p))
                m.mul_(b2).add_((1 - b2) * p.grad)


class Lamb(torch.optim.Optimizer):
    """Algorithm 2 of You et al., 2020, with bias correction and the identity for phi."""

    def __init__(self, ps, lr, weight_decay, betas=(0.9, 0.999), eps=1e-6):
        super().__init__(ps, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                s = self.state[p]
                t = s["t"] = s.get("t", 0) + 1
                m = s.setdefault("m", torch.zeros_like(p))
                v = s.setdefault("v", torch.zeros_like(p))
                m.mul_(b1).add_((1 - b1) * p.grad)
                v.mul_(b2).add_((1 - b2) * p.grad**2)
                r = (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + group["eps"])
                r = r + group["weight_decay"] * p
                trust = p.norm() / r.norm() if p.norm() > 0 and r.norm() > 0 else 1.0
                p.add_(-group["lr"] * trust * r)


class Negated(S.ReduceLROnPlateau):
    """Sees the losses with the other sign."""

    def step(self, value):
        super().step(-value)


def optimizer(torch_row):
    ps = [spread([4, 3], -1, 1).requires_grad_(True), spread([3], 0, 1).requires_grad_(True)]
    x = spread([5, 4], -1, 2)
    o = eval(torch_row, {"torch": torch, "Lion": Lion, "Lamb": Lamb, "ps": ps})

    def closure():
        o.zero_grad()
        value = ((x @ ps[0] + ps[1]).tanh() - 0.3).square().mean() + ps[1].square().mean() * 0.1
        value.backward()
        return value

    values = []
    for _ in range(10):
        if isinstance(o, torch.optim.LBFGS):
            o.step(closure)
        else:
            closure()
            o.step()
        values.append([float(f"{v:.10g}") for p in ps for v in p.detach().reshape(-1).tolist()])
    return values


def sparse(torch_row):
    ps = [spread([6, 3], -1, 1).requires_grad_(True)]
    o = eval(torch_row, {"torch": torch, "ps": ps})
    values = []
    for step in range(10):
        rows = [] if step == 4 else [step % 5, step * 3 % 5, step * step % 5][: 1 + step % 3]
        o.zero_grad()
        out = torch.nn.functional.embedding(torch.tensor(rows, dtype=torch.int64), ps[0], sparse=True)
        (out - 0.3).square().sum().backward()
        o.step()
        values.append([float(f"{v:.10g}") for v in ps[0].detach().reshape(-1).tolist()])
    return values


def schedule(torch_row):
    o = torch.optim.SGD([torch.zeros(2)], lr=0.1, momentum=0.9)
    s = eval(torch_row, {"S": S, "Negated": Negated, "o": o})
    group = o.param_groups[0]
    values = [group["lr"]]
    for step in range(50):
        o.step()
        if isinstance(s, S.ReduceLROnPlateau):
            s.step(LOSSES[step % len(LOSSES)])
        else:
            s.step()
        values += [group["lr"], group["momentum"]]
    return [float(f"{v:.12g}") for v in values]


def line_search(torch_row):
    """The lengths that PyTorch's search tries, and the one it takes."""
    expression, first = torch_row.split(";")
    tried = []

    def at(x, t, d):
        tried.append(float(t))
        x = (x + t * d).requires_grad_(True)
        loss = eval(expression, {"torch": torch, "x": x}).sum()
        loss.backward()
        return float(loss), x.grad

    d = torch.ones(1, dtype=torch.float64)
    loss, grad = at(0 * d, 0, d)
    taken = lbfgs._strong_wolfe(at, 0 * d, float(first), d, loss, grad, grad.dot(d))[2]
    return [float(f"{v:.10g}") for v in [*tried[1:], float(taken)]]


rows = json.load(sys.stdin)
kinds = {"optimizer": optimizer, "schedule": schedule, "lineSearch": line_search, "sparse": sparse}
json.dump(
    {name: {"made": row["made"], "values": kinds[row["kind"]](row["torch"])} for name, row in rows.items()}, sys.stdout
)
