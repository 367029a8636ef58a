"""MSFERNet: the network and how it is made (data, training, evaluation, export)."""
