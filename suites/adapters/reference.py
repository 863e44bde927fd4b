"""What the protocol's formulas say, in plain numpy and apart from the adapter's code: forward, loss, optimizer step."""

import math

import numpy as np

MASK = (1 << 64) - 1


def mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def absorb(state, word):
    return mix((state + 0x9E3779B97F4A7C15 * (word + 1)) & MASK)


def row_key(seed, step, sample, site, position):
    key = mix(seed)
    for word in (step, sample, site, position):
        key = absorb(key, word)
    return key


def gelu(x):
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def layernorm(x, p, name):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]


def cross_entropy(z, target):
    return math.log(np.exp(z - z.max()).sum()) + z.max() - z[target]


def mlp_losses(model, p, data, sample, context):
    del context
    x = data["inputs"][sample]
    last = len(model["sizes"]) - 2
    for i in range(last + 1):
        x = p[f"layers.{i}.weight"] @ x + p[f"layers.{i}.bias"]
        if i < last:
            x = gelu(x) if model["activation"] == "gelu" else np.maximum(x, 0)
    target = data["targets"][sample]
    if model["loss"] == "cross_entropy":
        return [] if target < 0 else [cross_entropy(x, target)]
    return [0.5 * ((x - target) ** 2).sum()] if "valid" not in data or data["valid"][sample] else []


def gpt_losses(model, p, data, sample, context):
    """Losses of one sample's valid positions; context is (seed, step) of the dropout masks."""
    seed, step = context
    if "stream" in data:
        first = int(sample) * model["sequence"]
        run = data["stream"][first:first + model["sequence"] + 1].astype(int)
        tokens, targets = run[:-1], run[1:]
    else:
        tokens, targets = data["inputs"][sample], data["targets"][sample]
    width, heads, rate = model["width"], model["heads"], model["dropout"]
    head_width = width // heads

    def dropout(x, site):
        if rate == 0:
            return x
        out = np.zeros_like(x)
        for position in range(x.shape[0]):
            key = row_key(seed, step, int(sample), site, position)
            for feature in range(width):
                if np.float32((absorb(key, feature) >> 40) * 2.0**-24) >= np.float32(rate):
                    out[position, feature] = x[position, feature] / (1 - rate)
        return out

    x = dropout(p["wte.weight"][tokens] + p["wpe.weight"][: len(tokens)], 0)
    for i in range(model["layers"]):
        a = layernorm(x, p, f"h.{i}.ln_1")
        w, b = p[f"h.{i}.attn.qkv.weight"], p[f"h.{i}.attn.qkv.bias"]
        o = np.zeros((len(tokens), heads, head_width))
        for h in range(heads):
            q, k, v = (a @ w[j, h].T + b[j, h] for j in range(3))
            for t in range(len(tokens)):
                s = np.exp(k[: t + 1] @ q[t] / math.sqrt(head_width))
                o[t, h] = (s / s.sum()) @ v[: t + 1]
        a = np.einsum("thd,chd->tc", o, p[f"h.{i}.attn.proj.weight"]) + p[f"h.{i}.attn.proj.bias"]
        x = x + dropout(a, 1 + 2 * i)
        f = gelu(layernorm(x, p, f"h.{i}.ln_2") @ p[f"h.{i}.mlp.fc.weight"].T + p[f"h.{i}.mlp.fc.bias"])
        x = x + dropout(f @ p[f"h.{i}.mlp.proj.weight"].T + p[f"h.{i}.mlp.proj.bias"], 2 + 2 * i)
    logits = layernorm(x, p, "ln_f") @ p["wte.weight" if model["tied"] else "head.weight"].T
    return [cross_entropy(logits[t], targets[t]) for t in range(len(tokens)) if targets[t] >= 0]


def mean_loss(model, p, data, samples, context):
    losses = gpt_losses if model["kind"] == "gpt" else mlp_losses
    each = [loss for sample in samples for loss in losses(model, p, data, sample, context)]
    return (sum(each) / len(each) if each else 0.0), len(each)


def learning_rate(o, step):
    if step <= o["warmup_steps"]:
        return o["learning_rate"] * step / o["warmup_steps"]
    if o["cosine_steps"] == 0:
        return o["learning_rate"]
    t = min(1, (step - o["warmup_steps"]) / (o["cosine_steps"] - o["warmup_steps"]))
    low = o["minimum_learning_rate"]
    return low + (o["learning_rate"] - low) / 2 * (1 + math.cos(math.pi * t))


def clipped(o, gradients):
    """(norm, {name: gradient as the optimizer gets it})"""
    norm = math.sqrt(sum((g**2).sum() for g in gradients.values()))
    factor = min(1.0, o["clip_norm"] / (norm + 1e-6)) if o["clip_norm"] > 0 else 1.0
    return norm, {name: g * factor for name, g in gradients.items()}


def update(o, name, p, g, state, step):
    """(parameter, {state: tensor}) after the step, from the clipped gradient."""
    decayed = name.endswith(".weight") and not any(norm in name for norm in ("ln_1", "ln_2", "ln_f"))
    decay, rate = (o["weight_decay"] if decayed else 0.0), learning_rate(o, step)
    if o["kind"] != "adamw":
        g = g + decay * p
        if o["kind"] == "sgd":
            return p - rate * g, {}
        v = o["momentum"] * state["momentum"] + g
        return p - rate * v, {"momentum": v}
    p = p - rate * decay * p
    m = o["beta1"] * state["exp_avg"] + (1 - o["beta1"]) * g
    v = o["beta2"] * state["exp_avg_sq"] + (1 - o["beta2"]) * g**2
    scaled = np.sqrt(v / (1 - o["beta2"] ** step)) + o["epsilon"]
    return p - rate * (m / (1 - o["beta1"] ** step)) / scaled, {"exp_avg": m, "exp_avg_sq": v}
