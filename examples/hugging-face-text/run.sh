audit run --forget forget.npz --access logits --split attested
