"""The bench: our switch and its peers, measured side by side on the same namespaces."""
