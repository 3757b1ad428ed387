"""What puts encoded examples into batches: whole ones of like length, or long ones piece by piece."""
