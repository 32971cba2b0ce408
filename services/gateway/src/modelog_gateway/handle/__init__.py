"""What commands need besides the rules: sealing personal texts, and destroying keys."""
