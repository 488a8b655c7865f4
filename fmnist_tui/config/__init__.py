"""Settings, and what is known before anything is loaded."""

import os

# pydantic would read the metadata of all installed packages to look for plugins, at every start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
