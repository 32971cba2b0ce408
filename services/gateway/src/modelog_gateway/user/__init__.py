"""Users: who may use the platform, with which roles, and the tokens they were given."""
