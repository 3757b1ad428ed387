"""Training: the loop over truncated backpropagation, what updates the weights, and a run that can always go on.

`trainer.Trainer` fits a model and keeps its run directory; `settings.Training` is the `[training]` section of a recipe.
"""
