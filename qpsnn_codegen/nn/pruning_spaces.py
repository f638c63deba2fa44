"""Which channels of a network live and die together.

A *space* is a set of channels as long as a layer is wide, and everything that carries them: the layers of weights that
make them, batch-norms, neurons and pools behind those, additions (whose terms share one space), and the layers that
read them. Removing channel 3 removes it from all of these. An option-A shortcut leads from one space into a wider one;
its channels keep their order there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qpsnn_codegen.nn.schema import Node, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The shortcut ``name`` that puts the channels of space ``source`` behind ``pad_before`` others."""

    name: str
    source: int
    pad_before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Channels that are removed together.

    Attributes:
        width: how many there are.
        layers: convs and linear layers whose outputs they are.
        norms: batch-norms on the way.
        neurons: neurons on the way; they see the channels as maps.
        consumers: layers that read them, and how many inputs each channel is there.
        link: the shortcut that leads here, if there is one.
        fixed: why no channel can be removed or moved, or None.
    """

    width: int
    layers: tuple[str, ...]
    norms: tuple[str, ...]
    neurons: tuple[str, ...]
    consumers: tuple[tuple[str, int], ...]
    link: Link | None
    fixed: str | None


@dataclass(slots=True)
class _Found:
    """A space while the graph is walked."""

    width: int
    layers: list[str] = field(default_factory=list)
    norms: list[str] = field(default_factory=list)
    neurons: list[str] = field(default_factory=list)
    consumers: list[tuple[str, int]] = field(default_factory=list)
    links: list[tuple[str, int, int]] = field(default_factory=list)
    fixed: str | None = None


class _Walk:
    """Union-find over the spaces of nodes: ``value`` says of a node its space and the features per channel."""

    def __init__(self, nodes: Sequence[Node], shapes: Mapping[str, Shape]) -> None:
        self.shapes = shapes
        self.found: list[_Found] = []
        self.parent: list[int] = []
        self.value: dict[str, tuple[int, int]] = {}
        rules = {
            "input": self._input, "conv": self._conv, "linear": self._linear, "batch_norm": self._norm,
            "neuron": self._neuron, "max_pool": self._same, "avg_pool": self._same, "flatten": self._flatten,
            "add": self._add, "shortcut": self._shortcut, "readout": self._readout,
        }  # fmt: skip
        for node in nodes:
            self.value[node.name] = rules.get(node.kind, self._unknown)(node)

    def root(self, space: int) -> int:
        while self.parent[space] != space:
            space = self.parent[space]
        return space

    def of(self, name: str) -> tuple[_Found, int, int]:
        space, block = self.value[name]
        space = self.root(space)
        return self.found[space], space, block

    def fix(self, name: str, reason: str) -> None:
        space, _, _ = self.of(name)
        space.fixed = space.fixed or reason

    def _new(self, node: Node, fixed: str | None = None) -> tuple[int, int]:
        self.parent.append(len(self.found))
        self.found.append(_Found(self.shapes[node.name][0], fixed=fixed))
        return len(self.found) - 1, 1

    def _input(self, node: Node) -> tuple[int, int]:
        return self._new(node, "it is the input")

    def _conv(self, node: Node) -> tuple[int, int]:
        if node.attributes["groups"] != 1:
            self.fix(node.inputs[0], f"its channels reach {node.name} (grouped conv)")
            made = self._new(node, "it is grouped")
        else:
            self.of(node.inputs[0])[0].consumers.append((node.name, 1))
            made = self._new(node)
        self.found[made[0]].layers.append(node.name)
        return made

    def _linear(self, node: Node) -> tuple[int, int]:
        space, _, block = self.of(node.inputs[0])
        space.consumers.append((node.name, block))
        made = self._new(node)
        self.found[made[0]].layers.append(node.name)
        return made

    def _norm(self, node: Node) -> tuple[int, int]:
        space, _, block = self.of(node.inputs[0])
        space.norms.append(node.name)
        if block != 1:
            self.fix(node.inputs[0], f"{node.name} normalizes flattened maps")
        return self.value[node.inputs[0]]

    def _neuron(self, node: Node) -> tuple[int, int]:
        space, _, block = self.of(node.inputs[0])
        if block == 1:
            space.neurons.append(node.name)
        return self.value[node.inputs[0]]

    def _same(self, node: Node) -> tuple[int, int]:
        return self.value[node.inputs[0]]

    def _flatten(self, node: Node) -> tuple[int, int]:
        space, block = self.value[node.inputs[0]]
        size = self.shapes[node.inputs[0]][1:]
        return space, block * (size[0] * size[1] if size else 1)

    def _add(self, node: Node) -> tuple[int, int]:
        (left, one, block), (right, other, second) = (self.of(name) for name in node.inputs)
        if one != other:
            self.parent[other] = one
            left.layers += right.layers
            left.norms += right.norms
            left.neurons += right.neurons
            left.consumers += right.consumers
            left.links += right.links
            left.fixed = left.fixed or right.fixed
        if block != second:
            self.fix(node.inputs[0], f"{node.name} adds flattened maps")
        return one, block

    def _shortcut(self, node: Node) -> tuple[int, int]:
        _, source, _ = self.of(node.inputs[0])
        made = self._new(node)
        self.found[made[0]].links.append((node.name, source, node.attributes["pad_before"]))
        return made

    def _readout(self, node: Node) -> tuple[int, int]:
        self.fix(node.inputs[0], "its channels are the logits")
        return self.value[node.inputs[0]]

    def _unknown(self, node: Node) -> tuple[int, int]:
        for name in node.inputs:
            self.fix(name, f"its channels reach {node.name} ({node.kind})")
        return self._new(node, f"it is of a kind ({node.kind}) that nothing is removed from")


def find_spaces(nodes: Sequence[Node], shapes: Mapping[str, Shape]) -> tuple[Space, ...]:
    """The spaces of a graph, each behind those whose shortcuts lead to it.

    Args:
        nodes: in execution order.
        shapes: node name to shape without batch and time.
    """
    walk = _Walk(nodes, shapes)
    roots = [space for space in range(len(walk.found)) if walk.root(space) == space]
    # A space comes into being with its first node; one that a shortcut leads to has later ones.
    place = {root: number for number, root in enumerate(roots)}
    links = {
        root: [Link(name=name, source=place[walk.root(source)], pad_before=pad)
               for name, source, pad in walk.found[root].links]
        for root in roots
    }  # fmt: skip
    for root in roots:
        if len(links[root]) > 1 or any(link.source >= place[root] for link in links[root]):
            walk.found[root].fixed = walk.found[root].fixed or "several shortcuts lead to it"
    for root in reversed(roots):
        # Channels that cannot be moved at a shortcut's end can neither be at its beginning.
        if walk.found[root].fixed:
            for link in links[root]:
                source = walk.found[roots[link.source]]
                source.fixed = source.fixed or f"its channels reach {link.name} (shortcut), whose own cannot be moved"
    return tuple(
        Space(
            width=found.width,
            layers=tuple(found.layers),
            norms=tuple(found.norms),
            neurons=tuple(found.neurons),
            consumers=tuple(dict.fromkeys(found.consumers)),
            link=links[root][0] if links[root] else None,
            fixed=found.fixed,
        )
        for root, found in ((root, walk.found[root]) for root in roots)
    )
