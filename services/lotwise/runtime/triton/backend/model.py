"""Triton's Python-based `onnxruntime` backend: ONNX models where the C++ backend is absent.

Triton loads this file as `<backend directory>/onnxruntime/model.py` for every model whose
config.pbtxt says `backend: "onnxruntime"`, so the same model repository runs here and on the
C++ backend in production. It runs inside the server's own environment (numpy 1, onnxruntime,
no lotwise), so it imports neither this package nor anything typed.
"""

import json
import os

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils

NICENESS = 5  # a third of the time beside others: more, and a busy machine explains nothing


class TritonPythonModel:
    """One instance of one model."""

    def initialize(self, args):
        """Open `<repository>/<version>/<default_model_filename>`."""
        config = json.loads(args["model_config"])
        path = os.path.join(
            args["model_repository"],
            args["model_version"],
            config.get("default_model_filename") or "model.onnx",
        )
        # Every model has a process of its own: those that may wait leave the cores to the others.
        limiter = config["instance_group"][0].get("rate_limiter", {})
        os.nice(NICENESS if limiter.get("priority", 1) > 1 else 0)
        parameters = config.get("parameters", {})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(
            parameters.get("intra_op_thread_count", {}).get("string_value", "0")
        )
        # Several models share the cores: a thread that waits must not burn one.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.inputs = [tensor.name for tensor in self.session.get_inputs()]

    def execute(self, requests):
        """Run the requests of one dynamic batch as one batch; each gets the outputs it asked for.

        Triton adds no outputs that nobody asked for to an answer, so copying them is in vain.
        """
        sizes, feeds = [], []
        wanted = [set(request.requested_output_names()) for request in requests]
        names = [name for name in self.outputs if any(name in each for each in wanted)]
        for request in requests:
            arrays = [
                pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs
            ]
            sizes.append(len(arrays[0]))
            feeds.append(arrays)
        batch = {
            name: np.concatenate([arrays[i] for arrays in feeds])
            for i, name in enumerate(self.inputs)
        }
        try:
            results = self.session.run(names, batch)
        except Exception as error:  # every request must be answered
            refusal = pb_utils.TritonError(f"onnxruntime: {error}")
            return [pb_utils.InferenceResponse(error=refusal) for _ in requests]
        ends = np.cumsum(sizes)
        return [
            pb_utils.InferenceResponse(
                [
                    pb_utils.Tensor(name, np.ascontiguousarray(result[end - size : end]))
                    for name, result in zip(names, results)
                    if name in asked
                ]
            )
            for size, end, asked in zip(sizes, ends, wanted)
        ]
