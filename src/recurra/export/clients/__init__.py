"""The parts that a model's `client.py` is put together from: plain Python, numpy and onnxruntime, nothing of ours."""
