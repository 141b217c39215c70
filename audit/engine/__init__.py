"""Run work units in processes of this machine or on a cluster: functions and bytes in; futures of bytes out.

A unit is a function of this project, called with its content key, a payload and what many units share; it returns
bytes. It assumes no shared path, so that any machine may run it that has the same code.
"""
