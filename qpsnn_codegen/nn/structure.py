"""From a user's ``nn.Module`` to the checkpoint's graph (torch.fx), and back.

The way back builds a :class:`GraphBody`, which interprets the node list. It does not use ``fx.GraphModule``,
because that writes Python source containing the node names and executes it; names come from files.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor, fx, nn

from qpsnn_codegen.errors import UnsupportedError
from qpsnn_codegen.nn.layers import Pair, QuantConv2d, QuantLinear, QuantWeights, Shortcut
from qpsnn_codegen.nn.neurons import LIF, Readout
from qpsnn_codegen.nn.quantizers import Quantizer
from qpsnn_codegen.nn.schema import Attributes, Node, Shape

SUPPORTED = (
    "QuantConv2d, QuantLinear, BatchNorm1d/2d, LIF, IF, LeakyIntegrator, MaxPool2d, AvgPool2d, "
    "AdaptiveAvgPool2d(1), Flatten, Shortcut, Readout, Dropout, Identity, + and torch.flatten(x, 1)"
)


class _Refused(Exception):
    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(what)


def _as_pair(value: int | tuple[int, ...]) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _quantizer_attributes(quantizer: Quantizer) -> dict[str, object]:
    return {
        "grid": quantizer.grid,
        "bits": quantizer.bits,
        "gamma": quantizer.gamma,
        "percentile": float(quantizer.percentile),
        "per": quantizer.per,
    }


# --- module to attributes, one function per module type


def _describe_conv(module: QuantConv2d) -> dict[str, object]:
    return {
        "in_channels": module.in_channels,
        "out_channels": module.out_channels,
        "kernel": module.kernel_size,
        "stride": module.stride,
        "padding": module.padding,
        "dilation": module.dilation,
        "groups": module.groups,
        "quantizer": _quantizer_attributes(module.quantizer),
    }


def _describe_linear(module: QuantLinear) -> dict[str, object]:
    return {
        "in_features": module.in_features,
        "out_features": module.out_features,
        "quantizer": _quantizer_attributes(module.quantizer),
    }


def _describe_norm(module: nn.BatchNorm2d) -> dict[str, object]:
    if module.running_mean is None or module.running_var is None:
        raise _Refused("batch-norm without running statistics", "use track_running_stats=True")
    return {"channels": module.num_features, "eps": float(module.eps)}


def _describe_neuron(module: LIF) -> dict[str, object]:
    return {
        "decay": module.decay,
        "threshold": module.threshold,
        "compare": module.compare,
        "reset": module.reset,
        "reset_potential": module.reset_potential,
    }


def _describe_max_pool(module: nn.MaxPool2d) -> dict[str, object]:
    if module.ceil_mode:
        raise _Refused("ceil_mode=True", "use ceil_mode=False")
    if _as_pair(module.dilation) != (1, 1):
        raise _Refused(f"dilation {module.dilation}", "use dilation=1")
    if module.return_indices:
        raise _Refused("return_indices=True", "use return_indices=False")
    return _window_attributes(module)


def _describe_avg_pool(module: nn.AvgPool2d) -> dict[str, object]:
    if module.ceil_mode:
        raise _Refused("ceil_mode=True", "use ceil_mode=False")
    if module.divisor_override is not None:
        raise _Refused(f"divisor_override={module.divisor_override}", "use divisor_override=None")
    if not module.count_include_pad and _as_pair(module.padding) != (0, 0):
        raise _Refused("count_include_pad=False with padding", "use count_include_pad=True or padding=0")
    return _window_attributes(module)


def _window_attributes(module: nn.MaxPool2d | nn.AvgPool2d) -> dict[str, object]:
    return {
        "kernel": _as_pair(module.kernel_size),
        "stride": _as_pair(module.stride),
        "padding": _as_pair(module.padding),
    }


def _describe_global_pool(module: nn.AdaptiveAvgPool2d) -> dict[str, object]:
    if module.output_size not in (1, (1, 1)):
        raise _Refused(f"output size {module.output_size}", "use AdaptiveAvgPool2d(1) or AvgPool2d")
    return {"kernel": None, "stride": (1, 1), "padding": (0, 0)}


def _describe_flatten(module: nn.Flatten) -> dict[str, object]:
    if (module.start_dim, module.end_dim) != (1, -1):
        raise _Refused(f"dimensions {module.start_dim} to {module.end_dim}", "use Flatten(1)")
    return {}


def _describe_shortcut(module: Shortcut) -> dict[str, object]:
    return {"stride": module.stride, "pad_before": module.pad_before, "pad_after": module.pad_after}


def _describe_readout(module: Readout) -> dict[str, object]:
    return {"mode": module.mode}


_DESCRIBE: tuple[tuple[type[nn.Module], str, Callable[[Any], dict[str, object]]], ...] = (
    (QuantConv2d, "conv", _describe_conv),
    (QuantLinear, "linear", _describe_linear),
    (nn.BatchNorm2d, "batch_norm", _describe_norm),
    (nn.BatchNorm1d, "batch_norm", _describe_norm),
    (LIF, "neuron", _describe_neuron),
    (nn.MaxPool2d, "max_pool", _describe_max_pool),
    (nn.AvgPool2d, "avg_pool", _describe_avg_pool),
    (nn.AdaptiveAvgPool2d, "avg_pool", _describe_global_pool),
    (nn.Flatten, "flatten", _describe_flatten),
    (Shortcut, "shortcut", _describe_shortcut),
    (Readout, "readout", _describe_readout),
)
_ELIDED = (nn.Dropout, nn.Dropout2d, nn.Identity)
_OWN = (QuantWeights, LIF, Shortcut, Readout)


def _rule(name: str, module: nn.Module) -> tuple[str, Callable[[Any], dict[str, object]]]:
    for known, kind, describe in _DESCRIBE:
        # A subclass that computes something else must not pass for its base.
        if isinstance(module, known) and type(module).forward is known.forward:
            return kind, describe
    if isinstance(module, nn.Conv2d | nn.Linear):
        raise UnsupportedError(
            f"layer {name}", f"a plain {type(module).__name__} has no codes", "use QuantConv2d/QuantLinear"
        )
    raise UnsupportedError(
        f"layer {name}", f"{type(module).__name__} is not supported", f"supported: {SUPPORTED}"
    )


# --- attributes to module


def _fill(module: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    with torch.no_grad():
        for name in ("weight", "bias", "running_mean", "running_var"):
            if name in tensors:
                getattr(module, name).copy_(tensors[name])
    if isinstance(module, QuantWeights):
        module.freeze(tensors["codes"], tensors["scale"])
    return module


def _build_conv(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    return QuantConv2d(
        a["in_channels"],
        a["out_channels"],
        a["kernel"],
        quantizer=Quantizer(**a["quantizer"]),
        stride=a["stride"],
        padding=a["padding"],
        dilation=a["dilation"],
        groups=a["groups"],
        bias="bias" in tensors,
    )


def _build_linear(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    return QuantLinear(
        a["in_features"], a["out_features"], quantizer=Quantizer(**a["quantizer"]), bias="bias" in tensors
    )


def _build_norm(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    norm = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
    return norm(a["channels"], eps=a["eps"])


def _build_neuron(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    return LIF(
        a["decay"],
        a["threshold"],
        compare=a["compare"],
        reset=a["reset"],
        reset_potential=a["reset_potential"],
    )


def _build_max_pool(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    return nn.MaxPool2d(a["kernel"], a["stride"], a["padding"])


def _build_avg_pool(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    if a["kernel"] is None:
        return nn.AdaptiveAvgPool2d(1)
    return nn.AvgPool2d(a["kernel"], a["stride"], a["padding"])


def _build_flatten(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    return nn.Flatten(1)


def _build_shortcut(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    return Shortcut(a["stride"], pad_before=a["pad_before"], pad_after=a["pad_after"])


def _build_readout(a: Attributes, shape: Shape, tensors: Mapping[str, Tensor]) -> nn.Module:
    return Readout(a["mode"])


_BUILD: Mapping[str, Callable[[Attributes, Shape, Mapping[str, Tensor]], nn.Module]] = {
    "conv": _build_conv,
    "linear": _build_linear,
    "batch_norm": _build_norm,
    "neuron": _build_neuron,
    "max_pool": _build_max_pool,
    "avg_pool": _build_avg_pool,
    "flatten": _build_flatten,
    "shortcut": _build_shortcut,
    "readout": _build_readout,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a traced body: its place in the graph and its module (none for ``input`` and ``add``)."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    module: nn.Module | None


class GraphBody(nn.Module):
    """A body that runs a checkpoint's node list; its modules sit at their dotted names.

    Args:
        nodes: checked nodes (:func:`qpsnn_codegen.nn.schema.check_nodes`), input first.
        shapes: node name to shape, as returned by that check.
        tensors: ``"<node>.<tensor>"`` to tensor; copied, quantized layers are frozen to their codes.
    """

    def __init__(
        self, nodes: Sequence[Node], shapes: Mapping[str, Shape], tensors: Mapping[str, Tensor]
    ) -> None:
        super().__init__()
        self.plan = tuple((node.name, node.kind, node.inputs) for node in nodes)
        own: dict[str, dict[str, Tensor]] = {node.name: {} for node in nodes}
        for key, tensor in tensors.items():
            name, _, part = key.rpartition(".")
            own[name][part] = tensor
        for node in nodes:
            if node.kind in _BUILD:
                module = _BUILD[node.kind](node.attributes, shapes[node.inputs[0]], own[node.name])
                self._place(node.name, _fill(module, own[node.name]))

    def _place(self, path: str, module: nn.Module) -> None:
        holder: nn.Module = self
        *parents, leaf = path.split(".")
        for part in parents:
            if part not in holder._modules:
                holder._modules[part] = nn.Module()
            holder = holder.get_submodule(part)
        # Not setattr: a layer may be called "training" or "forward".
        holder._modules[leaf] = module

    def module_at(self, path: str) -> nn.Module:
        """The layer of a node, by the node's name."""
        module: nn.Module | None = self
        for part in path.split("."):
            module = module._modules[part] if module is not None else None
        if module is None:
            raise KeyError(path)
        return module

    def forward(self, x: Tensor) -> Tensor:
        values: dict[str, Tensor] = {}
        for name, kind, inputs in self.plan:
            if kind == "input":
                values[name] = x
            elif kind == "add":
                values[name] = values[inputs[0]] + values[inputs[1]]
            else:
                values[name] = self.module_at(name)(values[inputs[0]])
        return values[self.plan[-1][0]]


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _OWN) or super().is_leaf_module(m, module_qualified_name)


