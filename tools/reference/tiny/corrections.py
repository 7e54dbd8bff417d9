"""Corrections of the reference where it cannot convert at all, so that there is something to compare with."""


def apply():
    """Correct the classes of the reference, which must have been imported."""
    import torch

    # Torch's functions differ between processors in the last place, even square roots; these are correctly rounded.
    for name in ("sin", "cos", "sqrt"):
        setattr(torch, name, rounded(getattr(torch, name)))

    from conversion.baichuan import BaichuanModel
    from conversion.base import TextModel

    # The class calls itself without end for every tensor but W_pack.
    packed = BaichuanModel.modify_tensors

    def modify_tensors(self, data, name, bid):
        yield from (packed if "W_pack" in name else TextModel.modify_tensors)(self, data, name, bid)

    BaichuanModel.modify_tensors = modify_tensors

    from conversion.qwen3vl import Qwen3OmniMmprojModel

    # The class gives the encoder of images a prefix that its own base class does not know.
    filtered = Qwen3OmniMmprojModel.filter_tensors.__func__

    def filter_tensors(cls, item):
        name, tensor = item
        return filtered(cls, (name.replace("thinker.visual.", "visual."), tensor))

    Qwen3OmniMmprojModel.filter_tensors = classmethod(filter_tensors)

    from conversion.nemotron import NemotronNanoV2VLModel

    # The class has the sizes of the published model, which is not tiny.
    for name, size in [("hidden_size", 160), ("intermediate_size", 320), ("num_layers", 7), ("num_heads", 2)]:
        setattr(NemotronNanoV2VLModel, f"_vit_{name}", size)
    torch.nn.functional.interpolate = interpolated


def rounded(function):
    """A function of tensors in single precision, calculated in double precision."""
    import torch

    def of(x):
        # tensors of the reference's converter are computed later
        if torch.overrides.has_torch_function_unary(x):
            return torch.overrides.handle_torch_function(of, (x,), x)
        if x.device.type == "meta" or x.dtype != torch.float32:
            return function(x)
        return function(x.double()).float()

    return of


def interpolated(x, size, mode, align_corners):
    """Bilinear interpolation whose sums are in double precision: torch's differ between processors."""
    import torch

    assert mode == "bilinear" and align_corners
    if torch.overrides.has_torch_function_unary(x):
        more = {"size": size, "mode": mode, "align_corners": align_corners}
        return torch.overrides.handle_torch_function(interpolated, (x,), x, **more)

    def between(source, target):
        step = torch.full((), source - 1, dtype=torch.float32, device=x.device) / max(target - 1, 1)
        position = step * torch.arange(target, dtype=torch.float32, device=x.device)
        first = position.long().clamp(max=source - 1)
        rest = (position - first).clamp(0, 1)
        return (first, 1 - rest), ((first + 1).clamp(max=source - 1), rest)

    result = 0
    for line, by_line in between(x.shape[2], size[0]):
        for place, by_place in between(x.shape[3], size[1]):
            result = result + (by_line.double()[:, None] * by_place.double()) * x[:, :, line][:, :, :, place].double()
    return result.float()
