"""nsqd: the daemon that takes messages in, keeps them, and delivers them."""
