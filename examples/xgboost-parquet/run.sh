audit run
