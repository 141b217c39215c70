audit run --forget forget.npz --predict ask:ask --original original.joblib --unlearned unlearned.joblib --retrained retrained-0.joblib --retrained retrained-1.joblib --split attested
