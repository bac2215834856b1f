"""The user engine: our own switch as a process, one for each bridge."""
