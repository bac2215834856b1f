"""Programs that others wrote and that serve a lab: started, supervised, read again."""
