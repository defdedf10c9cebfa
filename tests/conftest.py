"""What holds for all tests."""

from hypothesis import settings

# How long an example takes depends on what else the machine does. A test that hangs has pytest's
# timeout. Half of the usual examples, since there are many such tests:
# `--hypothesis-profile=default` has them all.
settings.register_profile("nsqtx", deadline=None, max_examples=50)
settings.load_profile("nsqtx")
