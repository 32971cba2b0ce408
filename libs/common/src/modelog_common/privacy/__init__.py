"""Personal data and secrets: sealed under a key per subject, erased by destroying that key.

subjects = Subjects(key_store, master_keys)
sealed = await subjects.seal("acme", "user/bob", "gateway.user.email", "bob@example.org")     # for a command
await subjects.open("gateway.user.email", sealed)                          # "bob@example.org", for an answer
await subjects.destroy(Erasure(...))                                       # from now on: "[erased]"
await subjects.rotate()                                                    # a new master key; all data keys re-wrapped
"""
