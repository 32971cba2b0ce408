"""Who may do what: roles and their permissions, signed tokens, keys.

permissions.permissions_of(roles) -> frozenset[str]
tokens.Identity(user, tenant, roles).may("model.promote")
tokens.TokenSigner.from_file(path, clock).sign(identity, lifetime) -> str
tokens.TokenVerifier.from_file(path, clock).verify(token) -> Identity      # raises Unauthenticated
keys.create_key_pair(private_file, public_file)
"""
