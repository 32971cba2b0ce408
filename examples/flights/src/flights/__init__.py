"""Will this flight arrive more than fifteen minutes late? A Modelog user's project."""
