"""The protocol's two models as plain PyTorch modules, and its counter-based dropout.

A module's own parameter names are the canonical names; a canonical shape such as (3, H, D, C) is the module's (3 C, C)
seen otherwise, so both have the same numbers in the same order.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def _mix(x):
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _absorb(state, word):
    return _mix(state + np.uint64(0x9E3779B97F4A7C15) * (np.atleast_1d(word).astype(np.uint64) + np.uint64(1)))


def dropout_uniforms(seed, step, samples, site, positions, features):
    """The generator's numbers, (samples, positions, features), each k * 2^-24. Arrays wrap around in silence."""
    row = _mix(np.array([seed], dtype=np.uint64))
    row = _absorb(_absorb(_absorb(row, step), samples), site)
    row = _absorb(row[:, None], np.arange(positions)[None, :])
    bits = _absorb(row[:, :, None], np.arange(features)[None, None, :])
    return (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


class Mlp(nn.Module):
    def __init__(self, model, seed):
        super().__init__()
        del seed  # nothing in this model is random
        sizes = model["sizes"]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.activation = F.relu if model["activation"] == "relu" else lambda x: F.gelu(x, approximate="tanh")

    def forward(self, x, samples, step):
        del samples, step
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)  # each (n, H, t, D)
        scores = q @ k.transpose(-2, -1) / math.sqrt(c // self.heads)
        later = torch.ones(t, t, dtype=torch.bool).triu(1)
        o = scores.masked_fill(later, -math.inf).softmax(-1) @ v
        return self.proj(o.transpose(1, 2).reshape(n, t, c))


class FeedForward(nn.Module):
    def __init__(self, width, mlp_width):
        super().__init__()
        self.fc = nn.Linear(width, mlp_width)
        self.proj = nn.Linear(mlp_width, width)

    def forward(self, x):
        return self.proj(F.gelu(self.fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.ln_1 = nn.LayerNorm(model["width"], eps=1e-5)
        self.attn = Attention(model["width"], model["heads"])
        self.ln_2 = nn.LayerNorm(model["width"], eps=1e-5)
        self.mlp = FeedForward(model["width"], model["mlp_width"])


class Gpt(nn.Module):
    def __init__(self, model, seed):
        super().__init__()
        self.seed, self.rate = seed, model["dropout"]
        self.wte = nn.Embedding(model["vocabulary"], model["width"])
        self.wpe = nn.Embedding(model["sequence"], model["width"])
        self.h = nn.ModuleList(Block(model) for _ in range(model["layers"]))
        self.ln_f = nn.LayerNorm(model["width"], eps=1e-5)
        self.head = None if model["tied"] else nn.Linear(model["width"], model["vocabulary"], bias=False)

    def dropout(self, x, samples, step, site):
        if self.rate == 0.0:
            return x
        keep = dropout_uniforms(self.seed, step, samples, site, x.shape[1], x.shape[2]) >= np.float32(self.rate)
        return x * torch.from_numpy(keep) / (1.0 - self.rate)

    def forward(self, tokens, samples, step):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        x = self.dropout(x, samples, step, 0)
        for i, block in enumerate(self.h):
            x = x + self.dropout(block.attn(block.ln_1(x)), samples, step, 1 + 2 * i)
            x = x + self.dropout(block.mlp(block.ln_2(x)), samples, step, 2 + 2 * i)
        x = self.ln_f(x)
        return F.linear(x, self.wte.weight) if self.head is None else self.head(x)
