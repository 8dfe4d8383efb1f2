"""What decides how a batch is run: the performance map. No torch, numpy or scipy: a board reads it in milliseconds."""