def trace(body: nn.Module) -> list[Step]:
    """The graph of a body: one tensor in, one out, made of supported layers.

    Returns:
        Steps in execution order, the input first. Dropout and Identity are left out, and whatever the output
        does not depend on.

    Raises:
        UnsupportedError: an unknown layer or operation, a layer used twice, or a body torch.fx cannot trace.
    """
    if isinstance(body, GraphBody):
        return [
            Step(name, kind, inputs, body.module_at(name) if kind in _BUILD else None)
            for name, kind, inputs in body.plan
        ]
    # An unsupported single layer would otherwise be traced through.
    if isinstance(body, _OWN) or (body.__module__.startswith("torch.nn") and not list(body.children())):
        body = nn.Sequential(body)
    try:
        graph = _Tracer().trace(body)
    except Exception as error:  # whatever the user's forward raises when its input is symbolic
        reason = " ".join(str(error).split())[:200]
        raise UnsupportedError(
            f"network {type(body).__name__}",
            f"torch.fx cannot trace its forward ({reason})",
            "write the forward without branches on tensors or shapes",
        ) from error
    return _Translation(body, graph).steps()


class _Translation:
    """One pass over an fx graph."""

    def __init__(self, body: nn.Module, graph: fx.Graph) -> None:
        self.modules = dict(body.named_modules())
        self.graph = graph
        self.names: dict[fx.Node, str] = {}
        self.found: list[Step] = []
        self.used: set[str] = set()
        self.identity: dict[int, str] = {}

    def steps(self) -> list[Step]:
        rules = {
            "placeholder": self._placeholder,
            "call_module": self._module,
            "call_function": self._operation,
            "call_method": self._operation,
            "output": self._output,
            "get_attr": self._constant,
        }
        for node in _reachable(self.graph):
            rules[node.op](node)
        return self.found

    def _append(
        self, node: fx.Node, name: str, kind: str, inputs: tuple[str, ...], module: nn.Module | None
    ) -> None:
        self.names[node] = name
        self.used.add(name)
        self.found.append(Step(name, kind, inputs, module))

    def _fresh(self, wanted: str) -> str:
        # fx keeps its own names apart, but ours for modules are their dotted paths.
        name, number = wanted, 1
        while name in self.used or name in self.modules:
            name, number = f"{wanted}_{number}", number + 1
        return name

    def _placeholder(self, node: fx.Node) -> None:
        if self.found:
            raise UnsupportedError(
                f"input {node.name}",
                "the network takes more than one input",
                "give forward one tensor argument",
            )
        self._append(node, self._fresh("input"), "input", (), None)

    def _module(self, node: fx.Node) -> None:
        name = str(node.target)
        module = self.modules[name]
        first = self.identity.setdefault(id(module), name) if not isinstance(module, _ELIDED) else name
        if name in self.used or first != name:
            raise UnsupportedError(
                f"layer {first}", "it is used twice in forward", "make a separate layer for each use"
            )
        if len(node.args) != 1 or node.kwargs or not isinstance(node.args[0], fx.Node):
            raise UnsupportedError(
                f"layer {name}", "it is not called with exactly one tensor", "call it as layer(x)"
            )
        source = self.names[node.args[0]]
        if isinstance(module, _ELIDED):
            self.names[node] = source
            return
        kind, _ = _rule(name, module)
        self._append(node, name, kind, (source,), module)

    def _operation(self, node: fx.Node) -> None:
        target = node.target
        if target in (operator.add, operator.iadd, torch.add, "add", "add_"):
            terms = [term for term in node.args if isinstance(term, fx.Node)]
            if len(terms) == 2 and len(node.args) == 2 and not node.kwargs:
                inputs = tuple(self.names[term] for term in terms)
                self._append(node, self._fresh(node.name), "add", inputs, None)
                return
            self._refuse(node, "adds something that is not a layer's output", "add two layers' outputs")
        if target in (torch.flatten, "flatten"):
            arguments = [*node.args[1:], *node.kwargs.values()]
            starts = set(node.kwargs) <= {"start_dim", "end_dim"} and arguments in ([1], [1, -1])
            if not starts or not isinstance(node.args[0], fx.Node) or node.kwargs.get("start_dim", 1) != 1:
                self._refuse(node, "flattens other than from dimension 1", "write torch.flatten(x, 1)")
            source = self.names[node.args[0]]
            self._append(node, self._fresh(node.name), "flatten", (source,), nn.Flatten(1))
            return
        called = target if isinstance(target, str) else getattr(target, "__name__", str(target))
        self._refuse(node, f"{called} is not supported", f"supported: {SUPPORTED}")

    def _constant(self, node: fx.Node) -> None:
        self._refuse(node, f"reads the tensor {node.target}", "keep tensors inside supported layers")

    def _output(self, node: fx.Node) -> None:
        result = node.args[0]
        if not isinstance(result, fx.Node):
            raise UnsupportedError(
                "output", "the network returns something other than one tensor", "return one"
            )
        if self.names[result] != self.found[-1].name:
            # Everything found is needed by the output, so it can only be the input passed through.
            self._refuse(node, "the network returns an inner value", "return the last layer's output")

    def _refuse(self, node: fx.Node, what: str, remedy: str) -> NoReturn:
        raise UnsupportedError(f"operation {node.name}", what, remedy)


