"""Where work units run: processes of this machine, or a cluster. In: functions of bytes. Out: futures of bytes.

A unit is a function of this project, called with its content key, a payload and what many units share; it returns
bytes. It assumes no shared path, so that any machine may run it that has the same code.
"""
