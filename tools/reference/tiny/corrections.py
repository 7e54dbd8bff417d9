"""Corrections of the reference where it cannot convert at all, so that there is something to compare with."""


def apply():
    """Correct the classes of the reference, which must have been imported."""
    import torch

    # Torch's sine and cosine differ between processors in the last place; these are correctly rounded.
    for name in ("sin", "cos"):
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


def rounded(function):
    """A function of tensors in single precision, calculated in double precision."""
    import torch

    def of(x):
        if torch.overrides.has_torch_function_unary(x) or x.dtype != torch.float32:
            return function(x)
        return function(x.double()).float()

    return of
