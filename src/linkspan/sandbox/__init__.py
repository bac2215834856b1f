"""The namespaces of a lab, and the process that holds them."""
