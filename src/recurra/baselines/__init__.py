"""Plain models a score is printed beside, found by their registered names; they predict and sample as a model does."""
