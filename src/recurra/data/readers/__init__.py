"""What reads examples from files, a format a file."""
