"""Commands that need something of others before they can be decided on."""
