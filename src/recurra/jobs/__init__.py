"""Commands of recurra's done in processes of their own, several at a time: on this machine, or by Ray."""
