"""Drawings as SVG and PNG: charts, maps of weights, pictures of numbers. Their colours are those of `style.css`."""
