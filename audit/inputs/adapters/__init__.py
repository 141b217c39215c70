"""Models of other libraries behind the interface of `audit.inputs.targets`: one file each, imported only when used."""
