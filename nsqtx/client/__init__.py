"""The client: what Twisted programs publish and consume with."""
