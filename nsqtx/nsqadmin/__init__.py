"""nsqadmin: see the cluster, act on it."""
