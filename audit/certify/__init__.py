"""Evidence for others: a finished run in; a signed statement, its verification, a gate and the ledger of looks out.

Nothing here imports torch.
"""
