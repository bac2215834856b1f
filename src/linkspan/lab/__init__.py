"""What the commands do with a lab, one file for each: the same functions serve Python programs."""
