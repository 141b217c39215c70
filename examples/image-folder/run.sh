audit run --forget forget --retain retain --holdout holdout --test test --arch nets:make --access logits --split attested
