"""Read what is to be audited: flags, variables, files and user code in; a checked `LoadedCase` out.

Nothing below this room sees the configuration, and every problem of the inputs is reported at once.
"""
