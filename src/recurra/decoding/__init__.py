"""Search: from `step(state, token) → (log-probabilities, state)` to symbols, whatever the model."""
