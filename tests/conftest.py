"""Property tests try the same examples every time: a failure is a change, not a die."""

from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")
