"""The version of this tool, as records, certificates and the addresses of trained models name it."""

VERSION = "0.1.0"
