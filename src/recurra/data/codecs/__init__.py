"""What turns a field of an example into an array, and back."""
