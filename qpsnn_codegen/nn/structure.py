"""From a user's ``nn.Module`` to the checkpoint's graph (torch.fx), and back.

The way back builds a :class:`GraphBody`, which interprets the node list. It does not use ``fx.GraphModule``,
because that writes Python source containing the node names and executes it; names come from files.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor, fx, nn

from qpsnn_codegen.errors import UnsupportedError
from qpsnn_codegen.nn.layers import QuantConv2d, QuantLinear
from qpsnn_codegen.nn.modules import BUILDERS, ELIDED, OWN, SUPPORTED, RefusedOption, fill, rule_for
from qpsnn_codegen.nn.schema import Node, Shape


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

    def __init__(self, nodes: Sequence[Node], shapes: Mapping[str, Shape], tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.plan = tuple((node.name, node.kind, node.inputs) for node in nodes)
        own: dict[str, dict[str, Tensor]] = {node.name: {} for node in nodes}
        for key, tensor in tensors.items():
            name, _, part = key.rpartition(".")
            own[name][part] = tensor
        for node in nodes:
            if node.kind in BUILDERS:
                module = BUILDERS[node.kind](node.attributes, shapes[node.inputs[0]], own[node.name])
                self._place(node.name, fill(module, own[node.name]))

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
        return isinstance(m, OWN) or super().is_leaf_module(m, module_qualified_name)


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
            Step(name, kind, inputs, body.module_at(name) if kind in BUILDERS else None)
            for name, kind, inputs in body.plan
        ]
    # An unsupported single layer would otherwise be traced through.
    if isinstance(body, OWN) or (body.__module__.startswith("torch.nn") and not list(body.children())):
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

    def _append(self, node: fx.Node, name: str, kind: str, inputs: tuple[str, ...], module: nn.Module | None) -> None:
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
        first = self.identity.setdefault(id(module), name) if not isinstance(module, ELIDED) else name
        if name in self.used or first != name:
            raise UnsupportedError(
                f"layer {first}", "it is used twice in forward", "make a separate layer for each use"
            )
        if len(node.args) != 1 or node.kwargs or not isinstance(node.args[0], fx.Node):
            raise UnsupportedError(f"layer {name}", "it is not called with exactly one tensor", "call it as layer(x)")
        source = self.names[node.args[0]]
        if isinstance(module, ELIDED):
            self.names[node] = source
            return
        kind, _ = rule_for(name, module)
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
            raise UnsupportedError("output", "the network returns something other than one tensor", "return one")
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
            _, rule = rule_for(step.name, step.module)
            try:
                attributes = rule(step.module)
            except RefusedOption as refused:
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
