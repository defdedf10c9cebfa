"""What holds for all tests."""

from hypothesis import settings

# How long an example takes depends on what else the machine does. A test that hangs has pytest's
# timeout.
settings.register_profile("nsqtx", deadline=None)
settings.load_profile("nsqtx")