def _reachable(graph: fx.Graph) -> list[fx.Node]:
    nodes = list(graph.nodes)
    needed: set[fx.Node] = set()
    pending = [node for node in nodes if node.op == "output"]
    while pending:
        node = pending.pop()
        if node not in needed:
            needed.add(node)
            pending.extend(node.all_input_nodes)
    return [node for node in nodes if node in needed or node.op == "placeholder"]


def describe(steps: Sequence[Step]) -> tuple[Node, ...]:
    """Nodes with their attributes, as the checkpoint stores them.

    Raises:
        UnsupportedError: a layer with an option that is not supported.
    """
    nodes = []
    for step in steps:
        attributes: dict[str, object] = {}
        if step.module is not None:
            _, rule = _rule(step.name, step.module)
            try:
                attributes = rule(step.module)
            except _Refused as refused:
                layer = f"layer {step.name} ({type(step.module).__name__})"
                raise UnsupportedError(layer, f"{refused.what} is not supported", refused.remedy) from None
        nodes.append(Node(name=step.name, kind=step.kind, inputs=step.inputs, attributes=attributes))
    return tuple(nodes)


def tensors_of(steps: Sequence[Step]) -> dict[str, Tensor]:
    """Copies of all tensors a checkpoint stores, ``"<node>.<tensor>"`` to float32 or uint8 tensor."""
    tensors: dict[str, Tensor] = {}
    for step in steps:
        module = step.module
        found: dict[str, Tensor | None] = {}
        if isinstance(module, QuantConv2d | QuantLinear):
            codes, scale = module.current_codes()
            found = {"weight": module.weight, "bias": module.bias, "codes": codes, "scale": scale}
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            found = {"running_mean": module.running_mean, "running_var": module.running_var}
            ones = torch.ones(module.num_features)
            found["weight"] = module.weight if module.affine else ones
            found["bias"] = module.bias if module.affine else torch.zeros_like(ones)
        for name, tensor in found.items():
            if tensor is not None:
                dtype = torch.uint8 if name == "codes" else torch.float32
                tensors[f"{step.name}.{name}"] = tensor.detach().to("cpu", dtype, copy=True).contiguous()
    return tensors
