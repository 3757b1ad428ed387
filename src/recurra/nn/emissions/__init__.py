"""What the output of one step is drawn from: its distribution, its loss and its samples."""
