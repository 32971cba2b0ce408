"""The live side of deployments: who answers what, right now, and how often they did."""
