"""An IntegerNetwork as bytes: one ``.npz`` of plain arrays and a JSON text, nothing that can execute.

It travels inside every generated folder, so that ``verify`` has its oracle there.
"""

from __future__ import annotations

import io
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qpsnn_codegen.arrays import DAMAGE
from qpsnn_codegen.certificate import Certificate
from qpsnn_codegen.errors import InternalError, ModelFileError
from qpsnn_codegen.integer_network import IntegerNetwork, check_integer_network
from qpsnn_codegen.kinds import NODE_KINDS
from qpsnn_codegen.kinds.neuron import Decay
from qpsnn_codegen.kinds.readout import Rescale
from qpsnn_codegen.kinds.windows import Window
from qpsnn_codegen.network import frozen_array

FORMAT = "qpsnn-integer-network 1"


def _classes() -> dict[str, type[Any]]:
    """What a stored network may consist of; read anew each time, so that a kind added later is known too."""
    kinds = [kind for _, integer_kinds in NODE_KINDS for kind in integer_kinds]
    return {cls.__name__: cls for cls in (IntegerNetwork, Certificate, Window, Decay, Rescale, *kinds)}


def dump(network: IntegerNetwork) -> bytes:
    """The same bytes for the same network, on every machine and day."""
    arrays: dict[str, NDArray[Any]] = {}
    text = json.dumps({"format": FORMAT, "network": _encode(network, arrays)}, sort_keys=True)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, structure=np.frombuffer(text.encode(), dtype=np.uint8), **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def load(path: Path) -> IntegerNetwork:
    """Read what :func:`dump` wrote.

    Raises:
        ModelFileError: the file is missing, damaged or contradicts itself.
    """
    remedy = "generate the folder again"
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        document = json.loads(arrays.pop("structure").tobytes().decode())
        if document["format"] != FORMAT:
            raise ModelFileError(str(path), f"has format {document['format']!r}", f"this version reads {FORMAT!r}")
        network = _decode(document["network"], arrays)
        check_integer_network(network)
    except OSError as error:
        raise ModelFileError(str(path), f"cannot be read ({error.strerror or error})", remedy) from None
    except (*DAMAGE, AttributeError):
        raise ModelFileError(str(path), "is damaged", remedy) from None
    except InternalError as error:
        raise ModelFileError(str(path), f"contradicts itself ({error.where} {error.what})", remedy) from None
    return network  # type: ignore[no-any-return]


def _encode(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        encoded = {field.name: _encode(getattr(value, field.name), arrays) for field in fields(value)}
        return {"class": type(value).__name__, "fields": encoded}
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, tuple):
        return [_encode(item, arrays) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InternalError("integer network", f"holds a {type(value).__name__}, which cannot be stored")


def _decode(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item, arrays) for item in value)
    if isinstance(value, dict):
        if "array" in value:
            array = arrays[value["array"]]
            return frozen_array(array, array.dtype)
        cls = _classes()[value["class"]]
        return cls(**{name: _decode(item, arrays) for name, item in value["fields"].items()})
    return value
