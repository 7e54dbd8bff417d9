"""The exponential function that the stored results have, for machines on which torch has another.

Torch calls MKL, which chooses code by the maker of the processor: on Intel, one value in fifty has another last bit
than on AMD, where the stored results were made. `install()` puts the steps of spec/checkpoints.md in its place, if
torch does something else.
"""
import numpy as np
import torch

PLAIN = torch.exp


def bits(number):
    return np.array([number], dtype=np.uint32).view(np.float32)[0]


PARTS_PER_UNIT, PART, REST = bits(0x4338AA3B), bits(0x3BB18000), bits(0xB5DE8083)
POWERS = np.exp2(np.arange(128, dtype=np.longdouble) / 128)
HIGH = POWERS.astype(np.float32)
LOW = (POWERS - HIGH).astype(np.float32)
LIMIT = np.float32(87.33)


def steps(x):
    """e to the power of an array in single precision."""
    inside = np.abs(x) <= LIMIT
    safe = np.where(inside, x, np.float32(0))
    parts = np.rint(safe * PARTS_PER_UNIT)
    rest = (safe - parts * PART) - parts * REST
    rest = rest + np.float32(0.5) * (rest * rest)
    whole = parts.astype(np.int64)
    high, low = HIGH[whole % 128], LOW[whole % 128]
    power = np.ldexp(np.float32(1), whole // 128).astype(np.float32)
    return np.where(inside, (high + (low + high * rest)) * power, np.exp(x.astype(np.float64)).astype(np.float32))


def exp(x):
    """What torch.exp does on AMD, for tensors of the reference's converter too, which are computed later."""
    if torch.overrides.has_torch_function_unary(x):
        return torch.overrides.handle_torch_function(exp, (x,), x)
    if x.device.type == "meta" or x.dtype not in (torch.float16, torch.float32):
        return PLAIN(x)
    result = torch.from_numpy(steps(x.detach().float().contiguous().numpy()))
    return result.reshape(x.shape).to(x.dtype)


def install():
    probe = torch.linspace(-80, 80, 20_000)
    if not np.array_equal(PLAIN(probe).numpy(), steps(probe.numpy())):
        torch.exp = exp
