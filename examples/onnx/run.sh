audit run --forget forget.npz --split attested
