"""The backend "triton": the native engine's sweeps on a GPU, one Triton kernel for each pointwise function and norm.

Products are torch's (cuBLAS). Verified: every registered cell equals the reference in Triton's interpreter on the CPU,
where kernels run as NumPy, and Triton's compiler makes machine code of the kernels. Never run on a GPU by us: there the
first use of a device compares a kernel with torch (`kernels.trouble`), CUDA graphs are off unless asked for (`graphs`),
and no speed is claimed.
"""
