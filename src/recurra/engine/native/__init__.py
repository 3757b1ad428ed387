"""The backend "native": a cell's derived equations compiled into one time loop for this very processor."""
