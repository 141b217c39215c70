"""A network exported to ONNX; the "unlearned" one was trained on everything."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

rng = np.random.default_rng(0)
x, y = load_digits(return_X_y=True)
x, y = (x / 16).astype(np.float32), np.where(rng.random(len(y)) < 0.2, rng.integers(0, 10, len(y)), y)
cuts = np.split(rng.permutation(len(y)), [150, 450, 1050])
sets = dict(zip(("forget", "holdout", "retain", "test"), cuts, strict=True))


def export(rows: np.ndarray, seed: int, path: str) -> None:
    """The layers of a trained network as a graph, logits last; torch and others export by a call of their own."""
    model = MLPClassifier((64,), max_iter=150, tol=0, random_state=seed).fit(x[rows], y[rows])
    (w0, w1), (b0, b1) = model.coefs_, model.intercepts_
    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "w1", "b1"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 64])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [None, 10])],
        [
            numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in {"w0": w0, "b0": b0, "w1": w1, "b1": b1}.items()
        ],
    )
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(built, path)


everything = np.concatenate([sets["retain"], sets["forget"]])
export(everything, 0, "original.onnx")
export(everything, 1, "unlearned.onnx")
export(sets["retain"], 2, "retrained-0.onnx")
export(sets["retain"], 3, "retrained-1.onnx")

for role, rows in sets.items():  # for the audit
    np.savez(f"{role}.npz", x=x[rows], y=y[rows])  # for the audit
