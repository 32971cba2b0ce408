"""A deployment: a name under which versions of one model answer, and how the traffic is split between them. Pure."""
