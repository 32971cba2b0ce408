"""Rows through a model: one output row for each input row, and resumed where it was broken off.

The output is made of parts, each there whole or not at all, and a ledger that says which are done. So a batch that was
killed goes on with the first part that is missing. `deployed.run_batch` asks a deployment from here; batches as jobs
(`client.batches`) run the same with the model in a worker of the training service.
"""
