"""Addition of two branches: into a neuron's current, or of spikes to spike counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from qpsnn_codegen.emit.c_model import CLayer, CModel
from qpsnn_codegen.integer_network import IntegerNode, Integers, IntegerType
from qpsnn_codegen.lowering import Branch, Draft, Signal
from qpsnn_codegen.network import Floats, Node, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Node):
    """Element-wise sum."""

    kind: ClassVar[str] = "add"
    arity: ClassVar[int] = 2

    def output_shape(self, *inputs: Shape) -> Shape:
        left, right = inputs
        if left != right:
            raise self.refuse(f"adds maps of {left} and {right}", "make both branches the same shape")
        return left

    def execute(self, *inputs: Floats, timesteps: int) -> Floats:
        return inputs[0] + inputs[1]

    def lower(self, draft: Draft, *inputs: Signal) -> Signal:
        left, right = inputs
        if left.branch is not None or right.branch is not None:
            raise self.refuse("adds more than two branches before a neuron", "put a neuron between the additions")
        if draft.types[left.node].shape != draft.types[right.node].shape:
            raise self.refuse("adds a flattened map to another", "add before flattening")
        stored = [draft.nodes[signal.node].stored for signal in inputs]
        scale = left.uniform_scale
        signed = min(draft.types[signal.node].low.min() for signal in inputs) < 0
        if all(stored) and not signed and scale is not None and scale == right.uniform_scale:
            total = draft.types[left.node].high.max() + draft.types[right.node].high.max()
            if total > 2**16 - 1:
                raise self.cannot_lower(f"its counts reach {total}, beyond 16 bits", "put a neuron before it")
            draft.add(AddMaps(name=self.name, inputs=(left.node, right.node)))
            return replace(left, node=self.name, error=left.error + right.error, potential=None)
        # The branch is the stored one; a current can only be the main one.
        main, branch = (left, right) if stored[1] else (right, left)
        if not draft.nodes[branch.node].stored or any(branch.offset) or draft.types[branch.node].low.min() < 0:
            raise self.refuse(
                "adds two weighted sums before a neuron", "let one branch be spikes (put a neuron at its end)"
            )
        return replace(
            main,
            error=main.error + branch.error,
            branch=Branch(node=branch.node, scale=branch.scale),
            potential=None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AddMaps(IntegerNode):
    """The sum of two stored maps: counts."""

    kind: ClassVar[str] = "add"
    stored: ClassVar[bool] = True

    def output_type(self, *inputs: IntegerType) -> IntegerType:
        left, right = inputs
        return IntegerType(
            shape=left.shape,
            static=left.static and right.static,
            low=left.low + right.low,
            high=left.high + right.high,
        )

    def execute(self, *inputs: Integers, timesteps: int) -> Integers:
        return inputs[0] + inputs[1]

    def describe(self, c: CModel) -> CLayer:
        fields: dict[str, str | int] = {
            "left": c.map_fields(self.inputs[0]),
            "right": c.map_fields(self.inputs[1]),
            "output": c.map_fields(self.name),
        }
        symbol = c.struct(self.name, "add", "qps_add_t", fields, f"{self.name}: {c.range_comment(self.name)}")
        return CLayer(function="qps_add_run", symbol=symbol, arguments=("input", "second", "output"))
