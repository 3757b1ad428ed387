"""The backend "triton": the native engine's sweeps on a GPU, one Triton kernel for each pointwise function and norm.

Products are torch's (cuBLAS). Verified: the conformance checks in Triton's interpreter on the CPU, where every kernel
runs as NumPy. Never run on a GPU by us: there the first use on a device compares a kernel with torch
(`kernels.trouble`), CUDA graphs are off unless asked for (`graphs`), and no speed is claimed.
"""
