"""A model that reads step by step, and answers as it reads: sessions hold what was read, streams what they share."""
